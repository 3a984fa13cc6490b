import type { Logger } from 'pino'
import { isPromise } from '../lib/maybe.js'
import type { Entry } from '../stores/records.js'
import type { SliceState } from '../stores/slices.js'
import type { Store } from '../stores/store.js'
import type { Tally } from './tally.js'

/** Writes down what happened, in one commit per turn of the event loop, and tells each call when its line is durable. */
export interface Ledger {
  /** `done` is called once: without an error when the commit that holds the entry is durable, with one when it failed; then the entry is kept and written as soon as the store can. */
  record(entry: Entry, done: (error?: unknown) => void): void
  /** False while entries wait for a store that failed: no new call may leave. */
  readonly healthy: boolean
  /** Entries recorded and not yet durable. */
  readonly waiting: number
  /** When the call of the oldest of these was over, in epoch milliseconds; undefined: none waits. */
  readonly oldestWaitingMs: number | undefined
  /** Resolves when nothing waits any more, or when `patienceMs` is over and the store still fails; tells which. */
  settle(patienceMs: number): Promise<boolean>
}

export interface LedgerDeps {
  readonly store: Pick<Store, 'appendEntries'>
  readonly log: Pick<Logger, 'error' | 'info'>
  /** What the calls have left of limits' counters, which becomes durable with their entries. */
  readonly takeChanges?: () => CounterChanges | undefined
  readonly tally?: Pick<Tally, 'count' | 'failStore'>
}

export interface CounterChanges {
  readonly instance: string
  readonly states: readonly SliceState[]
  done(committed: boolean): void
}

const firstRetryMs = 100
const longestRetryMs = 5000

export function createLedger({ store, log, takeChanges, tally }: LedgerDeps): Ledger {
  let batch: Entry[] = []
  let callbacks: ((error?: unknown) => void)[] = []
  let scheduled = false
  /** Entries whose commit is under way. */
  let writing: readonly Entry[] | undefined
  /** Entries whose commit failed, oldest first. */
  let owed: Entry[] = []
  let retryMs = firstRetryMs
  let retryTimer: NodeJS.Timeout | undefined
  let onSettled: (() => void)[] = []

  function flush(): void {
    scheduled = false
    if (writing !== undefined || batch.length === 0) return
    const entries = batch
    const waiting = callbacks
    batch = []
    callbacks = []
    writing = entries
    const changes = takeChanges?.()
    try {
      const written = store.appendEntries(entries, changes)
      if (isPromise(written)) {
        written.then(
          () => finish(waiting, changes),
          error => fail(entries, waiting, error, changes),
        )
        return
      }
    } catch (error) {
      fail(entries, waiting, error, changes)
      return
    }
    finish(waiting, changes)
  }

  /** One call that cannot take the news keeps it from no other. */
  function tell(waiting: typeof callbacks, failure?: unknown): void {
    for (const done of waiting) {
      try {
        done(failure)
      } catch (error) {
        log.error({ err: error }, 'a call could not be ended')
      }
    }
  }

  function finish(waiting: typeof callbacks, changes: CounterChanges | undefined): void {
    writing = undefined
    changes?.done(true)
    tell(waiting)
    wake()
  }

  function fail(entries: Entry[], waiting: typeof callbacks, error: unknown, changes: CounterChanges | undefined): void {
    writing = undefined
    changes?.done(false)
    owed.push(...entries)
    tally?.failStore('entries')
    log.error({ err: error, entries: entries.length }, 'the ledger cannot be written; new calls are refused until it can')
    tell(waiting, error)
    retryTimer ??= setTimeout(retry, retryMs)
    wake()
  }

  async function retry(): Promise<void> {
    retryTimer = undefined
    const entries = owed
    try {
      await store.appendEntries(entries)
    } catch {
      tally?.failStore('entries')
      retryMs = Math.min(retryMs * 2, longestRetryMs)
      retryTimer = setTimeout(retry, retryMs)
      return
    }
    owed = owed.slice(entries.length)
    retryMs = firstRetryMs
    log.info({ entries: entries.length }, 'the ledger is written again; nothing was lost')
    if (owed.length > 0) retryTimer = setTimeout(retry, retryMs)
    wake()
  }

  function wake(): void {
    if (batch.length > 0 && !scheduled) schedule()
    if (batch.length > 0 || writing !== undefined || owed.length > 0) return
    const settled = onSettled
    onSettled = []
    for (const resolve of settled) resolve()
  }

  function schedule(): void {
    scheduled = true
    setImmediate(flush)
  }

  return {
    record(entry, done) {
      batch.push(entry)
      callbacks.push(done)
      tally?.count(entry)
      if (!scheduled && writing === undefined) schedule()
    },

    get healthy() {
      return owed.length === 0
    },

    get waiting() {
      return batch.length + owed.length + (writing?.length ?? 0)
    },

    get oldestWaitingMs() {
      const firsts = [owed[0], writing?.[0], batch[0]].filter(entry => entry !== undefined)
      return firsts.length === 0 ? undefined : Math.min(...firsts.map(({ startedAtMs, durationMs }) => startedAtMs + durationMs))
    },

    settle(patienceMs) {
      return new Promise(resolve => {
        const timer = setTimeout(() => {
          clearTimeout(retryTimer)
          resolve(false)
        }, patienceMs)
        onSettled.push(() => {
          clearTimeout(timer)
          resolve(true)
        })
        wake()
      })
    },
  }
}
