import type { MaybePromise } from '../lib/maybe.js'

/** One counter in one window: a grant's calls of a day, a key's money of a month. */
export interface CounterWindow {
  /** What is counted, of whom, in which kind of window: `grant/grt_…/calls/day`. */
  readonly counter: string
  readonly windowStartMs: number
  readonly windowEndMs: number
}

/** What one process has of a counter: it says so itself, in absolute numbers, so that saying it twice does no harm. */
export interface SliceState extends CounterWindow {
  /** Spent by calls that are over. */
  readonly used: number
  /** Taken off the limit: `used`, what open calls hold, and what is spare. */
  readonly drawn: number
  /** Most that open calls may hold until it is said anew. What is lost with a process is never more. */
  readonly mostHeld: number
}

export interface ClaimRequest extends SliceState {
  /** Of all processes together, in this window. */
  readonly limit: number
  /** How much more than `drawn` would be welcome. */
  readonly spare: number
  /** Draws what is asked for although it passes the limit. */
  readonly force: boolean
}

export interface ClaimAnswer {
  /** False: other processes have so much that `drawn` does not fit; nothing was changed. */
  readonly granted: boolean
  /** What this process has now: what it asked for, and perhaps some of the spare. */
  readonly drawn: number
  /** What every other process has, those that ended included. */
  readonly others: number
}

/** What has become of a counter, for people. */
export interface CounterTotal extends CounterWindow {
  /** Calls that are over, and what was lost. */
  readonly used: number
  readonly drawn: number
  /** What open calls hold, or a little more. */
  readonly held: number
  /** Counted as used because a process ended with calls open. */
  readonly lost: number
}

/**
 * Counters that several processes share exactly. Each process draws slices of a limit before it lets calls go, and says what of them is used in the commit that holds the calls' entries;
 * the sum of all slices never passes the limit, but for what is drawn by `force`. An instance is one life of one process; it renews itself, and once that is overdue and it is not known to
 * be alive, or it is known to be dead, its slices are closed: what was used stays used, what its open calls may have held counts as used too (`lost`), the rest is given back. One that only
 * stood still says its own numbers when it goes on, and nothing of it is counted twice.
 *
 * To be exact, an implementation needs: `claim` and `settle` atomic and serializable with each other (SQLite: one write transaction; PostgreSQL: `SELECT … FOR UPDATE` on the counter's
 * rows; Redis: one script), and one clock for `expiresAtMs`. Amounts are whole numbers: calls, micro-dollars, model tokens.
 */
export interface SliceStore {
  openInstance(instance: string, expiresAtMs: number): MaybePromise<void>
  /**
   * Puts its end off. `closed`: it was overdue and its slices were closed meanwhile: what it had spare is given back, and what it says of each slice from now on takes the place of
   * what was taken for lost. `gone`: nothing is known of it any more; what it last said is settled.
   */
  renewInstance(instance: string, expiresAtMs: number): MaybePromise<'open' | 'closed' | 'gone'>
  /** How many instances live, this one not counted. */
  otherInstances(instance: string, now: number): MaybePromise<number>
  /** Takes over what the instance says, and draws more of the limit if it fits. Closes the slices of the dead first where it would not. */
  claim(instance: string, request: ClaimRequest, now: number): MaybePromise<ClaimAnswer>
  /** Takes over what the instance says. Never refused. `SliceState.drawn` is at least `used`. */
  settleSlices(instance: string, slices: readonly SliceState[]): MaybePromise<void>
  /** Takes over what an idle slice used, so that the instance may forget it. */
  retireSlices(instance: string, windows: readonly CounterWindow[]): MaybePromise<void>
  /** Closes the instance. `endedInOrder`: no call of it is open, so nothing is lost. */
  closeInstance(instance: string, endedInOrder: boolean): MaybePromise<void>
  /** What every other instance has of a counter, those that ended included. Only reads, so it may answer while nothing can be written. */
  drawnByOthers(instance: string, window: Pick<CounterWindow, 'counter' | 'windowStartMs'>): MaybePromise<number>
  /** Closes the slices of instances that are overdue or dead, for good those that were overdue before `goneBeforeMs`. Tells how many instances were closed. */
  closeDead(now: number, goneBeforeMs: number): MaybePromise<number>
  /** Forgets windows that have been over for two days, and for twice their length; at most `most`. Tells how many rows that were. */
  pruneWindows(now: number, most: number): MaybePromise<number>
  /** The windows of a counter, the newest first. */
  counterTotals(counters: readonly string[]): MaybePromise<CounterTotal[]>
}

/** How long a window is still told of once it is over. */
export function rememberedMs({ windowStartMs, windowEndMs }: Omit<CounterWindow, 'counter'>): number {
  return Math.max(leastRememberedMs, 2 * (windowEndMs - windowStartMs))
}

export const leastRememberedMs = 2 * 86_400_000
