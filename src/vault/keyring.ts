import {
  createPrivateKey,
  createPublicKey,
  createSecretKey,
  generateKeyPairSync,
  type KeyObject,
  randomBytes,
  type webcrypto,
} from 'node:crypto'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { SoakpError } from '../errors.js'
import { writeFileAtomic } from '../lib/atomic-file.js'
import { newId } from '../lib/id.js'
import { type KeyringFile, parseKeyringFile, type SigningKeyRow } from './keyring-file.js'
import { type Binding, fingerprint, sameFingerprint, unwrap, wrap } from './wrap.js'

/** An Ed25519 key that access tokens are signed with. */
export interface SigningKey {
  readonly kid: string
  /** The public half as a JWK (RFC 8037), with `kid`, `alg` and `use`. */
  readonly publicJwk: Readonly<Record<string, string>>
  /** Not extractable; jose signs with it as it is. */
  readonly privateKey: webcrypto.CryptoKey
  readonly createdAtMs: number
}

/** The opened secrets of a home. All of them lie outside the JavaScript heap. */
export interface Keyring {
  /** `inst_…`: issuer and audience of access tokens. */
  readonly instanceId: string
  readonly masterKeyVersion: number
  /** 32 bytes. */
  readonly databaseKey: KeyObject
  /** Key-encryption key of a tenant, 32 bytes; `undefined` for a tenant without one. */
  kek(tenant: string): KeyObject | undefined
  /** Newest first; at least one. */
  readonly signingKeys: readonly SigningKey[]
}

export const defaultTenant = 'default'

export function keyringPath(home: string): string {
  return join(home, 'keys.json')
}

/** Makes `keys.json` with fresh random keys. Throws `home_exists` where there is one: it is never replaced. */
export async function createKeyring(home: string, master: KeyObject, now: () => number): Promise<Keyring> {
  const file = keyringPath(home)
  const binding = { instanceId: newId('inst'), masterKeyVersion: 1 }
  const content: KeyringFile = {
    version: 1,
    ...binding,
    masterKeyFingerprint: fingerprint(master),
    databaseKey: wrapRandom(master, { purpose: 'database', subject: '', ...binding }),
    tenants: { [defaultTenant]: { kek: wrapRandom(master, { purpose: 'kek', subject: defaultTenant, ...binding }) } },
    signingKeys: [newSigningKey(master, binding, now())],
  }
  const keyring = await unseal(content, master, file)
  try {
    writeFileAtomic(file, serialize(content), { exclusive: true })
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') throw new SoakpError('home_exists', file, { cause: error })
    throw new SoakpError('file_refused', file, { cause: error })
  }
  return keyring
}

/** Throws `home_missing`, `master_key_wrong`, `vault_damaged`. Never makes anything. */
export async function openKeyring(home: string, master: KeyObject): Promise<Keyring> {
  const file = keyringPath(home)
  return unseal(readKeyringFile(file), master, file)
}

export function readKeyringFile(file: string): KeyringFile {
  let text: string
  try {
    text = readFileSync(file, 'utf8')
  } catch (error) {
    if (!existsSync(file))
      throw new SoakpError('home_missing', file, {
        cause: error,
        hint: 'make one with soakp init, or restore a backup with soakp restore FILE',
      })
    throw new SoakpError('file_refused', file, { cause: error })
  }
  return parseKeyringFile(text, file)
}

/** Whether `master` is the key that this `keys.json` was last wrapped with. */
export function fits(content: KeyringFile, master: KeyObject): boolean {
  return sameFingerprint(content.masterKeyFingerprint, fingerprint(master))
}

/** The same secrets under another master key, one version on. */
export function rewrap(content: KeyringFile, from: KeyObject, to: KeyObject, file: string): KeyringFile {
  const before = { instanceId: content.instanceId, masterKeyVersion: content.masterKeyVersion }
  const after = { ...before, masterKeyVersion: content.masterKeyVersion + 1 }
  const move = (wrapped: string, purpose: Binding['purpose'], subject: string): string => {
    const plaintext = unwrapOrThrow(from, wrapped, { purpose, subject, ...before }, file)
    try {
      return wrap(to, plaintext, { purpose, subject, ...after })
    } finally {
      plaintext.fill(0)
    }
  }
  return {
    ...content,
    ...after,
    masterKeyFingerprint: fingerprint(to),
    databaseKey: move(content.databaseKey, 'database', ''),
    tenants: Object.fromEntries(Object.entries(content.tenants).map(([tenant, { kek }]) => [tenant, { kek: move(kek, 'kek', tenant) }])),
    signingKeys: content.signingKeys.map(row => ({ ...row, sealedPrivate: move(row.sealedPrivate, 'signing', row.kid) })),
  }
}

