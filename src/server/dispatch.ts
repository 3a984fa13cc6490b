import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import type { Logger } from 'pino'
import { SoakpError } from '../errors.js'
import type { Tally } from '../ledger/tally.js'
import { newId } from '../lib/id.js'
import { providerId, reservedNames } from '../providers/index.js'
import type { Request, Response, Upgrade } from '../relay/call.js'
import type { Relay } from '../relay/relay.js'
import { unifiedName } from '../relay/unified.js'
import type { HostCheck } from './hosts.js'
import { answerPreflight, isPreflight, type OriginRule } from './preflight.js'
import { sendProblem } from './problem.js'
import type { Shed } from './shed.js'
import { checkUpgrade, createUpgrade, responseFor } from './websocket.js'

/** First segments of paths that are ours. Every other one names a provider, known or not, or the unified endpoint: the relay answers. */
const reserved: ReadonlySet<string> = new Set([
  ...[...reservedNames].filter(name => name !== unifiedName),
  '',
  '.well-known',
  'openapi.json',
])

export interface DispatchOptions {
  readonly relay: Pick<Relay, 'handle'>
  /** Everything that is not the relay's. */
  readonly routes: (request: IncomingMessage, response: ServerResponse) => void
  readonly hosts: HostCheck
  readonly publicUrl: string | undefined
  readonly addressOf: (request: Request) => string
  readonly allowsOrigin: OriginRule
  readonly shed: Shed
  readonly tally: Pick<Tally, 'refuse'>
  readonly log: Logger
  readonly now: () => number
}

const slash = 47
const question = 63

/** Where the first segment of a path ends. */
function segmentEnd(url: string): number {
  for (let index = 1; index < url.length; index++) {
    const char = url.charCodeAt(index)
    if (char === slash || char === question) return index
  }
  return url.length
}

/** The `Host` of a request; undefined where there is none, or more than one (RFC 9112, section 3.2). */
function hostOf(request: Request): string | undefined {
  if ('stream' in request) {
    const { authority, headers } = request
    return headers.host === undefined || headers.host === authority ? authority : undefined
  }
  // the raw list, because reading `headers` builds an object that not every call needs, and hides a second Host
  const raw = request.rawHeaders
  let host: string | undefined
  for (let index = 0; index < raw.length; index += 2) {
    const name = raw[index] as string
    if (name.length !== 4 || (name !== 'Host' && name !== 'host' && name.toLowerCase() !== 'host')) continue
    if (host !== undefined) return undefined
    host = raw[index + 1] as string
  }
  return host
}

/** Whether a reply now would leave a body that is not worth reading to its end only to keep the connection. */
function leavesMuchUnread(request: Request): boolean {
  return request.headers['transfer-encoding'] !== undefined || Number(request.headers['content-length'] ?? 0) > 65_536
}

export interface Dispatch {
  onRequest(request: Request, response: Response): void
  /** Whether requests for this URL go to the relay. */
  isRelayed(url: string): boolean
  /** A request for a WebSocket. What is not the relay's is answered as if it had asked for nothing of the kind. */
  onUpgrade(request: IncomingMessage, socket: Socket, early: Buffer): void
}

/**
 * What every request meets first, whatever it is. Calls go straight from here to the relay, past the router and its hooks: those cost as much as the relay itself.
 */
export function createDispatch(options: DispatchOptions): Dispatch {
  const { relay, routes, hosts, publicUrl, addressOf, shed, log, now } = options

  function dispatch(request: Request, response: Response, upgrade?: () => Upgrade): void {
    const url = request.url ?? ''
    const refusal = shed.refusal()
    // `Connection: close` on the reply, so that the client looks for another server
    if (refusal === 'shutting_down' && 'shouldKeepAlive' in response) response.shouldKeepAlive = false
    if (!hosts.isOurs(hostOf(request), request)) {
      refuse(request, response, new SoakpError('misdirected'))
      return
    }
    const end = segmentEnd(url)
    const first = url.slice(1, end)
    if (url.charCodeAt(0) !== slash || reserved.has(first)) {
      passOn(request, response)
      return
    }
    const id = newId('call')
    if (isPreflight(request)) {
      answerPreflight(request, response, id, options.allowsOrigin).catch(cause => fail(request, response, cause))
      return
    }
    const queryAt = url.indexOf('?', end)
    relay.handle({
      id,
      startedAtMs: now(),
      provider: providerId(first),
      path: end === url.length || end === queryAt ? '/' : queryAt === -1 ? url.slice(end) : url.slice(end, queryAt),
      query: queryAt === -1 ? '' : url.slice(queryAt),
      request,
      response,
      address: addressOf(request),
      publicUrl,
      refusal,
      upgrade: upgrade?.(),
    })
  }

  function passOn(request: Request, response: Response): void {
    if (request.headers.expect !== undefined) response.writeContinue()
    routes(request as IncomingMessage, response as ServerResponse)
  }

  function refuse(request: Request, response: Response, error: SoakpError): void {
    options.tally.refuse(error.code)
    if ('shouldKeepAlive' in response && leavesMuchUnread(request)) response.shouldKeepAlive = false
    sendProblem(response, error, newId('call'))
  }

  function fail(request: Request, response: Response, cause: unknown): void {
    const error = cause instanceof SoakpError ? cause : new SoakpError('internal', undefined, { cause })
    if (error.status >= 500) log.error({ err: error }, 'a request failed')
    refuse(request, response, error)
  }

  return {
    isRelayed: url => url.charCodeAt(0) === slash && !reserved.has(url.slice(1, segmentEnd(url))),

    onRequest(request, response) {
      try {
        dispatch(request, response)
      } catch (error) {
        fail(request, response, error)
      }
    },

    onUpgrade(request, socket, early) {
      const response = responseFor(request, socket)
      try {
        dispatch(request, response, () => createUpgrade(request, socket, response, checkUpgrade(request, early)))
      } catch (error) {
        fail(request, response, error)
      }
    },
  }
}
