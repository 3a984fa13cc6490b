import type { IncomingMessage } from 'node:http'
import type { Socket } from 'node:net'
import { WebSocket } from 'ws'
import { SoakpError } from '../errors.js'
import { fillIn } from './stand-in.js'

/** What is used of ws's WebSocket. Said here, because whoever imports soakp has none of ws's types. */
export interface MessageSocket {
  readonly bufferedAmount: number
  /** The subprotocol that was agreed on; empty: none. */
  readonly protocol: string
  on(event: 'message', listener: (data: Buffer, isBinary: boolean) => void): unknown
  on(event: 'error', listener: (error: Error) => void): unknown
  on(event: 'close', listener: () => void): unknown
  send(data: Buffer, options: { readonly binary: boolean; readonly compress: boolean }, sent: (error?: Error | null) => void): void
  close(code?: number, reason?: string | Buffer): void
  ping(): void
  pause(): void
  resume(): void
  terminate(): void
}

/** A WebSocket, either end of it. */
export interface OpenSocket {
  readonly socket: MessageSocket
  /** What it runs over: of a message that is still on its way, only this tells. */
  readonly connection: Pick<Socket, 'bytesRead'>
}

/** An upgrade to a WebSocket (RFC 6455), as it leaves. Times in milliseconds. */
export interface DialRequest {
  /** Path and query. */
  readonly path: string
  /** Names in lower case and values in turn; those of the handshake itself are added. */
  readonly headers: readonly string[]
  readonly protocols: readonly string[]
  /** A larger message ends the connection with 1009. */
  readonly maxMessageBytes: number
  /** Until the reply's head has come. */
  readonly headTimeoutMs: number
}

/** Hears exactly one of the three, and nothing after `abort`. */
export interface DialListener {
  open(opened: OpenSocket, rawHeaders: readonly string[]): void
  /** It answered, but not with 101; `body` is the first 64 KB. */
  refused(status: number, rawHeaders: readonly string[], body: Buffer): void
  /** A SoakpError. Only `provider_unreachable` and `base_url_refused` mean that nothing was sent. */
  fail(error: Error): void
}

export interface Dialling {
  abort(): void
}

/** undici's way of making a connection, with our rules about addresses in it. */
export type Connect = (
  to: { hostname: string; host: string; protocol: string; port: string },
  done: (error: Error | null, socket: Socket | null) => void,
) => void

const maxRefusalBytes = 64 * 1024

/** How long a close frame may stay unanswered. */
const closeTimeoutMs = 5_000

/** Connects, then asks for the upgrade; the credential's stand-in is filled in as the head is written. */
export function dialSocket(connect: Connect, url: URL, request: DialRequest, listener: DialListener): Dialling {
  let over = false
  let connection: Socket | undefined
  let socket: WebSocket | undefined
  const once = (tell: () => void) => {
    if (over) return
    over = true
    clearTimeout(timer)
    tell()
  }
  const end = () => {
    if (socket) socket.terminate()
    else connection?.destroy()
  }
  const timer = setTimeout(() => {
    once(() => listener.fail(new SoakpError('provider_timeout')))
    end()
  }, request.headTimeoutMs)

  connect({ hostname: url.hostname, host: url.host, protocol: url.protocol, port: url.port }, (error, made) => {
    if (error || !made) {
      once(() => listener.fail(explainConnect(error)))
      return
    }
    connection = made
    if (over) {
      made.destroy()
      return
    }
    const opening = open(made, url, request, cause => once(() => listener.fail(cause)))
    if (!opening) return
    socket = opening
    let rawHeaders: readonly string[] = []
    opening.on('upgrade', reply => {
      rawHeaders = reply.rawHeaders
    })
    opening.once('open', () => once(() => listener.open({ socket: opening, connection: made }, rawHeaders)))
    opening.once('unexpected-response', (_, reply) =>
      readRefusal(reply, body => once(() => listener.refused(reply.statusCode ?? 0, reply.rawHeaders, body)), end),
    )
    // also after the opening: who has the socket then listens too
    opening.on('error', cause => once(() => listener.fail(new SoakpError('provider_broke_off', undefined, { cause }))))
  })

  return {
    abort() {
      once(() => {})
      end()
    },
  }
}

/** Undefined where what the client wrote cannot stand in an upgrade, such as a fragment: nobody is above this who would hear of an exception. */
function open(connection: Socket, url: URL, request: DialRequest, fail: (error: SoakpError) => void): WebSocket | undefined {
  fillIn(connection)
  try {
    return upgrade(connection, url, request)
  } catch (cause) {
    connection.destroy()
    fail(new SoakpError('invalid_request', 'The upgrade cannot be sent as it is.', { cause }))
    return undefined
  }
}

function upgrade(connection: Socket, url: URL, { path, headers, protocols, maxMessageBytes }: DialRequest): WebSocket {
  const fields: Record<string, string | string[]> = {}
  for (let at = 0; at < headers.length; at += 2) {
    const name = headers[at] as string
    const value = headers[at + 1] as string
    const known = fields[name]
    fields[name] = known === undefined ? value : [...(typeof known === 'string' ? [known] : known), value]
  }
  const scheme = url.protocol === 'https:' ? 'wss:' : 'ws:'
  return new WebSocket(`${scheme}//${url.host}${path}`, [...protocols], {
    createConnection: () => connection,
    headers: fields,
    followRedirects: false,
    perMessageDeflate: false,
    maxPayload: maxMessageBytes,
    closeTimeout: closeTimeoutMs,
  } as ConstructorParameters<typeof WebSocket>[2])
}

function readRefusal(reply: IncomingMessage, done: (body: Buffer) => void, end: () => void): void {
  const pieces: Buffer[] = []
  let size = 0
  const finish = () => {
    done(Buffer.concat(pieces))
    end()
    reply.destroy()
  }
  reply.on('data', (piece: Buffer) => {
    pieces.push(piece)
    size += piece.length
    if (size >= maxRefusalBytes) finish()
  })
  reply.once('end', finish)
  reply.once('error', finish)
  reply.once('close', finish)
}

function explainConnect(cause: Error | null): SoakpError {
  if (cause instanceof SoakpError) return cause
  return new SoakpError('provider_unreachable', undefined, { cause })
}
