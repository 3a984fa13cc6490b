import { randomBytes } from 'node:crypto'
import { createServer as createHttpServer, type Server as HttpServer, type ServerOptions } from 'node:http'
import { createServer as createHttpsServer, type Server as HttpsServer } from 'node:https'
import { type AddressInfo, Server as NetServer, type Socket } from 'node:net'
import type { TLSSocket } from 'node:tls'
import type { Request, Response } from '../relay/call.js'
import { type BindHints, bind } from './bind.js'
import { refuseBytes, replyOn } from './client-error.js'
import { type Contexts, createContexts, type Pairs, tlsOptions } from './contexts.js'
import { createHttp2, type Http2Sessions } from './http2.js'
import { createLanes, type Lane, type Lanes } from './lane/lane.js'
import { type OnUpgrade, takeUpgrades } from './upgrades.js'

export type OnRequest = (request: Request, response: Response) => void

export interface ListenerOptions {
  readonly onRequest: OnRequest
  /** Whether a request for this URL may be taken in one piece, past Node's own request and reply. None, where it is absent. */
  readonly isRelayed?: (url: string) => boolean
  /** A request for a WebSocket, over HTTP/1.1. The connection is the taker's from here on. */
  readonly onUpgrade?: OnUpgrade
  /** Undefined: plain HTTP/1.1. */
  readonly pairs: Pairs | undefined
  /** Told of connections that were refused before they were a request, for the log. */
  readonly onRefused: (error: Error) => void
  readonly now: () => number
  /** How long the header of a request may take to arrive, from the connection or the end of the request before it. */
  readonly headersTimeoutMs?: number
}

/** The sockets of the daemon. Nothing above it knows which protocol a request came by. */
export interface Listener {
  listen(host: string, port: number): Promise<AddressInfo>
  /** How many are open, whatever they speak. */
  readonly connections: number
  /** The pairs have changed: new handshakes get the new ones; connections go on. */
  refreshPairs(): void
  /** Accepts no more connections, and ends each once nothing is under way on it. */
  drain(): void
  /** Waits up to `graceMs` for what was written to leave, then ends every connection. */
  close(graceMs: number): Promise<void>
}

const maxHeaderBytes = 32_768

const defaultHeadersTimeoutMs = 30_000

/** Longer than the minute at which common load balancers drop idle connections, so that they are the ones who close. */
const keepAliveTimeoutMs = 72_000

const httpOptions: ServerOptions = {
  // bodies have the relay's own limits
  requestTimeout: 0,
  keepAliveTimeout: keepAliveTimeoutMs,
  maxHeaderSize: maxHeaderBytes,
  insecureHTTPParser: false,
  rejectNonStandardBodyWrites: true,
  noDelay: true,
  // a peer that vanished is noticed after 30 s of silence and ten probes, a second apart
  keepAlive: true,
  keepAliveInitialDelay: 30_000,
}

const handshakeTimeoutMs = 10_000

/** Keys that session tickets are sealed with; while one is in memory, TLS 1.2 sessions resumed by it could be opened. */
const ticketKeyMs = 12 * 3_600_000

type Server = HttpServer | HttpsServer

const hints: BindHints = {
  taken: 'Is soakp running already? Choose another port with --port.',
  port: 'Choose another port with --port.',
  host: 'Choose an address of this machine with --host.',
}

/** HTTP/1.1 connections, so that each can be ended once nothing is under way on it. */
interface Http1Connections {
  add(socket: Socket, lane?: Lane): void
  /** It speaks another protocol from here on: whoever took it ends it. */
  release(socket: Socket): void
  /** Ends those that wait for a next request. Node's own `closeIdleConnections` cuts replies that were written but have not left yet. */
  endIdle(): void
  readonly size: number
}

function createHttp1Connections(): Http1Connections {
  const sockets = new Map<Socket, Lane | undefined>()
  const released = new Set<Socket>()
  const isBusy = (socket: Socket, lane: Lane | undefined) => lane?.isBusy ?? replyOn(socket) !== undefined
  return {
    add(socket, lane) {
      sockets.set(socket, lane)
      socket.once('close', () => sockets.delete(socket))
    },
    release(socket) {
      sockets.delete(socket)
      released.add(socket)
      socket.once('close', () => released.delete(socket))
    },
    endIdle() {
      for (const [socket, lane] of sockets) if (!isBusy(socket, lane)) socket.destroySoon()
    },
    get size() {
      return sockets.size + released.size
    },
  }
}

type ServeHttp1 = (socket: Socket) => void

/** Connections that chose HTTP/2 go their way; the rest begins on a lane, where there is one, and stays with the HTTP/1.1 server that accepted it. */
function route(
  server: Server,
  http1: Http1Connections,
  http2: Http2Sessions | undefined,
  makeLanes: (serve: ServeHttp1) => Lanes | undefined,
): Lanes | undefined {
  const event = http2 === undefined ? 'connection' : 'secureConnection'
  const [serveHttp1] = server.listeners(event) as ServeHttp1[]
  const lanes = makeLanes(socket => serveHttp1?.call(server, socket))
  server.removeAllListeners(event)
  server.on(event, (socket: Socket) => {
    if (http2 !== undefined && (socket as TLSSocket).alpnProtocol === 'h2') http2.accept(socket as TLSSocket)
    else if (lanes) http1.add(socket, lanes.accept(socket))
    else {
      http1.add(socket)
      serveHttp1?.call(server, socket)
    }
  })
  return lanes
}

