import { type EndpointFacts, type Rules, rulesOf } from '../access/rules.js'
import { SoakpError } from '../errors.js'
import {
  asSocketProvider,
  checkPath,
  customProvider,
  type EndpointMatch,
  findProvider,
  matchEndpoint,
  matchUnderPrefix,
  parseAuthScheme,
  pathReadings,
} from '../providers/index.js'
import type { AuthScheme, Endpoint, Provider } from '../providers/provider.js'
import type { GrantRecord, KeyRecord } from '../stores/records.js'
import type { Call } from './call.js'
import type { Exchange } from './exchange.js'
import { newRivals } from './keys/rivals.js'

/** Where a key's calls go, worked out once per record. */
export interface Route {
  readonly provider: Provider
  readonly origin: string
  /** Path of the key's base URL without a closing slash; usually empty. */
  readonly prefix: string
  readonly auth: AuthScheme
  /** The key's own base URL replaces every host of the provider's row. */
  readonly hasBaseUrl: boolean
}

const routes = new WeakMap<KeyRecord, Route>()

/** Throws `unknown_provider` for a custom key whose record no longer describes a service. */
export function routeOf(key: KeyRecord): Route {
  let route = routes.get(key)
  if (!route) {
    route = makeRoute(key)
    routes.set(key, route)
  }
  return route
}

/** The call goes out with this key, and so to its provider. */
export function goWith(exchange: Exchange, key: KeyRecord): void {
  exchange.key = key
  exchange.provider = routeOf(key).provider
}

function makeRoute(key: KeyRecord): Route {
  const auth = key.auth === null ? undefined : parseAuthScheme(key.auth)
  const provider =
    findProvider(key.provider) ??
    customProvider({ id: key.provider, baseUrl: key.baseUrl ?? '', auth: auth ?? { type: 'bearer' }, dialect: key.dialect ?? 'openai' })
  if (!provider) throw new SoakpError('unknown_provider', key.provider)
  const base = key.baseUrl === null ? undefined : new URL(key.baseUrl)
  return {
    provider,
    origin: base?.origin ?? provider.origin,
    prefix: base?.pathname.replace(/\/+$/, '') ?? '',
    auth: auth ?? provider.auth,
    hasBaseUrl: base !== undefined,
  }
}

/** The keys of this provider that the grant opens, those that work before those the provider refused last. A user's own come before the tenant's. */
export function usableKeys(exchange: Exchange, keys: readonly KeyRecord[], rules: Rules): readonly KeyRecord[] {
  const subject = exchange.grant?.record.subject ?? null
  const usable = keys.filter(key => rules.allowsKey(key.id) && (key.user === null || key.user === subject))
  return usable.length < 2 ? usable : usable.toSorted((a, b) => rank(a) - rank(b))
}

function rank(key: KeyRecord): number {
  return (
    (key.state === 'active' ? 0 : 8) + (key.rejectedAtMs === null ? 0 : 4) + (key.spentAtMs === null ? 0 : 2) + (key.user === null ? 1 : 0)
  )
}

/** Whether the grant may be used by who calls. */
export function authorizeCaller({ call, head }: Exchange, rules: Rules): void {
  if (!rules.allowsAddress(call.address)) throw new SoakpError('address_not_allowed')
  if (rules.limitsOrigins && (head?.origin === undefined || !rules.allowsOrigin(head.origin))) throw new SoakpError('origin_not_allowed')
}

/** Of the tenant's `keys`, those that could answer the call as well as `key`: open to the grant, active, and leading to the same endpoint. */
export function rivalKeys(exchange: Exchange, keys: readonly KeyRecord[], key: KeyRecord, rules: Rules): readonly KeyRecord[] {
  return usableKeys(exchange, keys, rules).filter(other => other.state === 'active' && leadsToSame(exchange, other, key))
}

/** What was judged for one key has been judged for the other: same row, same place for the model. */
function leadsToSame({ call, endpoint, model, provider }: Exchange, key: KeyRecord, of: KeyRecord): boolean {
  const route = routeOf(key)
  const known = routeOf(of)
  if (route.prefix === known.prefix && route.provider === known.provider) return true
  if (route.provider.dialect !== provider?.dialect) return false
  const match = matchRoute(route, call)
  if (match.kind !== 'endpoint' || match.endpoint !== endpoint) return false
  return match.model === undefined || match.model === model
}

function matchRoute({ provider, prefix }: Route, { request, path, upgrade }: Call): EndpointMatch {
  const rows = upgrade === undefined ? provider : asSocketProvider(provider)
  const method = request.method ?? ''
  return prefix === '' ? matchEndpoint(rows, method, path) : matchUnderPrefix(rows, prefix, method, path)
}

/**
 * Everything about a call that can be judged before its body is read. `keys` are the tenant's for the provider called. Returns a key that can answer it; where
 * others could too, they are the exchange's `rivals`.
 */
