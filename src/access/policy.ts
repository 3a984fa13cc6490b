import { SoakpError } from '../errors.js'
import { BoundedMap } from '../lib/bounded-map.js'
import { isPromise, type MaybePromise } from '../lib/maybe.js'
import type { AliasRecord, AppRecord, GrantRecord, IssuerRecord, KeyRecord, LimitRecord } from '../stores/records.js'
import type { AppUserAndTokens, GrantAndTokens, Store } from '../stores/store.js'
import { userGrant } from './user-grant.js'

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
  /** After `refresh`. Also that of an app's user, put together from the app's template. */
  grant(id: string): MaybePromise<GrantAndTokens | undefined>
  /** Reads the grant anew when it is next asked for: for changes that raise no generation. */
  forgetGrant(id: string): void
  /** After `refresh`. */
  app(id: string): MaybePromise<AppRecord | undefined>
  /** After `refresh`. */
  issuers(): MaybePromise<readonly IssuerRecord[]>
  /** After `refresh`: the tenant's keys for a provider, in the order they were made. */
  keys(tenant: string, provider: string): MaybePromise<readonly KeyRecord[]>
  /** After `refresh`: all the tenant's keys, in the order they were made. */
  allKeys(tenant: string): MaybePromise<readonly KeyRecord[]>
  /** After `refresh`: what the tenant's aliases of models stand for, by name. */
  aliases(tenant: string): MaybePromise<ReadonlyMap<string, string>>
  /** After `refresh`: the tenant's limits, beside what grants and apps have of their own. The same list for as long as nothing changed. */
  limits(tenant: string): MaybePromise<readonly LimitRecord[]>
  /** Refreshes; then what limits a grant's calls. Undefined: there is no such grant. */
  limited(grantId: string): MaybePromise<GrantAndLimits | undefined>
  /** After `refresh`: origins that some live grant or app allows. */
  origins(now: number): MaybePromise<ReadonlySet<string>>
}

export interface GrantAndLimits {
  readonly grant: GrantRecord
  readonly limits: readonly LimitRecord[]
}

type PolicyStore = Pick<
  Store,
  | 'policyGeneration'
  | 'getGrant'
  | 'listKeys'
  | 'listAliases'
  | 'listLimits'
  | 'listGrants'
  | 'getApp'
  | 'listApps'
  | 'getAppUser'
  | 'listIssuers'
>

export interface PolicyOptions {
  /** Called when something changed, before anything is looked up again. */
  readonly onChange?: () => void
  /** Where the store cannot be read, what is remembered still holds. */
  readonly goesOn?: boolean
}