function createTlsServer(http1Options: ServerOptions, contexts: Contexts, onRefused: (error: Error) => void): HttpsServer {
  const server = createHttpsServer({
    ...http1Options,
    ...tlsOptions,
    ALPNProtocols: ['h2', 'http/1.1'],
    handshakeTimeout: handshakeTimeoutMs,
    SNICallback: (name, done) => done(null, contexts.find(name)),
  })
  // Node would hand failed handshakes to `clientError`, where there is nobody to answer
  server.removeAllListeners('tlsClientError')
  server.on('tlsClientError', (error, socket) => {
    onRefused(error)
    socket.destroy()
  })
  return server
}

export function createListener(options: ListenerOptions): Listener {
  const { onRequest, isRelayed, onUpgrade, pairs, onRefused, now, headersTimeoutMs = defaultHeadersTimeoutMs } = options
  const http1Options: ServerOptions = {
    ...httpOptions,
    headersTimeout: headersTimeoutMs,
    connectionsCheckingInterval: Math.ceil(headersTimeoutMs / 6),
  }
  const http1 = createHttp1Connections()
  const http2 = pairs === undefined ? undefined : createHttp2(onRequest, now)
  const contexts = pairs && createContexts(pairs)
  const server: Server = contexts === undefined ? createHttpServer(http1Options) : createTlsServer(http1Options, contexts, onRefused)
  const refuseConnection = (error: NodeJS.ErrnoException, socket: Socket) => {
    onRefused(error)
    refuseBytes(error, socket)
  }
  const lanes = route(
    server,
    http1,
    http2,
    serveHttp1 =>
      isRelayed &&
      createLanes({
        onRequest,
        takes: isRelayed,
        handOver: serveHttp1,
        tooLate: socket => refuseConnection(Object.assign(new Error('nothing came'), { code: 'ERR_HTTP_REQUEST_TIMEOUT' }), socket),
        firstByteTimeoutMs: headersTimeoutMs,
        keepAliveTimeoutMs,
      }),
  )
  const sockets = followSockets(server)
  server.on('request', onRequest)
  server.on('checkContinue', onRequest)
  if (onUpgrade) takeUpgrades(server, http1.release, onUpgrade)
  server.on('clientError', (error: NodeJS.ErrnoException, socket) => refuseConnection(error, socket as Socket))

  function refreshPairs(): void {
    const [first] = pairs?.all ?? []
    if (!first) return
    ;(server as HttpsServer).setSecureContext({ ...tlsOptions, cert: first.cert, key: first.key })
    contexts?.refresh()
  }
  let ticketTimer: NodeJS.Timeout | undefined
  if (pairs !== undefined) {
    refreshPairs()
    ticketTimer = setInterval(() => (server as HttpsServer).setTicketKeys(randomBytes(48)), ticketKeyMs)
    ticketTimer.unref()
  }
  let idleTimer: NodeJS.Timeout | undefined

  function drain(): void {
    if (idleTimer !== undefined) return
    // not the HTTP server's own `close`, which also cuts what it takes for idle
    NetServer.prototype.close.call(server)
    http2?.goAway()
    http1.endIdle()
    idleTimer = setInterval(() => http1.endIdle(), 100)
  }

  return {
    listen: (host, port) => bind(server, { host, port }, hints),
    get connections() {
      return sockets.size
    },
    refreshPairs,
    drain,
    async close(graceMs) {
      drain()
      await quiet(() => http1.size + (http2?.size ?? 0) === 0, graceMs)
      await sockets.ended(lingerMs)
      // now for the timer inside it
      server.close()
      clearInterval(idleTimer)
      clearInterval(ticketTimer)
      lanes?.close()
      http2?.close()
    },
  }
}

/** How often it is looked whether connections have ended. */
const lookMs = 20

/** For connections that have said all, or never said anything, to end by themselves. */
const lingerMs = 100

/** Resolves when `isQuiet`, or after `graceMs`. */
function quiet(isQuiet: () => boolean, graceMs: number): Promise<void> {
  return new Promise(resolve => {
    const endsAtMs = performance.now() + graceMs
    const timer = setInterval(() => {
      if (!isQuiet() && performance.now() < endsAtMs) return
      clearInterval(timer)
      resolve()
    }, lookMs)
  })
}

/** Every connection, whatever it speaks and also before it speaks. `ended` resolves when none is left: by itself or, after `graceMs`, by force. */
function followSockets(server: Server): { readonly size: number; ended(graceMs: number): Promise<void> } {
  const sockets = new Set<Socket>()
  let onLast: (() => void) | undefined
  server.on('connection', (socket: Socket) => {
    sockets.add(socket)
    socket.once('close', () => {
      sockets.delete(socket)
      if (sockets.size === 0) onLast?.()
    })
  })
  return {
    get size() {
      return sockets.size
    },
    async ended(graceMs) {
      if (sockets.size === 0) return
      await new Promise<void>(resolve => {
        const timer = setTimeout(() => {
          for (const socket of sockets) socket.destroy()
        }, graceMs)
        onLast = () => {
          clearTimeout(timer)
          resolve()
        }
      })
    },
  }
}
