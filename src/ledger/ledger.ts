import { setImmediate as turn } from 'node:timers/promises'
import type { Logger } from 'pino'
import { isPromise } from '../lib/maybe.js'
import { isStoreTrouble, type Outage } from '../stores/outage.js'
import type { Entry } from '../stores/records.js'
import type { SliceState } from '../stores/slices.js'
import type { Store } from '../stores/store.js'
import type { Tally } from './tally.js'

/** Writes down what happened, in one commit per turn of the event loop, and tells each call when its line is durable. */
export interface Ledger {
  /**
   * `done` is called once: without an error when the commit that holds the entry is durable, with one when the store has failed for a while; then the entry is kept and written as soon as the
   * store can. Where calls go on without the store, it is called at once while that fails.
   */
  record(entry: Entry, done: (error?: unknown) => void): void
  /** False while the store fails: no new call may leave. Where calls go on without it, false once too much waits for it. */
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
  readonly log: Pick<Logger, 'error'>
  readonly outage: Outage
  /** What the calls have left of limits' counters, which becomes durable with their entries. */
  readonly takeChanges?: () => CounterChanges | undefined
  readonly tally?: Pick<Tally, 'count' | 'failStore'>
}

export interface CounterChanges {
  readonly instance: string
  readonly states: readonly SliceState[]
  done(committed: boolean): void
}

type Done = (error?: unknown) => void

/** The end of a reply waits so long for a store that fails, before its client is told by a broken connection. */
const patienceMs = 2000
/** Where calls go on without the store, so many entries wait for it; beyond that calls are refused. Less than a kilobyte each. */
const mostOwed = 50_000
/** The event loop stands still for that. */
const writtenAtOnce = 500

export function createLedger({ store, log, outage, takeChanges, tally }: LedgerDeps): Ledger {
  let batch: Entry[] = []
  let callbacks: Done[] = []
  let scheduled = false
  /** Entries whose commit is under way. */
  let writing: readonly Entry[] | undefined
  /** Entries that could not be written, oldest first. */
  let owed: Entry[] = []
  /** Of calls that wait for the store to come back. */
  const late: Done[] = []
  let patience: NodeJS.Timeout | undefined
  let isOutOfPatience = false
  let onSettled: (() => void)[] = []
  outage.endsWith(writeOwed)

  function flush(): void {
    scheduled = false
    if (writing !== undefined || batch.length === 0) return
    if (outage.isOn) {
      putOffBatch()
      return
    }
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
  function tell(waiting: readonly Done[], failure?: unknown): void {
    for (const done of waiting) {
      try {
        done(failure)
      } catch (error) {
        log.error({ err: error }, 'a call could not be ended')
      }
    }
  }

  function finish(waiting: readonly Done[], changes: CounterChanges | undefined): void {
    writing = undefined
    changes?.done(true)
    tell(waiting)
    wake()
  }

  function fail(entries: Entry[], waiting: Done[], error: unknown, changes: CounterChanges | undefined): void {
    writing = undefined
    changes?.done(false)
    tally?.failStore('entries')
    outage.begin(error)
    owed = [...entries, ...owed]
    putOff(waiting)
    wake()
  }

  function putOffBatch(): void {
    if (batch.length === 0) return
    owed.push(...batch)
    const waiting = callbacks
    batch = []
    callbacks = []
    putOff(waiting)
  }

  function putOff(waiting: readonly Done[]): void {
    if (outage.goesOn || isOutOfPatience) {
      tell(waiting, outage.goesOn ? undefined : outage.refusal)
      return
    }
    late.push(...waiting)
    patience ??= setTimeout(() => {
      isOutOfPatience = true
      tell(late.splice(0), outage.refusal)
    }, patienceMs)
  }

  /** A part at a time, with the counters in the first of them: what calls have used is not to be lost with a process that ends meanwhile. */
  async function writeOwed(): Promise<void> {
    do {
      // what its calls have used is among the counters
      putOffBatch()
      await writeFirst(owed.slice(0, writtenAtOnce))
      if (owed.length > 0) await turn()
    } while (owed.length > 0)
    clearTimeout(patience)
    patience = undefined
    isOutOfPatience = false
    tell(late.splice(0))
    // when it is over
    setImmediate(wake)
  }

  async function writeFirst(entries: readonly Entry[]): Promise<void> {
    const changes = takeChanges?.()
    try {
      await store.appendEntries(entries, changes)
    } catch (error) {
      changes?.done(false)
      tally?.failStore('entries')
      if (isStoreTrouble(error)) throw error
      await writeSingly(entries)
      return
    }
    owed = owed.slice(entries.length)
    changes?.done(true)
  }

  /** An entry that no store takes must not keep the others out for good. */
  async function writeSingly(entries: readonly Entry[]): Promise<void> {
    for (const entry of entries) {
      try {
        await store.appendEntries([entry])
      } catch (error) {
        if (isStoreTrouble(error)) throw error
        log.error({ err: error, entry }, 'this entry cannot be written, and is left out')
      }
      owed = owed.slice(1)
    }
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
      return !outage.isOn || (outage.goesOn && owed.length < mostOwed)
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
        const timer = setTimeout(() => resolve(false), patienceMs)
        onSettled.push(() => {
          clearTimeout(timer)
          resolve(true)
        })
        wake()
      })
    },
  }
}
