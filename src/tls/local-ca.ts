import 'reflect-metadata'
import { createPrivateKey, createPublicKey, randomBytes, webcrypto, X509Certificate } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { isIP } from 'node:net'
import { hostname } from 'node:os'
import { join } from 'node:path'
import * as x509 from '@peculiar/x509'
import { SoakpError } from '../errors.js'
import { nameConstraints, permits } from './constraints.js'
import { createFile, makeDirectory, replaceFile } from './files.js'
import { namesOf } from './names.js'

x509.cryptoProvider.set(webcrypto)

const dayMs = 86_400_000
const algorithm = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' } as const

/** Public CAs may issue for 398 days at most, and some clients hold local ones to it. */
const leafDays = 397
const caDays = 3_650
/** The leaf is renewed when it ends within this time. */
const renewBeforeMs = 30 * dayMs

const caName = 'CN=soakp local CA,O=soakp'
const constraintsOid = '2.5.29.30'
const ownNames = ['localhost', '*.localhost', '127.0.0.1', '::1'] as const

export interface LocalFiles {
  readonly cert: string
  readonly chain: string
  readonly fullchain: string
  readonly privkey: string
}

/** Name of the local certificate's folder; no other certificate is called so. */
export const localName = 'localhost'

/** The pair that the daemon serves where no other is set; named as Certbot names them. */
export function liveFiles(certsDir: string): LocalFiles {
  const dir = join(certsDir, 'live', localName)
  return {
    cert: join(dir, 'cert.pem'),
    chain: join(dir, 'chain.pem'),
    fullchain: join(dir, 'fullchain.pem'),
    privkey: join(dir, 'privkey.pem'),
  }
}

export interface CaFiles {
  readonly cert: string
  readonly key: string
}

/** The CA's certificate, which clients are told to trust, and its key. */
export function caFiles(certsDir: string): CaFiles {
  return { cert: join(certsDir, 'local', 'ca.pem'), key: join(certsDir, 'local', 'ca-key.pem') }
}

export interface LocalCertificate {
  readonly caFile: string
  readonly caMade: boolean
  readonly leafMade: boolean
  /** Names that were asked for but that this CA, made before, may not certify. A new CA could: move `certs/local` away, and trust the new one. */
  readonly refusedNames: readonly string[]
}

