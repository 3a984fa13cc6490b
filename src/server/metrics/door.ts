import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { isIP } from 'node:net'
import type { Logger } from 'pino'
import { type ErrorCode, SoakpError } from '../../errors.js'
import { newId } from '../../lib/id.js'
import { bind } from '../bind.js'
import { hostName, isLoopbackName } from '../hosts.js'
import { plainHeaders, sendProblem } from '../problem.js'

export interface Page {
  readonly status: number
  readonly type: string
  readonly body: string
}

export interface MetricsDoorOptions {
  readonly at: { readonly host: string; readonly port: number }
  /** What is served, by path. */
  readonly pages: Readonly<Record<string, () => Promise<Page>>>
  /** Whether clients know us by this name. */
  readonly isOurName: (name: string) => boolean
  readonly log: Pick<Logger, 'error' | 'info'>
}

export interface MetricsDoor {
  readonly port: number
  close(): Promise<void>
}

/** However often it is asked for, a page is made no more often than this. */
const freshMs = 250
const endMs = 500

/**
 * A second door, plain HTTP, that only watchers know. What it serves names nobody and holds no secret, so it asks for none; it answers one request a connection, and neither many
 * clients nor slow ones cost more than that.
 */
export async function openMetricsDoor({ at, pages, isOurName, log }: MetricsDoorOptions): Promise<MetricsDoor> {
  const made = Object.fromEntries(Object.entries(pages).map(([path, make]) => [path, keptFor(freshMs, make)]))

  async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    response.shouldKeepAlive = false
    request.resume()
    const path = (request.url ?? '').split('?', 1)[0] as string
    const make = Object.hasOwn(made, path) ? made[path] : undefined
    if (!isAsked(request.headers.host, at.host, isOurName))
      return refuse(response, 'misdirected', 'Ask by address, or by a name that is in a certificate or in SOAKP_PUBLIC_URL.')
    if (make === undefined) return refuse(response, 'not_found')
    if (request.method !== 'GET' && request.method !== 'HEAD')
      return refuse(response, 'method_not_allowed', undefined, { allow: 'GET, HEAD' })
    const { status, type, body } = await make()
    response.writeHead(status, { ...plainHeaders, 'content-type': type, 'content-length': Buffer.byteLength(body) })
    response.end(request.method === 'HEAD' ? undefined : body)
  }

  const server = createServer({ maxHeaderSize: 8192, headersTimeout: 5_000, requestTimeout: 5_000, connectionsCheckingInterval: 1_000 })
  server.maxConnections = 64
  // who does not read
  server.setTimeout(10_000)
  server.on('request', (request, response) => {
    answer(request, response).catch(error => {
      log.error({ err: error }, 'metrics could not be told')
      refuse(response, 'internal')
    })
  })
  const { port } = await bind(server, at, {
    taken: 'Something listens there already. Choose another port in SOAKP_METRICS_LISTEN.',
    port: 'Choose another one in SOAKP_METRICS_LISTEN.',
    host: 'SOAKP_METRICS_LISTEN has to name an address of this machine.',
  })
  server.on('error', error => log.error({ err: error }, 'the door for watchers failed'))
  log.info({ host: at.host, port }, 'metrics are told')
  let closing: Promise<void> | undefined
  return {
    port,
    close() {
      closing ??= new Promise(resolve => {
        const timer = setTimeout(() => server.closeAllConnections(), endMs)
        server.close(() => {
          clearTimeout(timer)
          resolve()
        })
      })
      return closing
    },
  }
}

function refuse(response: ServerResponse, code: ErrorCode, detail?: string, headers = {}): void {
  sendProblem(response, new SoakpError(code, detail), newId('call'), headers)
}

/**
 * A web page whose own name was made to resolve to this machine must not read on (DNS rebinding). Addresses, names without a dot, which only a network of one's own resolves, and our
 * own names are no such page's.
 */
function isAsked(host: string | undefined, listensAt: string, isOurName: (name: string) => boolean): boolean {
  const name = host === undefined ? undefined : hostName(host)
  if (name === undefined) return false
  return isIP(name) !== 0 || !name.includes('.') || isLoopbackName(name) || name === listensAt.toLowerCase() || isOurName(name)
}

/** Makes it once for all who ask within that time. */
function keptFor<T>(ms: number, make: () => Promise<T>): () => Promise<T> {
  let kept: Promise<T> | undefined
  let madeAt = 0
  return () => {
    const at = performance.now()
    if (kept === undefined || at - madeAt > ms) {
      madeAt = at
      kept = make()
    }
    return kept
  }
}
