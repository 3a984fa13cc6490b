import type { Logger } from 'pino'
import { isPromise, type MaybePromise } from '../../lib/maybe.js'
import { isStoreTrouble, type Outage } from '../../stores/outage.js'
import type { OwnedRecord } from '../../stores/records.js'
import type { OwnedFilter } from '../../stores/store.js'
import type { OwnedStore } from './ownership.js'

/** So many new things may wait for the store; each look-up goes through them. */
const mostWaiting = 10_000
const writtenAtOnce = 500

/**
 * For calls that go on while the store fails: what they make is kept in memory, known to look-ups, and written when the store is back. What cannot be kept fails as the store does. Nothing is
 * known of what was made before where the store cannot be read.
 */
export function keepLater(store: OwnedStore, outage: Outage, log: Pick<Logger, 'error'>): OwnedStore {
  let waiting: OwnedRecord[] = []

  async function write(): Promise<void> {
    while (waiting.length > 0) {
      const part = waiting.slice(0, writtenAtOnce)
      try {
        await store.keepOwned(part)
      } catch (error) {
        if (isStoreTrouble(error)) throw error
        log.error({ err: error, things: part.length }, 'whose these things are could not be written down')
      }
      waiting = waiting.filter(record => !part.includes(record))
    }
  }
  outage.endsWith(write)

  function later(records: readonly OwnedRecord[], error: unknown): void {
    if (!isStoreTrouble(error) || waiting.length + records.length > mostWaiting) throw error
    outage.begin(error)
    for (const record of records) if (!isKnown(record)) waiting.push(record)
  }

  /** What is known stays whose it is, as in the store. */
  function isKnown({ tenant, provider, kind, id, keyId }: OwnedRecord): boolean {
    if (waiting.some(record => matches(record, { tenant, provider, kind, id, keyId }))) return true
    try {
      const found = store.findOwned({ tenant, provider, kind, id })
      return !isPromise(found) && found.some(record => record.keyId === keyId)
    } catch {
      // the store says so when it is written
      return false
    }
  }

  return {
    ...store,
    keepOwned(records) {
      if (outage.isOn) return later(records, outage.refusal)
      try {
        const kept = store.keepOwned(records)
        return isPromise(kept) ? kept.catch(error => later(records, error)) : kept
      } catch (error) {
        return later(records, error)
      }
    },
    findOwned(name) {
      const found = store.findOwned(name)
      return waiting.length === 0
        ? found
        : joined(
            waiting.filter(record => matches(record, name)),
            found,
          )
    },
    listOwned(filter) {
      const found = store.listOwned(filter)
      return waiting.length === 0 ? found : joined(waiting.filter(record => matches(record, filter)).reverse(), found)
    },
    forgetOwned(name) {
      const before = waiting.length
      waiting = waiting.filter(record => !matches(record, name))
      return waiting.length < before || store.forgetOwned(name)
    },
  }
}

function joined(newer: readonly OwnedRecord[], found: MaybePromise<readonly OwnedRecord[]>): MaybePromise<OwnedRecord[]> {
  return isPromise(found) ? found.then(records => [...newer, ...records]) : [...newer, ...found]
}

function matches(record: OwnedRecord, { limit: _, ...wanted }: OwnedFilter & { readonly id?: string }): boolean {
  return Object.entries(wanted).every(([name, value]) => value === undefined || record[name as keyof OwnedRecord] === value)
}
