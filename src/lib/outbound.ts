import { type LookupAddress, lookup as systemLookup } from 'node:dns'
import { isIP, type LookupFunction } from 'node:net'
import { buildConnector, type Dispatcher, Pool } from 'undici'
import { SoakpError } from '../errors.js'
import { createHttp1Client, type Http1Client } from './http1-client.js'
import { isLoopbackAddress, isPublicAddress } from './ip.js'
import { type Connect, type DialListener, type Dialling, type DialRequest, dialSocket } from './outbound-socket.js'
import { survivePausedEnd } from './paused-end.js'
import { fillIn } from './stand-in.js'

/** Where to and how patiently. All times in milliseconds. */
export interface OutboundOptions {
  readonly connectTimeoutMs: number
  /** Until the reply's head has come. */
  readonly headTimeoutMs: number
  /** Between two pieces of a reply. */
  readonly idleTimeoutMs: number
}

/** The only way out of the process for HTTP and WebSockets. One pool of connections per origin and per answer to "may it be private". */
export interface Outbound {
  /** A pool for this origin. Throws `base_url_refused` for an origin that no connection may go to. */
  pool(origin: string, allowPrivate: boolean): Pool
  /** Opens a WebSocket, on a connection of its own, by the same rules. Throws `base_url_refused` as `pool` does. */
  dial(origin: string, allowPrivate: boolean, request: DialRequest, listener: DialListener): Dialling
  /** The same for calls that are in memory, which is most of them: it costs less. Throws as `pool`. */
  client(origin: string, allowPrivate: boolean): Http1Client
  close(): Promise<void>
}

/**
 * Checks an origin or base URL before it is stored or used. `https:` anywhere public; private networks only when the operator said so; `http:` only to
 * loopback, and then also only when the operator said so. Names are checked again on the address that is actually connected to.
 */
export function checkBaseUrl(text: string, allowPrivate: boolean): URL {
  let url: URL
  try {
    url = new URL(text)
  } catch (cause) {
    throw new SoakpError('base_url_refused', 'It is not a URL.', { cause })
  }
  const host = bareHost(url.hostname)
  const refuse = (why: string, hint?: string) => new SoakpError('base_url_refused', why, hint === undefined ? {} : { hint })
  if (url.protocol !== 'https:' && url.protocol !== 'http:') throw refuse('It must begin with https:.')
  if (url.username || url.password) throw refuse('It must not hold a user name or password.')
  if (url.search || url.hash) throw refuse('It must not hold a query or fragment.')
  const literal = isIP(host) !== 0
  const loopback = host === 'localhost' || host.endsWith('.localhost') || (literal && isLoopbackAddress(host))
  if (url.protocol === 'http:' && !loopback) throw refuse('Plain http: would send the key in the clear; use https:.')
  if (!allowPrivate && (loopback || (literal && !isPublicAddress(host)))) {
    throw refuse('It points into a private network.', 'if this is meant, say --allow-private')
  }
  return url
}

export function createOutbound(options: OutboundOptions): Outbound {
  const pools = new Map<string, Pool>()
  const clients = new Map<string, Http1Client>()
  const nameOf = (origin: string, allowPrivate: boolean) => (allowPrivate ? `private ${origin}` : origin)
  return {
    pool(origin, allowPrivate) {
      const name = nameOf(origin, allowPrivate)
      let pool = pools.get(name)
      if (!pool) {
        checkBaseUrl(origin, allowPrivate)
        pool = makePool(origin, allowPrivate, options)
        pools.set(name, pool)
      }
      return pool
    },
    dial(origin, allowPrivate, request, listener) {
      const url = checkBaseUrl(origin, allowPrivate)
      return dialSocket(makeConnector(allowPrivate, options.connectTimeoutMs) as Connect, url, request, listener)
    },
    client(origin, allowPrivate) {
      const name = nameOf(origin, allowPrivate)
      let client = clients.get(name)
      if (!client) {
        client = makeClient(checkBaseUrl(origin, allowPrivate), allowPrivate, options)
        clients.set(name, client)
      }
      return client
    },
    async close() {
      const open = [...pools.values()]
      for (const client of clients.values()) client.close()
      clients.clear()
      pools.clear()
      await Promise.all(open.map(pool => pool.destroy()))
    },
  }
}

function makeConnector(allowPrivate: boolean, timeoutMs: number): ReturnType<typeof buildConnector> {
  return buildConnector({
    timeout: timeoutMs,
    keepAlive: true,
    keepAliveInitialDelay: 30_000,
    ...(allowPrivate ? {} : { lookup: publicLookup }),
  })
}