export function authorize(exchange: Exchange, keys: readonly KeyRecord[]): KeyRecord {
  const { call, head, grant } = exchange
  if (!grant || !head) throw new SoakpError('internal', 'authorize before authenticate')
  const rules = rulesOf(grant.record)
  authorizeCaller(exchange, rules)
  if (!rules.allowsProvider(call.provider)) throw new SoakpError('provider_not_allowed', call.provider)
  const usable = usableKeys(exchange, keys, rules)
  const key = usable[0]
  if (!key) {
    if (grant.record.scope.kind === 'keys') throw new SoakpError('provider_not_allowed', call.provider)
    if (!findProvider(call.provider)) throw new SoakpError('unknown_provider', call.provider)
    throw new SoakpError('no_key', undefined, { hint: `the operator stores one with: soakp key add ${call.provider}` })
  }
  const route = routeOf(key)
  exchange.provider = route.provider
  if (key.state !== 'active') throw new SoakpError('no_key', 'It is disabled.')
  authorizeEndpoint(exchange, route, rules)
  if (usable.length > 1) {
    const rivals = rivalKeys(exchange, usable, key, rules)
    if (rivals.length > 1) exchange.rivals = newRivals(rivals)
  }
  return key
}

/** Whether no call of it says which model does its work. */
function isNameless(endpoint: Endpoint, method: string): boolean {
  return endpoint.models.length === 0 && isWork(endpoint, method)
}

/** TRACE is not among them: its reply repeats the request, and so the key. */
const methods: ReadonlySet<string> = new Set(['GET', 'HEAD', 'QUERY', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS'])

function authorizeEndpoint(exchange: Exchange, route: Route, rules: Rules): void {
  const { call, grant } = exchange
  const fault = checkPath(call.path)
  if (fault !== undefined) throw new SoakpError('invalid_path', `Refused because ${fault}.`)
  const method = call.request.method ?? ''
  if (!methods.has(method)) throw new SoakpError('method_not_allowed')
  const match = matchRoute(route, call)
  if (match.kind === 'endpoint') {
    exchange.endpoint = match.endpoint
    exchange.model = match.model ?? null
    if (match.endpoint.class === 'inference' && rules.opensInference && !(rules.limitsModels && isNameless(match.endpoint, method))) return
  }
  const kind = match.kind === 'endpoint' ? match.endpoint.class : 'new'
  const rowPattern = match.kind === 'endpoint' ? match.endpoint.pattern : undefined
  const tracked = match.kind === 'endpoint' && match.endpoint.owns !== undefined
  const facts: EndpointFacts = { class: kind, rowPattern, tracked, provider: call.provider, method, readings: pathReadings(call.path) }
  if (kind === 'inference' && rules.opensInference) {
    if (rules.names(facts)) return
    throw new SoakpError('model_unknown', 'No call of this endpoint names one.', {
      hint: openingCommand(grant?.record.id ?? '', grant?.record.endpoints ?? [], call.provider, method, call.path),
    })
  }
  if (rules.opens(facts)) return
  throw new SoakpError('endpoint_not_open', kind === 'new' && exchange.unified ? notSpoken(route.provider) : whyClosed(kind), {
    hint:
      kind === 'account' && tracked
        ? openingWord(grant?.record)
        : openingCommand(grant?.record.id ?? '', grant?.record.endpoints ?? [], call.provider, method, call.path),
  })
}

const reading: ReadonlySet<string | undefined> = new Set(['GET', 'HEAD', 'DELETE', 'OPTIONS'])

/** Whether calls of it are billed with anything. `endpoint`: undefined where soakp does not know it. */
export function isWork(endpoint: Endpoint | undefined, method: string | undefined): boolean {
  return !endpoint?.free && (!reading.has(method) || endpoint?.perCall !== undefined)
}

function whyClosed(kind: string): string {
  switch (kind) {
    case 'new':
      return 'It is not among the endpoints soakp knows of this provider.'
    case 'account':
      return 'It reaches what belongs to the whole account at the provider.'
    case 'credential':
      return 'It hands out credentials of the account at the provider.'
    case 'administration':
      return 'It administers the account at the provider.'
    default:
      return 'It is not among the endpoints of this grant.'
  }
}

function notSpoken({ title }: Provider): string {
  return `${title} is not known to have it in the dialect that the call is in.`
}

/** The command that opens what is the grant's own. */
function openingWord(record: GrantRecord | undefined): string {
  const open = record?.endpoints.length ? record.endpoints : ['inference']
  const patterns = [...open, 'account'].map(pattern => (/[^a-z-]/.test(pattern) ? `'${pattern}'` : pattern))
  return `the operator opens it, for what this grant makes, with: soakp token set ${record?.id ?? ''} --endpoints ${patterns.join(' ')}`
}

/** The command that opens this endpoint beside those that are open already. Only characters that no shell reads are taken over from the path. */
function openingCommand(grantId: string, open: readonly string[], provider: string, method: string, path: string): string {
  const before = open.length === 0 ? ['inference'] : open
  const patterns = [...before, `${method} /${provider}${path.replace(/[^A-Za-z0-9/_.:~-]/g, '*')}`]
  return `the operator opens it with: soakp token set ${grantId} --endpoints ${patterns.map(pattern => `'${pattern}'`).join(' ')}`
}
