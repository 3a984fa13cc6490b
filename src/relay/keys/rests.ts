import type { Logger } from 'pino'
import { BoundedMap } from '../../lib/bounded-map.js'
import { isPromise } from '../../lib/maybe.js'
import type { KeyRecord, RestRecord } from '../../stores/records.js'
import type { Store } from '../../stores/store.js'

/** Which keys are passed over for a while, for one model each or for all, as providers asked. In memory, with the longer ones written down aside. */
export interface Rests {
  /** Nothing rests and nothing has lately: nobody need ask. */
  readonly isEmpty: boolean
  /** When the key can be asked for this model again, in epoch milliseconds; 0: it does not rest. */
  until(key: KeyRecord, model: string): number
  /**
   * The provider turned a call away, with `status` (0: it could not be reached). `statedMs` is how long it asked to wait; without, 1, 2, 4 … 60 s, longer with each time in
   * a row. An empty `model` stands for all. Calls that fail while the key rests already do not make it longer.
   */
  rest(key: KeyRecord, model: string, status: number, statedMs: number | undefined): void
  /** A call that began at `startedAtMs` went well: a rest that began before is over. */
  worked(key: KeyRecord, model: string, startedAtMs: number): void
  /** How many keys of each provider rest, for any model. Reads each of them: for whoever looks now and then. */
  byProvider(): Promise<ReadonlyMap<string, number>>
  close(): void
}

export interface RestsDeps {
  readonly store: Pick<Store, 'putRests' | 'listRests' | 'getKey'>
  readonly log: Pick<Logger, 'debug'>
  /** Epoch milliseconds. */
  readonly now: () => number
  /** From 0 to 1. */
  readonly random: () => number
}

/** Clients choose the names of models. */
const remembered = 10_000
const firstMs = 1000
const longestMs = 60_000
/** Whatever a provider states: a key that is never asked again is a key nobody notices. */
const longestStatedMs = 86_400_000
/** Shorter ones are over before anybody reads of them. */
const worthTellingMs = 3000
const writeEveryMs = 300

interface Rest {
  sinceMs: number
  untilMs: number
  failures: number
}

export function createRests({ store, log, now, random }: RestsDeps): Rests {
  const rests = new BoundedMap<string, Rest>(remembered)
  let toWrite: RestRecord[] = []
  let timer: NodeJS.Timeout | undefined
  let isLoaded = false

  /** What an earlier process was told still holds. */
  function load(): void {
    isLoaded = true
    const take = (records: readonly RestRecord[]) => {
      for (const { keyId, model, sinceMs, untilMs } of records) rests.set(`${keyId} ${model}`, { sinceMs, untilMs, failures: 1 })
    }
    const failed = (err: unknown) => log.debug({ err }, 'which keys rest could not be read')
    try {
      const found = store.listRests(now())
      if (isPromise(found)) found.then(take).catch(failed)
      else take(found)
    } catch (error) {
      failed(error)
    }
  }

  function untilOf(key: KeyRecord, model: string, at: number): number {
    const found = rests.get(`${key.id} ${model}`)
    return found !== undefined && found.untilMs > at && found.sinceMs > restsFrom(key) ? found.untilMs : 0
  }

  /** When the latest rest of each key that rests began. */
  function latest(): ReadonlyMap<string, number> {
    if (!isLoaded) load()
    const at = now()
    const found = new Map<string, number>()
    for (const [name, { sinceMs, untilMs }] of rests) {
      const keyId = name.slice(0, name.indexOf(' '))
      if (untilMs > at) found.set(keyId, Math.max(sinceMs, found.get(keyId) ?? 0))
    }
    return found
  }

  function tell(record: RestRecord): void {
    toWrite.push(record)
    timer ??= setTimeout(write, writeEveryMs).unref()
  }

  function write(): void {
    timer = undefined
    const records = toWrite
    toWrite = []
    const failed = (err: unknown) => log.debug({ err }, 'which keys rest could not be written down')
    try {
      Promise.resolve(store.putRests(records, now())).catch(failed)
    } catch (error) {
      failed(error)
    }
  }

  return {
    get isEmpty() {
      return rests.size === 0
    },

    until(key, model) {
      if (!isLoaded) load()
      if (rests.size === 0) return 0
      const at = now()
      return Math.max(untilOf(key, '', at), untilOf(key, model, at))
    },

    rest(key, model, status, statedMs) {
      const at = now()
      const name = `${key.id} ${model}`
      const before = rests.get(name)
      const resting = untilOf(key, model, at)
      const failures = before === undefined ? 1 : resting > 0 ? before.failures : before.failures + 1
      const untilMs = at + (statedMs === undefined ? backOffMs(failures, random) : Math.min(statedMs, longestStatedMs))
      if (resting > 0 && (statedMs === undefined || untilMs <= resting)) return
      rests.set(name, { sinceMs: at, untilMs, failures })
      if (untilMs - at >= worthTellingMs) tell({ keyId: key.id, model, sinceMs: at, untilMs: Math.round(untilMs), status })
    },

    worked(key, model, startedAtMs) {
      for (const name of [`${key.id} `, `${key.id} ${model}`]) {
        const found = rests.get(name)
        if (found === undefined || found.sinceMs >= startedAtMs) continue
        rests.delete(name)
        const wasTold = found.untilMs - found.sinceMs >= worthTellingMs && found.untilMs > now()
        if (wasTold) tell({ keyId: key.id, model: name.slice(key.id.length + 1), sinceMs: found.sinceMs, untilMs: 0, status: 0 })
      }
    },

    async byProvider() {
      const counts = new Map<string, number>()
      for (const [id, sinceMs] of latest()) {
        const key = await store.getKey(id)
        if (key?.state === 'active' && sinceMs > restsFrom(key)) counts.set(key.provider, (counts.get(key.provider) ?? 0) + 1)
      }
      return counts
    },

    close() {
      clearTimeout(timer)
    },
  }
}

/** What was before counts no more: the operator ended it, or the key is another. */
export function restsFrom(key: KeyRecord): number {
  return Math.max(key.wokenAtMs ?? 0, key.rotatedAtMs ?? 0)
}

/** A fifth more or less, so that daemons that were turned away together do not come back together. */
function backOffMs(failures: number, random: () => number): number {
  return Math.min(longestMs, firstMs * 2 ** (failures - 1)) * (0.8 + 0.4 * random())
}
