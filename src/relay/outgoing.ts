import type { Pool } from 'undici'
import { SoakpError } from '../errors.js'
import type { Http1Client, PlainRequest } from '../lib/http1-client.js'
import { isPromise } from '../lib/maybe.js'
import type { Outbound } from '../lib/outbound.js'
import type { Secret } from '../lib/secret.js'
import type { StandIn } from '../lib/stand-in.js'
import type { AuthScheme, Provider, UpstreamReply, UpstreamRequest, UpstreamSink } from '../providers/provider.js'
import type { KeyRecord } from '../stores/records.js'
import { routeOf } from './authorize.js'
import { type Authorized, Awaited, authorizeCall } from './authorized.js'
import type { Exchange } from './exchange.js'
import { addCredential, dropHeader, requestHeaders } from './headers.js'
import { credentialOf, targetOf } from './target.js'
import { send, sendPlain } from './upstream.js'

/** Query parameters that carry credentials in one API or another, or that change what a request is: none travels. Names in lower case, decoded. */
const neverInQuery: ReadonlySet<string> = new Set([
  'key',
  'api_key',
  'api-key',
  'apikey',
  'access_token',
  'auth_token',
  'xi_api_key',
  'xi-api-key',
  'single_use_token',
  '$httpmethod',
  '$httpheaders',
  'x-http-method-override',
  '_method',
])
const suspicious = /key|token|http|_method/i

/** The query as the provider may see it: what would carry a credential or override the method is taken out, everything else is as it was. */
export function cleanQuery(query: string, credentialName: string | undefined): string {
  if (query === '' || (credentialName === undefined && !suspicious.test(query) && !query.includes('%'))) return query
  const kept = query
    .slice(1)
    .split('&')
    .filter(pair => {
      const name = decode(pair.split('=', 1)[0] ?? '').toLowerCase()
      return !neverInQuery.has(name) && name !== credentialName?.toLowerCase()
    })
  return kept.length === 0 ? '' : `?${kept.join('&')}`
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text.replace(/\+/g, ' ')).trim()
  } catch {
    return text
  }
}

/** Sends the call with the key in it. The plaintext lives in a buffer from here to the writing of the request's head, and is wiped then. */
export function forward(
  exchange: Exchange,
  key: KeyRecord,
  secret: Secret,
  body: UpstreamRequest['body'],
  outbound: Outbound,
  sink: UpstreamSink,
): UpstreamReply {
  const route = routeOf(key)
  const { call, head } = exchange
  if (!head) throw new SoakpError('internal', 'forward before readHead')
  const headers = requestHeaders(route.provider, head, call.request.rawHeaders)
  for (const header of accountHeaders(route.provider, key)) headers.push(header)
  if (body !== undefined && !Buffer.isBuffer(body) && head.contentLength !== undefined)
    headers.push('content-length', String(head.contentLength))
  const { auth } = route
  // the row's own header is dropped already
  if (auth.type === 'header' && auth !== route.provider.auth) dropHeader(headers, auth.name)
  const target = targetOf(route, call.path)
  const method = call.request.method ?? 'GET'
  if (route.provider.serve) {
    // inside this process nothing stands in for the key, which is worth nothing
    addCredential(headers, auth, secret.expose())
    secret.wipe()
    return route.provider.serve({ method, path: target.path + queryOf(call.query, auth, ''), headers, body }, sink)
  }
  const way = wayOut(outbound, target.origin, key.allowPrivate, secret, body === undefined || Buffer.isBuffer(body))
  if (route.provider.authorize && key.auth === null) {
    const path = target.path + cleanQuery(call.query, undefined)
    const whole = Buffer.isBuffer(body) ? body : undefined
    const unauthorized = { method, origin: target.origin, path, headers, body: whole }
    const authorized = authorizeCall(route.provider, unauthorized, secret, outbound, key.allowPrivate)
    const go = (given: Authorized) => leave(exchange, way, { method, path, headers: given.headers, body }, sink, given.credential)
    return isPromise(authorized) ? new Awaited(authorized, sink, go) : go(authorized)
  }
  const credential = credentialOf(secret, auth)
  secret.wipe()
  addCredential(headers, auth, credential.text)
  const path = target.path + queryOf(call.query, auth, credential.text)
  return leave(exchange, way, { method, path, headers, body }, sink, credential)
}

/** What is in memory goes by the plain client, what streams by the pool. */
type WayOut = { readonly pool: Pool } | { readonly client: Http1Client }

function wayOut(outbound: Outbound, origin: string, allowPrivate: boolean, secret: Secret, isPlain: boolean): WayOut {
  try {
    return isPlain ? { client: outbound.client(origin, allowPrivate) } : { pool: outbound.pool(origin, allowPrivate) }
  } catch (error) {
    secret.wipe()
    throw error
  }
}

function leave(
  exchange: Exchange,
  way: WayOut,
  request: UpstreamRequest,
  sink: UpstreamSink,
  credential: Pick<StandIn, 'withdraw'>,
): UpstreamReply {
  try {
    if ('client' in way) return sendPlain(way.client, request as PlainRequest, sink, credential)
    const sent = (bytes: number) => {
      exchange.bytesIn += bytes
    }
    return send(way.pool, request, sink, sent, credential)
  } catch (error) {
    credential.withdraw()
    throw error
  }
}

/** The key's organization and project, names and values in turn. */
export function accountHeaders(provider: Provider, key: KeyRecord): readonly string[] {
  if (key.organization === null && key.project === null) return none
  const headers: string[] = []
  if (key.organization !== null && provider.organizationHeader) headers.push(provider.organizationHeader, key.organization)
  if (key.project !== null && provider.projectHeader) headers.push(provider.projectHeader, key.project)
  return headers
}

const none: readonly string[] = []

/** The query as it leaves, with the credential in it where the scheme wants it there. */
export function queryOf(given: string, auth: AuthScheme, credential: string): string {
  const query = cleanQuery(given, auth.type === 'query' ? auth.name : undefined)
  if (auth.type !== 'query') return query
  return `${query}${query === '' ? '?' : '&'}${encodeURIComponent(auth.name)}=${credential}`
}
