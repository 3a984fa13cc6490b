import { rulesOf } from '../../access/rules.js'
import { SoakpError } from '../../errors.js'
import { isPromise, type MaybePromise } from '../../lib/maybe.js'
import { type OwnershipPlan, ownershipOf, wayOf } from '../../providers/index.js'
import type { KeyRecord, OwnedRecord } from '../../stores/records.js'
import type { Store } from '../../stores/store.js'
import { goWith, routeOf } from '../authorize.js'
import type { Exchange } from '../exchange.js'
import { bareName } from '../query-name.js'
import { type Named, namedAt } from './owned.js'

export type OwnedStore = Pick<Store, 'keepOwned' | 'findOwned' | 'listOwned' | 'forgetOwned' | 'pruneOwned'>

/** Holds what a call names against whose it is, before the call leaves. */
export interface Ownership {
  /**
   * Judges the path, the query and what was found in the body, and settles which key the call goes with: the one that made what it names. Throws or rejects with
   * `resource_not_found`, `endpoint_not_open` for a call that is not tracked, `invalid_request` where two accounts would be needed.
   */
  admit(exchange: Exchange): MaybePromise<void>
  /** The same for what stood in a form that is already on its way with the exchange's key. */
  admitForm(exchange: Exchange, named: readonly Named[]): MaybePromise<void>
}

export function createOwnership(store: OwnedStore): Ownership {
  return {
    admit(exchange) {
      const { endpoint } = exchange
      const plan = endpoint && ownershipOf(endpoint)
      if (!plan) return
      const named = [...(exchange.named ?? []), ...namedByTarget(exchange, plan)]
      if (named.length > 0) exchange.named = named
      const owned = named.filter(({ kind }) => kind !== undefined)
      if (owned.length > 0) return settle(exchange, owned)
      if (exchange.rivals && (endpoint?.class === 'account' || exchange.call.upgrade)) return stay(exchange)
    },
    admitForm(exchange, named) {
      if (named.length > 0) return settle(exchange, named)
    },
  }

  /** Looks up each of them, and leaves the keys that know all. */
  function settle(exchange: Exchange, named: readonly Named[]): MaybePromise<void> {
    const { grant, call } = exchange
    const tenant = grant?.record.tenant ?? ''
    const found = named.map(({ kind = '', id }) => store.findOwned({ tenant, provider: call.provider, kind, id }))
    const judge = (records: readonly (readonly OwnedRecord[])[]) => {
      let keys: ReadonlySet<string> | undefined
      named.forEach((one, at) => {
        const known = makersOf(exchange, one, records[at] ?? [])
        if (known) keys = keys ? new Set([...keys].filter(id => known.has(id))) : known
      })
      if (keys) choose(exchange, keys)
    }
    if (found.some(isPromise)) return Promise.all(found).then(judge)
    judge(found as (readonly OwnedRecord[])[])
  }

  /** Without anything to go by, a grant stays with the key that it made its last thing with: so that its lists are whole. */
  function stay(exchange: Exchange): MaybePromise<void> {
    const { grant, call } = exchange
    const last = store.listOwned({ tenant: grant?.record.tenant ?? '', provider: call.provider, grantId: grant?.record.id ?? '', limit: 1 })
    const judge = ([record]: readonly OwnedRecord[]) => {
      const key = exchange.rivals?.keys.find(({ id }) => id === record?.keyId)
      if (!key) return
      // what a connection will name is not known yet: where the key cannot be asked, another one is better than none
      if (exchange.call.upgrade && exchange.rivals) exchange.rivals.preferred = key
      else use(exchange, key)
    }
    return isPromise(last) ? last.then(judge) : judge(last)
  }
}

/** Which keys the thing was made with, as far as the call may know; undefined: any. */
function makersOf({ grant }: Exchange, { mostlyPublic }: Named, records: readonly OwnedRecord[]): ReadonlySet<string> | undefined {
  const { record } = grant ?? {}
  const own = records.filter(({ grantId }) => grantId === record?.id)
  if (own.length > 0) return new Set(own.map(({ keyId }) => keyId))
  if (record && rulesOf(record).reachesAll) return records.length === 0 ? undefined : new Set(records.map(({ keyId }) => keyId))
  if (mostlyPublic && records.length === 0) return undefined
  throw new SoakpError('resource_not_found')
}

function choose(exchange: Exchange, keys: ReadonlySet<string>): void {
  if (keys.size === 0) throw new SoakpError('invalid_request', 'It names things that were made with different keys.')
  const { key, rivals } = exchange
  const open = rivals?.keys ?? (key ? [key] : [])
  const maker = open.find(({ id }) => keys.has(id))
  if (!maker) throw new SoakpError('resource_not_found', 'It was made with a key that is not open here any more.')
  use(exchange, maker)
}

function use(exchange: Exchange, key: KeyRecord): void {
  goWith(exchange, key)
  exchange.rivals = undefined
}

/** What stands in the path and the query; also notes what the call does. */
function namedByTarget(exchange: Exchange, plan: OwnershipPlan): Named[] {
  const { call, endpoint, grant, key } = exchange
  const { owns } = plan
  const method = call.request.method ?? ''
  const found = plan.ways.length === 0 ? undefined : wayOf(plan, method, pathsOf(call.path, key))
  const reachesAll = grant !== undefined && rulesOf(grant.record).reachesAll
  if (!found && owns.root !== undefined && !reachesAll)
    throw new SoakpError('endpoint_not_open', 'It is not known whose it reaches.', {
      hint: 'the operator opens what everybody made with: --endpoints … all-resources',
    })
  if (found) exchange.way = { way: found.way, kind: found.way.kind ?? owns.kind, id: found.id }
  else if (owns.root === undefined && owns.ways[0]?.when === undefined && owns.ways[0])
    exchange.way = { way: owns.ways[0], kind: owns.kind, id: undefined }
  const named: Named[] = []
  if (found?.id !== undefined) named.push({ kind: found.way.kind ?? owns.kind, id: found.id, mostlyPublic: owns.mostlyPublic === true })
  if (call.query !== '' && plan.queryNames.length > 0 && endpoint) named.push(...namedByQuery(call.query, plan))
  return named
}

function namedByQuery(query: string, { queryNames }: OwnershipPlan): Named[] {
  const named: Named[] = []
  for (const [name, value] of new URLSearchParams(query)) {
    const bare = bareName(name)
    for (const place of queryNames) {
      const one = place.at === bare ? namedAt(place, value) : undefined
      if (one) named.push(one)
    }
  }
  return named
}

/** The path as it may be at the provider, given what a key's base URL says before it. */
function pathsOf(path: string, key: KeyRecord | undefined): string[] {
  const prefix = key ? routeOf(key).prefix : ''
  const paths = [path]
  for (let at = prefix.lastIndexOf('/'); at >= 0; at = at === 0 ? -1 : prefix.lastIndexOf('/', at - 1)) paths.push(prefix.slice(at) + path)
  return paths
}
