import type { Logger } from 'pino'
import { isPromise } from '../../lib/maybe.js'
import type { OwnedRecord } from '../../stores/records.js'
import type { OwnedStore } from './ownership.js'

/** Writes down whose the new things are, in one commit per turn of the event loop, before those who made them are told their ids. */
export interface Learned {
  /** `done` is called once, when it is durable or with the error that kept it from being so. */
  keep(records: readonly OwnedRecord[], done: (error?: unknown) => void): void
}

const pruneEveryMs = 600_000
const prunedAtOnce = 2000

export function createLearned(store: OwnedStore, log: Pick<Logger, 'error'>, now: () => number): Learned {
  let batch: OwnedRecord[] = []
  let callbacks: ((error?: unknown) => void)[] = []
  let prunedAtMs = 0

  function flush(): void {
    const records = batch
    const waiting = callbacks
    batch = []
    callbacks = []
    const tell = (error?: unknown) => {
      for (const done of waiting) done(error)
      prune()
    }
    try {
      const kept = store.keepOwned(records)
      if (isPromise(kept)) kept.then(() => tell(), tell)
      else tell()
    } catch (error) {
      tell(error)
    }
  }

  /** What providers have forgotten is forgotten here, a little at a time. */
  function prune(): void {
    if (now() - prunedAtMs < pruneEveryMs) return
    prunedAtMs = now()
    const failed = (error: unknown) => log.error({ err: error }, 'what has ended could not be forgotten')
    try {
      const pruned = store.pruneOwned(now(), prunedAtOnce)
      // there is more where so much was found
      const again = (count: number) => {
        if (count >= prunedAtOnce) prunedAtMs = 0
      }
      if (isPromise(pruned)) pruned.then(again, failed)
      else again(pruned)
    } catch (error) {
      failed(error)
    }
  }

  return {
    keep(records, done) {
      batch.push(...records)
      callbacks.push(done)
      if (callbacks.length === 1) setImmediate(flush)
    },
  }
}
