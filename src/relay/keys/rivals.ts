import type { KeyRecord } from '../../stores/records.js'
import type { Kept } from './keep.js'

/** Of a call that several keys could answer: which they are, and what the attempts so far have come to. */
export interface Rivals {
  /** Active ones, a user's own before the tenant's; at least two. */
  readonly keys: readonly KeyRecord[]
  /** The call names something that only one account has: it stays with the first key. */
  pinned: boolean
  /** The one that made what the call may name. */
  preferred: KeyRecord | undefined
  /** Ids of keys that were tried. */
  readonly tried: string[]
  /** The body as it streamed through, while it can be sent again. */
  kept: Kept | undefined
  /** The shortest time that a key was asked to rest for by this call. */
  waitMs: number | undefined
}

export function newRivals(keys: readonly KeyRecord[]): Rivals {
  return { keys, pinned: false, preferred: undefined, tried: [], kept: undefined, waitMs: undefined }
}
