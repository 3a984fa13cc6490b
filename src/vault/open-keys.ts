import { createCipheriv, createDecipheriv, createSecretKey, randomFillSync } from 'node:crypto'
import { Secret } from '../lib/secret.js'
import type { KeyRecord } from '../stores/records.js'

interface Held {
  readonly record: KeyRecord
  readonly iv: Buffer
  readonly ciphertext: Buffer
  readonly tag: Buffer
}

/** Keys that were opened before, kept sealed under a key that exists in this process only. */
export interface OpenKeys {
  /** The key of this very record, for the caller to wipe; `undefined` where another record, or none, was opened under its id. */
  get(record: KeyRecord): Secret | undefined
  /** Takes a copy of the plaintext. */
  set(record: KeyRecord, plaintext: Uint8Array): void
}

/** Holds at most `max` keys; the longest held makes room. */
export function createOpenKeys(max: number): OpenKeys {
  const raw = randomFillSync(Buffer.alloc(32))
  const key = createSecretKey(raw)
  raw.fill(0)
  const held = new Map<string, Held>()

  return {
    get(record) {
      const found = held.get(record.id)
      if (found === undefined || !isSame(found.record, record)) return undefined
      const decipher = createDecipheriv('aes-256-gcm', key, found.iv).setAuthTag(found.tag)
      const plaintext = decipher.update(found.ciphertext)
      decipher.final()
      const secret = new Secret(plaintext)
      plaintext.fill(0)
      return secret
    },
    set(record, plaintext) {
      if (held.size >= max && !held.has(record.id)) held.delete(held.keys().next().value as string)
      // never reused: 96 random bits, and a new key at each start
      const iv = randomFillSync(Buffer.alloc(12))
      const cipher = createCipheriv('aes-256-gcm', key, iv)
      const ciphertext = cipher.update(plaintext)
      cipher.final()
      held.set(record.id, { record, iv, ciphertext, tag: cipher.getAuthTag() })
    },
  }
}

/** Whether the seal and all that it binds are those of the record that was opened; otherwise the seal has to be asked. */
function isSame(a: KeyRecord, b: KeyRecord): boolean {
  return (
    a === b ||
    (a.sealed === b.sealed &&
      a.version === b.version &&
      a.masterKeyVersion === b.masterKeyVersion &&
      a.tenant === b.tenant &&
      a.user === b.user &&
      a.provider === b.provider &&
      a.baseUrl === b.baseUrl &&
      a.allowPrivate === b.allowPrivate &&
      a.auth === b.auth &&
      a.dialect === b.dialect &&
      a.organization === b.organization &&
      a.project === b.project)
  )
}
