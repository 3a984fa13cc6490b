import type { MaybePromise } from '../lib/maybe.js'
import type { Entry } from './records.js'
import type { CounterWindow, SliceState } from './slices.js'

/** What is held of one counter for a batch until it is settled. */
export interface BatchHold extends CounterWindow {
  readonly quantity: 'microDollars' | 'tokens'
  readonly amount: number
  /** A glob: the counter counts what these models used; empty: all. */
  readonly model: string
}

/** Work that a provider does later, and that is paid for by whoever made it: it is held for from its making until what it used was read. */
export interface BatchRecord {
  /** The key it was made with: only that one can ask for it. */
  readonly keyId: string
  /** As the provider names it, without what stands around it. */
  readonly id: string
  readonly tenant: string
  readonly provider: string
  /** The call that made it. What the batch used is written down under the same id. */
  readonly callId: string
  /** Of that call, behind the provider's name; with the version of the API, where the query says it. */
  readonly path: string
  /** The endpoint's pattern. */
  readonly endpoint: string
  readonly grantId: string
  readonly tokenId: string
  readonly subject: string | null
  readonly app: string | null
  readonly address: string
  /** As its requests name them, at most a hundred; empty: not known. */
  readonly models: readonly string[]
  /** How many requests it has; `null`: not known. */
  readonly requests: number | null
  readonly holds: readonly BatchHold[]
  readonly createdAtMs: number
  readonly nextPollAtMs: number
  /** How often it was asked for. */
  readonly polls: number
  /** How often in a row the provider did not say how it stands. */
  readonly misses: number
  readonly settledAtMs: number | null
}

export type BatchName = Pick<BatchRecord, 'keyId' | 'id'>

/**
 * Batches that are under way, and for some time those that are settled. What they hold stands beside the slices of the living, as if each were an instance that never ends. Whoever
 * works on one has leased it; a lease is over with its time, or with the process that took it.
 */
export interface BatchStore {
  /** Takes over from the instance what it held for the batch, in one commit. False: it is known already, and nothing was changed. */
  keepBatch(batch: BatchRecord, from?: { readonly instance: string; readonly states: readonly SliceState[] }): MaybePromise<boolean>
  /** Leases at most `most` of those that are due and that nobody works on, the longest due first. */
  leaseBatches(holder: string, now: number, untilMs: number, most: number): MaybePromise<BatchRecord[]>
  /** Ends the lease. False: it is not the holder's any more. */
  putBatchOff(name: BatchName, holder: string, state: Pick<BatchRecord, 'nextPollAtMs' | 'polls' | 'misses'>): MaybePromise<boolean>
  /** Entries, what is used of each of the batch's holds, and that it is settled, all in one commit. False: it is settled already or another's, and nothing was changed. */
  settleBatch(name: BatchName, holder: string, entries: readonly Entry[], used: readonly number[], now: number): MaybePromise<boolean>
  /** The newest first. */
  listBatches(filter: { readonly open?: true; readonly id?: string; readonly limit?: number }): MaybePromise<BatchRecord[]>
  /** Makes those that are not settled due at once, or the one of this id; tells how many. */
  hurryBatches(now: number, id?: string): MaybePromise<number>
  /** Forgets those that were settled before, at most `most`; tells how many. */
  pruneBatches(settledBeforeMs: number, most: number): MaybePromise<number>
}

/** What stands in the place of a method in the lines of the ledger that say what a batch used. */
export const batchMethod = 'BATCH'

/** What its holds are called among the slices. */
export function batchInstance({ keyId, id }: BatchName): string {
  return `batch ${keyId} ${id}`
}

/** Its holds, as the slices of an instance; `used`: as they stand once it is settled. */
export function batchSlices({ holds }: Pick<BatchRecord, 'holds'>, used?: readonly number[]): SliceState[] {
  return holds.map(({ counter, windowStartMs, windowEndMs, amount }, at) => {
    const drawn = used === undefined ? amount : (used[at] ?? amount)
    return { counter, windowStartMs, windowEndMs, drawn, used: used === undefined ? 0 : drawn, mostHeld: used === undefined ? amount : 0 }
  })
}
