import { SoakpError } from '../../../errors.js'
import type { DnsAccount, DnsContext, Zone } from '../provider.js'
import { valuesByName } from './values.js'

/** What stands at a name, and whatever of it (TTL, version, comments) writing it again has to keep. */
export interface NameSet<T> {
  readonly values: ReadonlySet<string>
  readonly stored: T
}

export interface SetChange<T> {
  readonly name: string
  /** As it was read; undefined where nothing stands there yet. */
  readonly before: NameSet<T> | undefined
  /** Bare, each once. Empty: the set is to go. */
  readonly values: readonly string[]
}

/** An API that writes all values of a name at once. */
export interface SetApi<T> {
  /** Undefined where the name has no TXT. Values are bare. */
  read(zone: Zone, name: string): Promise<NameSet<T> | undefined>
  /** All in one request where the API can. Throws `StaleSet` where the API says that the set is not what was read. */
  write(zone: Zone, changes: readonly SetChange<T>[]): Promise<void>
}

/** The API refused a write because somebody else's came before it: read and try again. */
export class StaleSet extends Error {}

const rounds = 8

/**
 * `add` and `remove` for APIs that replace whole sets, so that foreign values stay: read, unite or take away, write, and look again whether somebody else's write came between.
 * Within the process, writes to one zone (`scope` says of which account or server) go one after the other.
 */
export function setAccount<T>(context: DnsContext, scope: string, api: SetApi<T>): Pick<DnsAccount, 'add' | 'remove'> {
  const change = (zone: Zone, names: ReadonlyMap<string, ReadonlySet<string>>, wanted: Wanted) =>
    serially(`${scope} ${zone.id}`, async () => {
      for (let round = 1; round <= rounds; round++) {
        const changes: SetChange<T>[] = []
        for (const [name, ours] of names) {
          const before = await api.read(zone, name)
          const now = before?.values ?? new Set()
          const values = wanted(now, ours)
          if (values.length !== now.size || values.some(value => !now.has(value))) changes.push({ name, before, values })
        }
        if (changes.length === 0) return
        await api.write(zone, changes).catch(error => {
          if (!(error instanceof StaleSet)) throw error
        })
        if (round > 1) await context.delay(50 * 2 ** round * Math.random())
      }
      throw new SoakpError(
        'dns_provider_failed',
        `${zone.name}: what was written does not stay, as if something else wrote the same names all the time.`,
      )
    })
  return {
    add: (zone, records) => change(zone, valuesByName(records), (now, ours) => [...new Set([...now, ...ours])]),
    remove: (zone, records) => change(zone, valuesByName(records), (now, ours) => [...now].filter(value => !ours.has(value))),
  }
}

type Wanted = (now: ReadonlySet<string>, ours: ReadonlySet<string>) => string[]

const queues = new Map<string, Promise<unknown>>()

/** Runs `work` after all work under the same key that was asked for before. */
export function serially<T>(key: string, work: () => Promise<T>): Promise<T> {
  const done = (queues.get(key) ?? Promise.resolve()).then(work, work)
  const settled = done.catch(() => undefined).finally(() => queues.get(key) === settled && queues.delete(key))
  queues.set(key, settled)
  return done
}
