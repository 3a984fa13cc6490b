import { randomFillSync } from 'node:crypto'
import { Secret } from '../lib/secret.js'
import type { KeyRecord } from '../stores/records.js'

interface Held {
  readonly record: KeyRecord
  /** Random bytes, as many as the key has, drawn for this key alone. */
  readonly pad: Buffer
  /** The key, each byte with its pad byte added without carry. */
  readonly sealed: Buffer
}

/** Keys that were opened before, kept sealed in this process under bytes that exist nowhere else. */
export interface OpenKeys {
  /** The key of this very record, for the caller to wipe; `undefined` where another record, or none, was opened under its id. */
  get(record: KeyRecord): Secret | undefined
  /** Takes a copy of the plaintext. */
  set(record: KeyRecord, plaintext: Uint8Array): void
}

/**
 * Holds at most `max` keys; the longest held makes room. Each is sealed with a one-time pad: without the pad its bytes say nothing at all, pad and sealed key lie apart and
 * outside the JavaScript heap, and opening costs a tenth of a microsecond where a cipher costs five and leaves its state to be collected.
 */
export function createOpenKeys(max: number): OpenKeys {
  const held = new Map<string, Held>()

  return {
    get(record) {
      const found = held.get(record.id)
      if (found === undefined || !isSame(found.record, record)) return undefined
      const { pad, sealed } = found
      const secret = Secret.ofSize(sealed.length)
      const bytes = secret.bytes()
      for (let at = 0; at < sealed.length; at++) bytes[at] = (sealed[at] as number) ^ (pad[at] as number)
      return secret
    },
    set(record, plaintext) {
      if (held.size >= max && !held.has(record.id)) held.delete(held.keys().next().value as string)
      const pad = randomFillSync(Buffer.alloc(plaintext.length))
      const sealed = Buffer.alloc(plaintext.length)
      for (let at = 0; at < plaintext.length; at++) sealed[at] = (plaintext[at] as number) ^ (pad[at] as number)
      held.set(record.id, { record, pad, sealed })
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