export function serialize(content: KeyringFile): string {
  return `${JSON.stringify(content, null, 2)}\n`
}

/** Opens every secret in the file, so that a fault shows at the start and not at the first call. */
export async function unseal(content: KeyringFile, master: KeyObject, file: string): Promise<Keyring> {
  if (!fits(content, master)) {
    throw new SoakpError('master_key_wrong', `${file} was made with another one.`, {
      hint: 'give back the master key of this home; without it nothing in it can be opened',
    })
  }
  const { instanceId, masterKeyVersion } = content
  const binding = { instanceId, masterKeyVersion }
  const secret = (wrapped: string, purpose: Binding['purpose'], subject: string): KeyObject => {
    const plaintext = unwrapOrThrow(master, wrapped, { purpose, subject, ...binding }, file)
    try {
      if (plaintext.length !== 32) throw damaged(file, `the ${purpose} key has ${plaintext.length} bytes`)
      return createSecretKey(plaintext)
    } finally {
      plaintext.fill(0)
    }
  }
  const databaseKey = secret(content.databaseKey, 'database', '')
  const keks = new Map(Object.entries(content.tenants).map(([tenant, { kek }]) => [tenant, secret(kek, 'kek', tenant)]))
  const signingKeys = await Promise.all(content.signingKeys.map(row => openSigningKey(row, master, binding, file)))
  return {
    instanceId,
    masterKeyVersion,
    databaseKey,
    kek: tenant => keks.get(tenant),
    signingKeys: signingKeys.sort((a, b) => b.createdAtMs - a.createdAtMs),
  }
}

type Version = Pick<Binding, 'instanceId' | 'masterKeyVersion'>

function wrapRandom(master: KeyObject, binding: Binding): string {
  const bytes = randomBytes(32)
  try {
    return wrap(master, bytes, binding)
  } finally {
    bytes.fill(0)
  }
}

function newSigningKey(master: KeyObject, binding: Version, createdAtMs: number): SigningKeyRow {
  const { publicKey, privateKey } = generateKeyPairSync('ed25519')
  const { x = '' } = publicKey.export({ format: 'jwk' })
  // the public key itself would do as a name, but a name is easier to read when it is short
  const kid = x.slice(0, 16)
  const pkcs8 = privateKey.export({ format: 'der', type: 'pkcs8' })
  try {
    return {
      kid,
      publicJwk: publicJwk(kid, x),
      sealedPrivate: wrap(master, pkcs8, { purpose: 'signing', subject: kid, ...binding }),
      createdAtMs,
    }
  } finally {
    pkcs8.fill(0)
  }
}

async function openSigningKey(row: SigningKeyRow, master: KeyObject, binding: Version, file: string): Promise<SigningKey> {
  const pkcs8 = unwrapOrThrow(master, row.sealedPrivate, { purpose: 'signing', subject: row.kid, ...binding }, file)
  try {
    // the public half is told by the private one: what stands beside it in the file is for people and could have been exchanged
    const { x = '' } = createPublicKey(createPrivateKey({ key: pkcs8, format: 'der', type: 'pkcs8' })).export({ format: 'jwk' })
    if (row.publicJwk.x !== x) throw damaged(file, `the halves of signing key ${row.kid} do not belong together`)
    const privateKey = await crypto.subtle.importKey('pkcs8', pkcs8, { name: 'Ed25519' }, false, ['sign'])
    return { kid: row.kid, publicJwk: publicJwk(row.kid, x), privateKey, createdAtMs: row.createdAtMs }
  } finally {
    pkcs8.fill(0)
  }
}

function publicJwk(kid: string, x: string): Record<string, string> {
  return { kty: 'OKP', crv: 'Ed25519', x, kid, alg: 'EdDSA', use: 'sig' }
}

function unwrapOrThrow(master: KeyObject, wrapped: string, binding: Binding, file: string): Buffer {
  const plaintext = unwrap(master, wrapped, binding)
  if (plaintext === undefined) throw damaged(file, `the ${binding.purpose} key ${binding.subject} does not open`)
  return plaintext
}

function damaged(file: string, what: string): SoakpError {
  return new SoakpError('vault_damaged', `${file}: ${what}.`, { hint: 'restore a backup with soakp restore FILE' })
}