export function createPolicy(store: PolicyStore, { onChange, goesOn = false }: PolicyOptions = {}): Policy {
  let generation = -1
  let last: { readonly tenant: string; readonly provider: string; readonly keys: readonly KeyRecord[] } | undefined
  let isFresh = false
  const grants = new BoundedMap<string, GrantAndTokens>(remembered)
  const keys = new BoundedMap<string, readonly KeyRecord[]>(remembered)
  const limits = new BoundedMap<string, readonly LimitRecord[]>(remembered)
  const aliases = new BoundedMap<string, ReadonlyMap<string, string>>(remembered)
  const apps = new BoundedMap<string, AppRecord>(remembered)
  let issuers: readonly IssuerRecord[] | undefined
  let origins: ReadonlySet<string> | undefined

  function moveTo(current: number): number {
    if (current !== generation) {
      grants.clear()
      keys.clear()
      last = undefined
      aliases.clear()
      limits.clear()
      apps.clear()
      issuers = undefined
      origins = undefined
      generation = current
      onChange?.()
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

  function readApp(id: string): MaybePromise<AppRecord | undefined> {
    return apps.get(id) ?? remember(apps as Remembering<AppRecord>, id, store.getApp(id))
  }

  function readIssuers(): MaybePromise<readonly IssuerRecord[]> {
    if (issuers) return issuers
    const asked = generation
    const keep = (found: readonly IssuerRecord[]) => {
      if (asked === generation) issuers = found
      return found
    }
    const found = store.listIssuers()
    return isPromise(found) ? found.then(keep) : keep(found)
  }

  function readGrant(id: string): MaybePromise<GrantAndTokens | undefined> {
    const own = store.getGrant(id)
    if (isPromise(own)) return own.then(found => found ?? readUser(id))
    return own ?? readUser(id)
  }

  function readUser(id: string): MaybePromise<GrantAndTokens | undefined> {
    const found = store.getAppUser(id)
    if (isPromise(found)) return found.then(value => value && compose(value))
    return found && compose(found)
  }

  function compose(found: AppUserAndTokens): MaybePromise<GrantAndTokens | undefined> {
    const app = readApp(found.user.app)
    const known = readIssuers()
    if (!isPromise(app) && !isPromise(known)) return app && userGrant(app, found, known)
    return Promise.all([app, known]).then(([template, issuers]) => template && userGrant(template, found, issuers))
  }

  function refresh(): MaybePromise<number> {
    if (isFresh) return generation
    try {
      const current = store.policyGeneration()
      return isPromise(current) ? current.then(moveTo, unread) : moveTo(current)
    } catch (cause) {
      return unread(cause)
    }
  }

  function unread(cause: unknown): number {
    if (goesOn && generation >= 0) return generation
    throw cause instanceof SoakpError ? cause : new SoakpError('store_unavailable', undefined, { cause })
  }

  function whileFresh(work: () => void): void {
    isFresh = true
    try {
      work()
    } finally {
      isFresh = false
    }
  }

  function grantOf(id: string): MaybePromise<GrantAndTokens | undefined> {
    return grants.get(id) ?? remember(grants as Remembering<GrantAndTokens>, id, readGrant(id))
  }

  function limitsOf(tenant: string): MaybePromise<readonly LimitRecord[]> {
    return limits.get(tenant) ?? remember<string, readonly LimitRecord[]>(limits, tenant, store.listLimits(tenant))
  }

  function limitedBy(found: GrantAndTokens | undefined): MaybePromise<GrantAndLimits | undefined> {
    if (!found) return undefined
    const { grant } = found
    const others = limitsOf(grant.tenant)
    return isPromise(others) ? others.then(limits => ({ grant, limits })) : { grant, limits: others }
  }

  function readLimited(id: string): MaybePromise<GrantAndLimits | undefined> {
    const found = grantOf(id)
    return isPromise(found) ? found.then(limitedBy) : limitedBy(found)
  }

  return {
    refresh,

    limited(grantId) {
      const fresh = refresh()
      return isPromise(fresh) ? fresh.then(() => readLimited(grantId)) : readLimited(grantId)
    },

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

    grant: grantOf,

    forgetGrant(id) {
      grants.delete(id)
    },

    app: readApp,
    issuers: readIssuers,

    keys(tenant, provider) {
      // calls come in runs of one kind; a name made anew for each would have to be hashed anew
      if (last && last.tenant === tenant && last.provider === provider) return last.keys
      const name = `${tenant}/${provider}`
      const known = keys.get(name)
      if (known) last = { tenant, provider, keys: known }
      return known ?? remember(keys, name, store.listKeys({ tenant, provider }))
    },

    allKeys(tenant) {
      // no provider is called so
      const name = `${tenant}/`
      return keys.get(name) ?? remember<string, readonly KeyRecord[]>(keys, name, store.listKeys({ tenant }))
    },

    limits: limitsOf,

    aliases(tenant) {
      const known = aliases.get(tenant)
      if (known) return known
      const records = store.listAliases(tenant)
      return remember<string, ReadonlyMap<string, string>>(aliases, tenant, isPromise(records) ? records.then(targets) : targets(records))
    },

    origins(now) {
      if (origins) return origins
      const asked = generation
      const keep = (found: ReadonlySet<string>) => {
        if (asked === generation) origins = found
        return found
      }
      const grantRecords = store.listGrants()
      const appRecords = store.listApps()
      if (!isPromise(grantRecords) && !isPromise(appRecords)) return keep(originsOf(grantRecords, appRecords, now))
      return Promise.all([grantRecords, appRecords]).then(found => keep(originsOf(...found, now)))
    },
  }
}

function targets(records: readonly AliasRecord[]): ReadonlyMap<string, string> {
  return new Map(records.map(({ name, target }) => [name, target]))
}

type Remembering<V> = BoundedMap<string, V | undefined>

function originsOf(grants: readonly GrantRecord[], apps: readonly AppRecord[], now: number): ReadonlySet<string> {
  return new Set([
    ...grants.filter(grant => grant.revokedAtMs === null && grant.expiresAtMs > now).flatMap(grant => grant.origins),
    ...apps.filter(app => app.revokedAtMs === null).flatMap(app => app.origins),
  ])
}
