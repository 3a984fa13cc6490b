import { randomBytes } from 'node:crypto'
import { createServer as createHttpServer, type Server as HttpServer, type ServerOptions } from 'node:http'
import { createServer as createHttpsServer, type Server as HttpsServer } from 'node:https'
import { type AddressInfo, Server as NetServer, type Socket } from 'node:net'
import type { TLSSocket } from 'node:tls'
import { SoakpError } from '../errors.js'
import type { Request, Response } from '../relay/call.js'
import { refuseBytes, replyOn } from './client-error.js'
import { type Contexts, createContexts, type Pairs, tlsOptions } from './contexts.js'
import { createHttp2, type Http2Sessions } from './http2.js'
import { type OnUpgrade, takeUpgrades } from './upgrades.js'

export type OnRequest = (request: Request, response: Response) => void

export interface ListenerOptions {
  readonly onRequest: OnRequest
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
  /** The pairs have changed: new handshakes get the new ones; connections go on. */
  refreshPairs(): void
  /** Accepts no more connections, and ends each once nothing is under way on it. */
  drain(): void
  /** Waits up to `graceMs` for what was written to leave, then ends every connection. */
  close(graceMs: number): Promise<void>
}

const maxHeaderBytes = 32_768

const defaultHeadersTimeoutMs = 30_000

const httpOptions: ServerOptions = {
  // bodies have the relay's own limits
  requestTimeout: 0,
  // longer than the minute at which common load balancers drop idle connections, so that they are the ones who close
  keepAliveTimeout: 72_000,
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

/** HTTP/1.1 connections, so that each can be ended once nothing is under way on it. */
interface Http1Connections {
  add(socket: Socket): void
  /** It speaks another protocol from here on: whoever took it ends it. */
  release(socket: Socket): void
  /** Ends those that wait for a next request. Node's own `closeIdleConnections` cuts replies that were written but have not left yet. */
  endIdle(): void
  readonly size: number
}

function createHttp1Connections(): Http1Connections {
  const sockets = new Set<Socket>()
  const released = new Set<Socket>()
  return {
    add(socket) {
      sockets.add(socket)
      socket.once('close', () => sockets.delete(socket))
    },
    release(socket) {
      sockets.delete(socket)
      released.add(socket)
      socket.once('close', () => released.delete(socket))
    },
    endIdle() {
      for (const socket of sockets) if (replyOn(socket) === undefined) socket.destroySoon()
    },
    get size() {
      return sockets.size + released.size
    },
  }
}

/** Splits off connections that chose HTTP/2; the rest stays with the HTTP/1.1 server that accepted them. */
function splitByAlpn(server: HttpsServer, http1: Http1Connections, http2: Http2Sessions): void {
  const [serveHttp1] = server.listeners('secureConnection') as ((socket: TLSSocket) => void)[]
  server.removeAllListeners('secureConnection')
  server.on('secureConnection', function (this: HttpsServer, socket: TLSSocket) {
    if (socket.alpnProtocol === 'h2') {
      http2.accept(socket)
      return
    }
    http1.add(socket)
    serveHttp1?.call(this, socket)
  })
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
  const { onRequest, onUpgrade, pairs, onRefused, now, headersTimeoutMs = defaultHeadersTimeoutMs } = options
  const http1Options: ServerOptions = {
    ...httpOptions,
    headersTimeout: headersTimeoutMs,
    connectionsCheckingInterval: Math.ceil(headersTimeoutMs / 6),
  }
  const http1 = createHttp1Connections()
  const http2 = pairs === undefined ? undefined : createHttp2(onRequest, now)
  const contexts = pairs && createContexts(pairs)
  const server: Server = contexts === undefined ? createHttpServer(http1Options) : createTlsServer(http1Options, contexts, onRefused)
  if (http2 === undefined) server.on('connection', http1.add)
  else splitByAlpn(server as HttpsServer, http1, http2)
  const sockets = followSockets(server)
  server.on('request', onRequest)
  server.on('checkContinue', onRequest)
  if (onUpgrade) takeUpgrades(server, http1.release, onUpgrade)
  server.on('clientError', (error: NodeJS.ErrnoException, socket) => {
    onRefused(error)
    refuseBytes(error, socket as Socket)
  })

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
    listen: (host, port) => listen(server, host, port),
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
function followSockets(server: Server): { ended(graceMs: number): Promise<void> } {
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

function listen(server: Server, host: string, port: number): Promise<AddressInfo> {
  return new Promise((resolve, reject) => {
    const refused = (error: NodeJS.ErrnoException) => reject(listenError(error, host, port))
    server.once('error', refused)
    server.listen({ host, port, backlog: 1024 }, () => {
      server.off('error', refused)
      resolve(server.address() as AddressInfo)
    })
  })
}

function listenError(error: NodeJS.ErrnoException, host: string, port: number): SoakpError {
  const where = `${host}:${port}`
  if (error.code === 'EADDRINUSE') {
    return new SoakpError('address_in_use', where, { cause: error, hint: 'Is soakp running already? Choose another port with --port.' })
  }
  if (error.code === 'EACCES') {
    return new SoakpError('address_refused', where, {
      cause: error,
      hint: 'Ports below 1024 need a privilege. Choose another port with --port.',
    })
  }
  return new SoakpError('address_refused', `${where}: ${error.code ?? 'unknown'}`, {
    cause: error,
    hint: 'Choose an address of this machine with --host.',
  })
}
