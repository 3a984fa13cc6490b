import { type KeyObject, webcrypto } from 'node:crypto'
import { CompactEncrypt, compactDecrypt } from 'jose'
import { SoakpError } from '../errors.js'
import type { KeyRecord } from '../stores/records.js'

/** What a sealed key is bound to: whose it is, and everything that decides where it is sent. */
export type Bound = Pick<
  KeyRecord,
  | 'masterKeyVersion'
  | 'tenant'
  | 'user'
  | 'provider'
  | 'id'
  | 'version'
  | 'baseUrl'
  | 'allowPrivate'
  | 'auth'
  | 'dialect'
  | 'organization'
  | 'project'
>

/** Seals and opens under one tenant's key-encryption key. Not extractable; jose takes it as it is. */
export type SealingKey = webcrypto.CryptoKey

export async function importSealingKey(kek: KeyObject): Promise<SealingKey> {
  const bytes = kek.export()
  try {
    return await webcrypto.subtle.importKey('raw', bytes, 'AES-GCM', false, ['encrypt', 'decrypt'])
  } finally {
    bytes.fill(0)
  }
}

/** A compact JWE (RFC 7516), `dir` with `A256GCM`, whose protected header is the binding. */
export function seal(key: SealingKey, plaintext: Uint8Array, bound: Bound): Promise<string> {
  return new CompactEncrypt(plaintext).setProtectedHeader(header(bound)).encrypt(key)
}

/**
 * The plaintext, for the caller to wipe. The header is compared as text with the one this record would be sealed under, before anything is decrypted: so
 * another algorithm, a compressed body, an extra member or any other value of a bound field is refused alike. Throws `key_unreadable`.
 */
export async function unseal(key: SealingKey, sealed: string, bound: Bound): Promise<Uint8Array> {
  if (sealed.slice(0, sealed.indexOf('.')) !== Buffer.from(JSON.stringify(header(bound))).toString('base64url')) {
    throw unreadable(bound.id, new Error('the sealed header is not that of the record'))
  }
  try {
    const { plaintext } = await compactDecrypt(sealed, key, { keyManagementAlgorithms: ['dir'], contentEncryptionAlgorithms: ['A256GCM'] })
    return plaintext
  } catch (cause) {
    throw unreadable(bound.id, cause)
  }
}

/** Names and their order are part of the format. */
function header(bound: Bound): { alg: 'dir'; enc: 'A256GCM'; [name: string]: unknown } {
  return {
    alg: 'dir',
    enc: 'A256GCM',
    typ: 'soakp-key',
    kid: bound.id,
    keyVersion: bound.version,
    masterKeyVersion: bound.masterKeyVersion,
    tenant: bound.tenant,
    user: bound.user,
    provider: bound.provider,
    baseUrl: bound.baseUrl,
    allowPrivate: bound.allowPrivate,
    auth: bound.auth,
    dialect: bound.dialect,
    organization: bound.organization,
    project: bound.project,
  }
}

function unreadable(id: string, cause: unknown): SoakpError {
  return new SoakpError('key_unreadable', id, { cause, hint: `put the key in again: soakp key rotate ${id}` })
}
