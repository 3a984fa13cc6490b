import { createCipheriv, createDecipheriv, createSecretKey, hkdfSync, type KeyObject, randomBytes, timingSafeEqual } from 'node:crypto'

const ivBytes = 12
const tagBytes = 16

/** What a wrapped value is bound to; it does not unwrap as anything else. */
export interface Binding {
  readonly purpose: 'database' | 'kek' | 'signing'
  /** The tenant or key id it belongs to; empty where there is one only. */
  readonly subject: string
  readonly instanceId: string
  readonly masterKeyVersion: number
}

/** One wrapping key per purpose, made from the master key by HKDF-SHA-256 (RFC 5869); the master key itself encrypts nothing. */
function wrappingKey(master: KeyObject, purpose: Binding['purpose']): KeyObject {
  const derived = Buffer.from(hkdfSync('sha256', master, Buffer.alloc(0), `soakp/v1/wrap/${purpose}`, 32))
  try {
    return createSecretKey(derived)
  } finally {
    derived.fill(0)
  }
}

/** AES-256-GCM, as base64url of nonce, ciphertext and tag. */
export function wrap(master: KeyObject, plaintext: Uint8Array, binding: Binding): string {
  const iv = randomBytes(ivBytes)
  const cipher = createCipheriv('aes-256-gcm', wrappingKey(master, binding.purpose), iv).setAAD(associated(binding))
  return Buffer.concat([iv, cipher.update(plaintext), cipher.final(), cipher.getAuthTag()]).toString('base64url')
}

/** The plaintext, for the caller to wipe; `undefined` where master key, binding or text do not fit together. */
export function unwrap(master: KeyObject, wrapped: string, binding: Binding): Buffer | undefined {
  const bytes = Buffer.from(wrapped, 'base64url')
  if (bytes.length <= ivBytes + tagBytes) return undefined
  const decipher = createDecipheriv('aes-256-gcm', wrappingKey(master, binding.purpose), bytes.subarray(0, ivBytes), {
    authTagLength: tagBytes,
  })
  decipher.setAAD(associated(binding)).setAuthTag(bytes.subarray(-tagBytes))
  const plaintext = decipher.update(bytes.subarray(ivBytes, -tagBytes))
  try {
    decipher.final()
    return plaintext
  } catch {
    plaintext.fill(0)
    return undefined
  }
}

/** Tells a wrong master key from a damaged file. Derived one way from 256 random bits, it gives nothing of the key away. */
export function fingerprint(master: KeyObject): string {
  return Buffer.from(hkdfSync('sha256', master, Buffer.alloc(0), 'soakp/v1/fingerprint', 16)).toString('base64url')
}

export function sameFingerprint(a: string, b: string): boolean {
  const [left, right] = [Buffer.from(a), Buffer.from(b)]
  return left.length === right.length && timingSafeEqual(left, right)
}

function associated({ purpose, subject, instanceId, masterKeyVersion }: Binding): Buffer {
  return Buffer.from(JSON.stringify(['soakp/v1', purpose, subject, instanceId, masterKeyVersion]))
}