function makeClient(url: URL, allowPrivate: boolean, options: OutboundOptions): Http1Client {
  const connector = makeConnector(allowPrivate, options.connectTimeoutMs)
  const to = {
    hostname: bareHost(url.hostname),
    host: url.host,
    protocol: url.protocol,
    port: url.port,
    servername: isIP(bareHost(url.hostname)) ? '' : url.hostname,
  }
  return createHttp1Client({
    host: url.host,
    connect: done => void connector(to, (...[error, socket]) => done(error, socket)),
    headTimeoutMs: options.headTimeoutMs,
    idleTimeoutMs: options.idleTimeoutMs,
  })
}

function makePool(origin: string, allowPrivate: boolean, options: OutboundOptions): Pool {
  const connector = makeConnector(allowPrivate, options.connectTimeoutMs)
  return new Pool(origin, {
    connect: (to, done) =>
      connector(to, (...result) => {
        if (result[1]) {
          fillIn(result[1])
          survivePausedEnd(result[1])
        }
        done(...result)
      }),
    pipelining: 1,
    headersTimeout: options.headTimeoutMs,
    bodyTimeout: options.idleTimeoutMs,
    keepAliveTimeout: 30_000,
    // a provider's head is small; what is larger is not one
    maxHeaderSize: 64 * 1024,
  })
}

/** Resolves as the system does, and fails when any address found is not public: a name with one foot in a private network is not trusted. */
const publicLookup: LookupFunction = (hostname, lookupOptions, done) => {
  systemLookup(hostname, { ...lookupOptions, all: true }, (error, found) => {
    if (error) return done(error, '', 0)
    const addresses = found as LookupAddress[]
    if (addresses.length === 0 || addresses.some(({ address }) => !isPublicAddress(address))) {
      return done(new SoakpError('base_url_refused', `${hostname} resolves into a private network.`), '', 0)
    }
    if (lookupOptions.all) return done(null, addresses)
    const first = addresses[0] as LookupAddress
    done(null, first.address, first.family)
  })
}

function bareHost(hostname: string): string {
  return hostname.startsWith('[') ? hostname.slice(1, -1) : hostname
}

export interface AskOptions {
  readonly method: Dispatcher.HttpMethod
  /** Path and query. */
  readonly path: string
  readonly headers: readonly string[]
  readonly body?: string | undefined
  readonly timeoutMs: number
  /** How much of the reply is read; 64 KB unless told. */
  readonly mostBytes?: number
  /** Gets the body of a reply with status 200 piece by piece, instead of the answer. */
  readonly take?: (piece: Buffer) => void
  /** Ends it early. */
  readonly signal?: AbortSignal | undefined
}

export interface Answer {
  readonly status: number
  readonly body: string
  /** The header, or empty. */
  readonly cacheControl: string
  readonly retryAfter: string
  /** Names in lower case, each with what it says behind it; none that stands several times. */
  readonly fields: readonly string[]
  /** False: it went on, and was not read further. */
  readonly whole: boolean
}

/** One small request and its reply, read whole up to a size; for asking a provider something, not for relaying. */
export async function ask(pool: Pool, options: AskOptions): Promise<Answer> {
  const { body, ...rest } = await askBytes(pool, options)
  return { ...rest, body: body.toString('utf8') }
}

/** The same, where the reply may be a secret: the caller wipes it. */
export async function askBytes(pool: Pool, options: AskOptions): Promise<Omit<Answer, 'body'> & { readonly body: Buffer }> {
  const { statusCode, headers, body } = await pool.request({
    method: options.method,
    path: options.path,
    headers: [...options.headers],
    body: options.body ?? null,
    signal: options.signal
      ? AbortSignal.any([options.signal, AbortSignal.timeout(options.timeoutMs)])
      : AbortSignal.timeout(options.timeoutMs),
  })
  const pieces: Buffer[] = []
  const mostBytes = options.mostBytes ?? 64 * 1024
  let size = 0
  const take = statusCode === 200 ? options.take : undefined
  for await (const piece of body) {
    if (take) take(piece as Buffer)
    else pieces.push(piece as Buffer)
    size += (piece as Buffer).length
    if (size > mostBytes) break
  }
  const cacheControl = headers['cache-control']
  return {
    status: statusCode,
    body: Buffer.concat(pieces),
    cacheControl: String(cacheControl ?? ''),
    retryAfter: String(headers['retry-after'] ?? ''),
    fields: Object.entries(headers).flatMap(([name, value]) => (typeof value === 'string' ? [name, value] : [])),
    whole: size <= mostBytes,
  }
}
