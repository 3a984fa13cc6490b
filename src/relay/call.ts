import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Http2ServerRequest, Http2ServerResponse } from 'node:http2'
import type { OpenSocket } from '../lib/outbound-socket.js'

export type Request = IncomingMessage | Http2ServerRequest
export type Response = ServerResponse | Http2ServerResponse

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
