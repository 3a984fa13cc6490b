import { SoakpError } from '../errors.js'
import { BoundedMap } from '../lib/bounded-map.js'
import { isPromise, type MaybePromise } from '../lib/maybe.js'
import type { AliasRecord, KeyRecord } from '../stores/records.js'
import type { GrantAndTokens, Store } from '../stores/store.js'

const remembered = 20_000

/**
 * Grants and keys as they are now, kept in memory for as long as the store says that nothing changed. Every look-up asks the store first, so
 * that a change made by any process is obeyed from the next call on.
 */
export interface Policy {
  /** Drops what is remembered if anything changed, and tells the generation it is at. Throws `store_unavailable`. */
  refresh(): MaybePromise<number>
  /**
   * Refreshes once and then runs `work`, which must not wait: inside it, `refresh` answers at once. For calls that are judged together; where the refresh fails, each of
   * them asks, and hears of it, itself.
   */
  together(work: () => void): void
  /** After `refresh`. */
  grant(id: string): MaybePromise<GrantAndTokens | undefined>
  /** After `refresh`: the tenant's keys for a provider, in the order they were made. */
  keys(tenant: string, provider: string): MaybePromise<readonly KeyRecord[]>
  /** After `refresh`: all the tenant's keys, in the order they were made. */
  allKeys(tenant: string): MaybePromise<readonly KeyRecord[]>
  /** After `refresh`: what the tenant's aliases of models stand for, by name. */
  aliases(tenant: string): MaybePromise<ReadonlyMap<string, string>>
  /** After `refresh`: origins that some live grant allows. */
  origins(now: number): MaybePromise<ReadonlySet<string>>
}

type PolicyStore = Pick<Store, 'policyGeneration' | 'getGrant' | 'listKeys' | 'listGrants' | 'listAliases'>

export function createPolicy(store: PolicyStore): Policy {
  let generation = -1
  let isFresh = false
  const grants = new BoundedMap<string, GrantAndTokens>(remembered)
  const keys = new BoundedMap<string, readonly KeyRecord[]>(remembered)
  const aliases = new BoundedMap<string, ReadonlyMap<string, string>>(remembered)
  let origins: ReadonlySet<string> | undefined

  function moveTo(current: number): number {
    if (current !== generation) {
      grants.clear()
      keys.clear()
      aliases.clear()
      origins = undefined
      generation = current
    }
    return current
  }

  /** Keeps what was read only if nothing changed meanwhile. */
  function remember<K, V>(map: BoundedMap<K, V>, key: K, read: MaybePromise<V>): MaybePromise<V> {
    const asked = generation
    const keep = (value: V) => {
      if (value !== undefined && asked === generation) map.set(key, value)
      return value
    }
    return isPromise(read) ? read.then(keep) : keep(read)
  }

  function refresh(): MaybePromise<number> {
    if (isFresh) return generation
    try {
      const current = store.policyGeneration()
      return isPromise(current) ? current.then(moveTo, unavailable) : moveTo(current)
    } catch (cause) {
      return unavailable(cause)
    }
  }

  function whileFresh(work: () => void): void {
    isFresh = true
    try {
      work()
    } finally {
      isFresh = false
    }
  }

  return {
    refresh,

    together(work) {
      let current: MaybePromise<number>
      try {
        current = refresh()
      } catch {
        return work()
      }
      if (isPromise(current)) current.then(() => whileFresh(work), work)
      else whileFresh(work)
    },

    grant(id) {
      return (
        grants.get(id) ??
        remember<string, GrantAndTokens | undefined>(grants as BoundedMap<string, GrantAndTokens | undefined>, id, store.getGrant(id))
      )
    },

    keys(tenant, provider) {
      const name = `${tenant}/${provider}`
      return keys.get(name) ?? remember<string, readonly KeyRecord[]>(keys, name, store.listKeys({ tenant, provider }))
    },

    allKeys(tenant) {
      // no provider is called so
      const name = `${tenant}/`
      return keys.get(name) ?? remember<string, readonly KeyRecord[]>(keys, name, store.listKeys({ tenant }))
    },

    aliases(tenant) {
      const known = aliases.get(tenant)
      if (known) return known
      const records = store.listAliases(tenant)
      return remember<string, ReadonlyMap<string, string>>(aliases, tenant, isPromise(records) ? records.then(targets) : targets(records))
    },

    origins(now) {
      if (origins) return origins
      const asked = generation
      const collect = (records: Awaited<ReturnType<Store['listGrants']>>) => {
        const found = new Set(
          records.filter(grant => grant.revokedAtMs === null && grant.expiresAtMs > now).flatMap(grant => grant.origins),
        )
        if (asked === generation) origins = found
        return found
      }
      const records = store.listGrants()
      return isPromise(records) ? records.then(collect) : collect(records)
    },
  }
}

function targets(records: readonly AliasRecord[]): ReadonlyMap<string, string> {
  return new Map(records.map(({ name, target }) => [name, target]))
}

function unavailable(cause: unknown): never {
  throw cause instanceof SoakpError ? cause : new SoakpError('store_unavailable', undefined, { cause })
}
