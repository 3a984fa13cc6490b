import type { MaybePromise } from '../lib/maybe.js'
import type { Secret } from '../lib/secret.js'
import type { KeyRecord } from '../stores/records.js'

/** What `key add` knows. Absent fields are the provider's own. */
export interface NewKey {
  readonly provider: string
  readonly name: string
  readonly secret: Secret
  readonly tenant?: string
  readonly user?: string
  readonly baseUrl?: string
  readonly allowPrivate?: boolean
  readonly auth?: string
  readonly dialect?: string
  readonly organization?: string
  readonly project?: string
}

/** Looks at a record that is about to be stored, such as by asking its provider; throws to prevent it. */
export type Accept = (record: KeyRecord) => Promise<void>

/** Seals and opens keys. The plaintext of a key is a `Secret`, and leaves only through `open`. */
export interface Vault {
  /** `accept` sees the sealed record before it is stored; what it throws is passed on, and nothing was stored. */
  put(key: NewKey, accept?: Accept): Promise<KeyRecord>
  /** Replaces the secret, if `accept` lets it; calls under way go on with the old one. Throws `key_not_found`. */
  rotate(id: string, secret: Secret, accept?: Accept): Promise<KeyRecord>
  /**
   * The key of this record, for one call: the caller wipes it. Answers at once when the key was opened before (it is kept sealed in memory under a key made
   * at start). Throws `key_unreadable` when record and seal disagree in any bound field.
   */
  open(record: KeyRecord): MaybePromise<Secret>
}