const hostNameShape = /^(?=.{1,253}$)[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?(\.[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?)*$/

/** What this machine calls itself, as far as that can stand in a certificate. */
export function machineNames(name: string = hostname()): string[] {
  const full = name.toLowerCase()
  if (isIP(full) !== 0) return []
  const short = full.split('.', 1)[0] as string
  return [...new Set([short, `${short}.local`, full])].filter(
    each => hostNameShape.test(each) && each !== 'localhost' && each !== 'localhost.local',
  )
}

/**
 * Makes what is missing of the CA and its certificate for this machine, and renews the certificate when it ends within thirty days or the names have changed. A CA is
 * never overwritten. Throws `certificate_invalid` where what is there cannot be gone on from.
 */
export async function ensureLocalCertificate(certsDir: string, extraNames: readonly string[], nowMs: number): Promise<LocalCertificate> {
  for (const dir of [certsDir, join(certsDir, 'local'), join(certsDir, 'live'), join(certsDir, 'live', localName)]) {
    await makeDirectory(dir)
  }
  const names = [...new Set([...machineNames(), ...extraNames.map(name => name.toLowerCase())])]
  const caMade = await ensureCa(certsDir, names, nowMs)
  const caFile = caFiles(certsDir).cert
  const ca = new x509.X509Certificate(await readFile(caFile))
  const constraints = Buffer.from(ca.getExtension(constraintsOid)?.value ?? new ArrayBuffer(0))
  const refusedNames = names.filter(name => !permits(constraints, name))
  const wanted = [...ownNames, ...names.filter(name => !refusedNames.includes(name))]
  const leafMade = await needsLeaf(certsDir, wanted, nowMs)
  if (leafMade) await makeLeaf(certsDir, ca, wanted, nowMs)
  return { caFile, caMade, leafMade, refusedNames }
}

function unusable(detail: string, hint: string): SoakpError {
  return new SoakpError('certificate_invalid', detail, { hint })
}

async function readIfThere(file: string): Promise<Buffer | undefined> {
  try {
    return await readFile(file)
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw new SoakpError('file_refused', file, { cause })
  }
}

/** Makes the CA unless it is there. Of a CA whose making was interrupted only the key is there; it is used. */
async function ensureCa(certsDir: string, names: readonly string[], nowMs: number): Promise<boolean> {
  const files = caFiles(certsDir)
  if ((await readIfThere(files.cert)) !== undefined) return false
  createFile(files.key, await newPrivateKey(), 0o600)
  const keys = await importKeys(await readFile(files.key), files.key)
  const ca = await x509.X509CertificateGenerator.createSelfSigned({
    serialNumber: newSerial(),
    name: caName,
    notBefore: new Date(nowMs - dayMs),
    notAfter: new Date(nowMs + caDays * dayMs),
    signingAlgorithm: algorithm,
    keys,
    extensions: [
      new x509.BasicConstraintsExtension(true, 0, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign, true),
      await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
      // who steals this CA can stand in for this machine towards those who trust it, and for no other
      new x509.Extension(constraintsOid, true, nameConstraints(['localhost', ...names])),
    ],
  })
  return createFile(files.cert, pemOf(ca), 0o644)
}

/** Whether the leaf has to be made (anew). Throws when what lies there is somebody else's. */
async function needsLeaf(certsDir: string, wanted: readonly string[], nowMs: number): Promise<boolean> {
  const files = liveFiles(certsDir)
  const pem = await readIfThere(files.fullchain)
  const key = await readIfThere(files.privkey)
  if (pem === undefined || key === undefined) return true
  try {
    const leaf = new X509Certificate(pem)
    const ca = new X509Certificate(await readFile(caFiles(certsDir).cert))
    if (leaf.issuer !== ca.issuer) {
      throw unusable(`${files.fullchain} was not made by soakp.`, 'Move it away, or name it in SOAKP_TLS_CERT_FILE.')
    }
    const lasts = Date.parse(leaf.validTo) - nowMs > renewBeforeMs && Date.parse(leaf.validFrom) <= nowMs
    const sameNames = [...namesOf(leaf)].sort().join() === [...wanted].sort().join()
    return !(lasts && sameNames && leaf.verify(ca.publicKey) && leaf.checkPrivateKey(createPrivateKey(key)))
  } catch (error) {
    if (error instanceof SoakpError) throw error
    // not readable: of a making that was interrupted
    return true
  }
}

async function makeLeaf(certsDir: string, ca: x509.X509Certificate, wanted: readonly string[], nowMs: number): Promise<void> {
  const signer = await readIfThere(caFiles(certsDir).key)
  if (signer === undefined) {
    throw unusable(
      `${caFiles(certsDir).key} is missing, so the certificate for localhost cannot be renewed.`,
      'Move certs/local away to make a new CA; clients have to trust the new one.',
    )
  }
  const caKeys = await importKeys(signer, caFiles(certsDir).key)
  const key = await newPrivateKey()
  const leafKeys = await importKeys(key, 'the new key')
  const leaf = await x509.X509CertificateGenerator.create({
    serialNumber: newSerial(),
    subject: 'CN=localhost,O=soakp',
    issuer: ca.subject,
    notBefore: new Date(nowMs - dayMs),
    // no later than the CA itself
    notAfter: new Date(Math.min(nowMs + (leafDays - 1) * dayMs, ca.notAfter.getTime())),
    signingAlgorithm: algorithm,
    publicKey: leafKeys.publicKey,
    signingKey: caKeys.privateKey,
    extensions: [
      new x509.BasicConstraintsExtension(false, undefined, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
      new x509.ExtendedKeyUsageExtension([x509.ExtendedKeyUsage.serverAuth]),
      new x509.SubjectAlternativeNameExtension(wanted.map(value => ({ type: isIP(value) === 0 ? 'dns' : 'ip', value }))),
      await x509.AuthorityKeyIdentifierExtension.create(ca.publicKey),
      await x509.SubjectKeyIdentifierExtension.create(leafKeys.publicKey),
    ],
  })
  const files = liveFiles(certsDir)
  // who reads in between sees a pair that does not match, and looks again
  replaceFile(files.privkey, key, 0o600)
  replaceFile(files.cert, pemOf(leaf), 0o644)
  replaceFile(files.chain, pemOf(ca), 0o644)
  replaceFile(files.fullchain, Buffer.concat([pemOf(leaf), pemOf(ca)]), 0o644)
}

function pemOf(certificate: x509.X509Certificate): Buffer {
  return Buffer.from(`${certificate.toString('pem')}\n`)
}

/** Positive, without a leading zero byte, 126 random bits. */
function newSerial(): string {
  const bytes = randomBytes(16)
  bytes[0] = ((bytes[0] as number) & 0x3f) | 0x40
  return bytes.toString('hex')
}

/** A new P-256 key as PKCS #8 in PEM. */
async function newPrivateKey(): Promise<Buffer> {
  const keys = await webcrypto.subtle.generateKey(algorithm, true, ['sign', 'verify'])
  const base64 = Buffer.from(await webcrypto.subtle.exportKey('pkcs8', keys.privateKey)).toString('base64')
  return Buffer.from(`-----BEGIN PRIVATE KEY-----\n${(base64.match(/.{1,64}/g) ?? []).join('\n')}\n-----END PRIVATE KEY-----\n`)
}

async function importKeys(pem: Buffer, file: string): Promise<webcrypto.CryptoKeyPair> {
  try {
    const key = createPrivateKey(pem)
    const spki = createPublicKey(key).export({ type: 'spki', format: 'der' })
    return {
      privateKey: await webcrypto.subtle.importKey('pkcs8', key.export({ type: 'pkcs8', format: 'der' }), algorithm, false, ['sign']),
      publicKey: await webcrypto.subtle.importKey('spki', spki, algorithm, true, ['verify']),
    }
  } catch (cause) {
    throw new SoakpError('certificate_invalid', `${file} is not a P-256 key in PEM.`, { cause })
  }
}
