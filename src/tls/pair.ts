import { createPrivateKey, type KeyObject, X509Certificate } from 'node:crypto'
import { readFile, realpath } from 'node:fs/promises'
import { isIP } from 'node:net'
import { basename, dirname, join } from 'node:path'
import { createSecureContext } from 'node:tls'
import { SoakpError } from '../errors.js'
import { namesOf } from './names.js'

/** A certificate chain and its key that were checked to belong together and to be valid now. */
export interface ServedPair {
  /** PEM, leaf first. */
  readonly cert: Buffer
  /** PEM. Bytes, so that no string of it stays in the heap. */
  readonly key: Buffer
  /** Names and addresses it is valid for, as they stand in it. */
  readonly names: readonly string[]
  /** Made by soakp's own local CA. */
  readonly isLocal: boolean
  readonly validFromMs: number
  readonly validUntilMs: number
  /** SHA-256 of the leaf, in hex with colons. */
  readonly fingerprint: string
  /** Whether it is valid for this name or address, by the rules that clients apply. */
  covers(name: string): boolean
}

/**
 * Reads and verifies a pair. Where both lie in one folder, that folder is looked up once, so that a link switched meanwhile cannot bring the certificate of one version
 * and the key of another. Throws `certificate_invalid`, saying what is wrong with which file.
 */
export async function loadPair(certFile: string, keyFile: string, isLocal: boolean, nowMs: number): Promise<ServedPair> {
  const [certPath, keyPath] = await besideEachOther(certFile, keyFile)
  return checkPair({ cert: await read(certPath, certFile), key: await read(keyPath, keyFile) }, { certFile, keyFile }, isLocal, nowMs)
}

async function besideEachOther(certFile: string, keyFile: string): Promise<readonly [string, string]> {
  if (dirname(certFile) !== dirname(keyFile)) return [certFile, keyFile]
  const folder = await realpath(dirname(certFile)).catch(() => dirname(certFile))
  return [join(folder, basename(certFile)), join(folder, basename(keyFile))]
}

/** What the two are called where something is wrong with them. */
export interface PairNames {
  readonly certFile: string
  readonly keyFile: string
}

/** Verifies a pair that was read. Throws `certificate_invalid`. */
export function checkPair(
  { cert, key }: { readonly cert: Buffer; readonly key: Buffer },
  { certFile, keyFile }: PairNames,
  isLocal: boolean,
  nowMs: number,
): ServedPair {
  const leaf = parseLeaf(cert, certFile)
  const privateKey = parseKey(key, keyFile)
  if (!leaf.checkPrivateKey(privateKey)) throw invalid(`${keyFile} is not the key of the first certificate in ${certFile}.`)
  const validFromMs = Date.parse(leaf.validFrom)
  const validUntilMs = Date.parse(leaf.validTo)
  if (validUntilMs <= nowMs) throw invalid(`${certFile} expired on ${leaf.validTo}.`)
  if (validFromMs > nowMs) throw invalid(`${certFile} is valid only from ${leaf.validFrom}. Is the clock right?`)
  try {
    // what OpenSSL itself would object to: a weak key, a broken chain
    createSecureContext({ cert, key, minVersion: 'TLSv1.2' })
  } catch (cause) {
    throw invalid(`${certFile} and ${keyFile} are refused by OpenSSL (${(cause as NodeJS.ErrnoException).code ?? 'no code'}).`, cause)
  }
  return {
    cert,
    key,
    names: namesOf(leaf),
    isLocal,
    validFromMs,
    validUntilMs,
    fingerprint: leaf.fingerprint256,
    covers: name => (isIP(name) === 0 ? leaf.checkHost(name, { subject: 'never' }) : leaf.checkIP(name)) !== undefined,
  }
}

function invalid(detail: string, cause?: unknown): SoakpError {
  return new SoakpError('certificate_invalid', detail, { ...(cause === undefined ? {} : { cause }), hint: 'soakp doctor says more.' })
}

/** `called` is how the user knows the file. */
async function read(file: string, called: string): Promise<Buffer> {
  try {
    return await readFile(file)
  } catch (cause) {
    throw invalid(`${called} cannot be read (${(cause as NodeJS.ErrnoException).code ?? 'no code'}).`, cause)
  }
}

function parseLeaf(cert: Buffer, file: string): X509Certificate {
  try {
    return new X509Certificate(cert)
  } catch (cause) {
    throw invalid(`${file} does not begin with a certificate in PEM.`, cause)
  }
}

function parseKey(key: Buffer, file: string): KeyObject {
  try {
    return createPrivateKey(key)
  } catch (cause) {
    const encrypted = key.includes('ENCRYPTED')
    throw invalid(
      encrypted ? `${file} is protected by a passphrase, which a daemon cannot ask for.` : `${file} is not a private key in PEM.`,
      cause,
    )
  }
}
