import type { IncomingHttpHeaders, IncomingMessage, ServerResponse } from 'node:http'
import type { Http2ServerRequest, Http2ServerResponse } from 'node:http2'
import type { Socket } from 'node:net'
import { SoakpError } from '../errors.js'
import type { OpenSocket } from '../lib/outbound-socket.js'

/** A request that was here whole when it was handed over: nothing of it streams. */
export interface WholeRequest {
  readonly whole: Buffer
  readonly method: string
  readonly url: string
  readonly rawHeaders: string[]
  readonly headers: IncomingHttpHeaders
  readonly socket: Socket
}

/** The part of `ServerResponse` that answers a `WholeRequest`. `close` is told when the reply is over, or its connection before it. */
export interface WholeResponse {
  shouldKeepAlive: boolean
  readonly destroyed: boolean
  readonly headersSent: boolean
  readonly writableEnded: boolean
  writeHead(status: number, headers?: readonly string[] | Readonly<Record<string, string | number>>): this
  writeContinue(): void
  flushHeaders(): void
  write(piece: Buffer | string): boolean
  end(piece?: Buffer | string): void
  destroy(): void
  on(event: 'close', listener: () => void): void
  once(event: 'close' | 'drain', listener: () => void): void
}

export type StreamedRequest = IncomingMessage | Http2ServerRequest
export type Request = StreamedRequest | WholeRequest
export type Response = ServerResponse | Http2ServerResponse | WholeResponse

export function isWhole(request: Request): request is WholeRequest {
  return 'whole' in request
}

/** The request of a call whose body streams. */
export function streamed({ request }: Call): StreamedRequest {
  if (isWhole(request)) throw new SoakpError('internal', 'a body that is here does not stream')
  return request
}

/** One request through the relay, as the server hands it over. */
export interface Call {
  /** `call_…`; also the reply's `x-request-id` and the id of its entry. */
  readonly id: string
  readonly startedAtMs: number
  /** First segment of the path: a provider's name. */
  readonly provider: string
  /** What follows it, as received, from its first `/`, without the query. */
  readonly path: string
  /** From `?`, or empty. */
  readonly query: string
  readonly request: Request
  readonly response: Response
  /** The client's, by the trusted-proxy rules; an IPv4-mapped address is written as IPv4. */
  readonly address: string
  /** Where clients are told to reach us, if that is set. */
  readonly publicUrl?: string | undefined
  /** Why no call is taken at the moment, if so: the relay refuses it, in the provider's error shape. */
  readonly refusal?: 'overloaded' | 'shutting_down' | undefined
  /** The request asks for a WebSocket. Until it is accepted, `response` answers it as any other. */
  readonly upgrade?: Upgrade | undefined
}

/** The client's half of a WebSocket that is not open yet. */
export interface Upgrade {
  /** Subprotocols offered, in the client's order (RFC 6455, section 11.3.4). */
  readonly protocols: readonly string[]
  /** Answers 101 with these headers besides its own, names and values in turn. Undefined: the client has gone. To be called once, and no reply after it. */
  accept(headers: readonly string[]): OpenSocket | undefined
}

/** RFC 9113, section 7: INTERNAL_ERROR. */
const internalError = 2

/** Ends the connection (HTTP/1.1) or the stream (HTTP/2) so that the client cannot take what it has for the whole. */
export function breakOff({ response }: Call): void {
  if (response.destroyed) return
  if ('stream' in response) response.stream?.close(internalError)
  else response.destroy()
}
