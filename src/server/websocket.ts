import { type IncomingMessage, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import { WebSocketServer } from 'ws'
import { SoakpError } from '../errors.js'
import type { OpenSocket } from '../lib/outbound-socket.js'
import type { Upgrade } from '../relay/call.js'

/** In either direction. */
const maxMessageBytes = 16 * 1024 * 1024
/** How long a close frame may stay unanswered. */
const closeTimeoutMs = 5_000

/** Headers of the reply under way: the server below hands them out as it writes it, and does nothing in between. */
let extraHeaders: readonly string[] = []

const handshakes = new WebSocketServer({
  noServer: true,
  clientTracking: false,
  perMessageDeflate: false,
  maxPayload: maxMessageBytes,
  closeTimeout: closeTimeoutMs,
  // chosen by the relay, which knows which of them are secrets
  handleProtocols: () => false,
} as ConstructorParameters<typeof WebSocketServer>[0])
handshakes.on('headers', lines => {
  for (let at = 0; at < extraHeaders.length; at += 2) lines.push(`${extraHeaders[at]}: ${extraHeaders[at + 1]}`)
})

const keyShape = /^[+/0-9A-Za-z]{22}==$/
const token = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/

/** Throws `upgrade_refused` or `invalid_request` for an upgrade that is none (RFC 6455, section 4.2.1). Returns the subprotocols offered. */
export function checkUpgrade(request: IncomingMessage, early: Buffer): readonly string[] {
  const { headers } = request
  if (request.method !== 'GET' || headers['sec-websocket-version'] !== '13') throw new SoakpError('upgrade_refused')
  if (!keyShape.test(headers['sec-websocket-key'] ?? '')) throw new SoakpError('invalid_request', 'Its Sec-WebSocket-Key is no such key.')
  if (headers['transfer-encoding'] !== undefined || Number(headers['content-length'] ?? 0) !== 0)
    throw new SoakpError('invalid_request', 'An upgrade has no body.')
  if (early.length > 0) throw new SoakpError('invalid_request', 'Something was sent behind the upgrade before it was answered.')
  const offered = (headers['sec-websocket-protocol'] ?? '')
    .split(',')
    .map(name => name.trim())
    .filter(name => name !== '')
  // each stands there once (RFC 6455, section 4.1)
  if (offered.length > 20 || offered.some(name => !token.test(name)) || new Set(offered).size < offered.length)
    throw new SoakpError('invalid_request', 'Its subprotocols are malformed.')
  return offered
}

/** A reply to an upgrade that is not, or not yet, accepted. The connection ends with it. */
export function responseFor(request: IncomingMessage, socket: Socket): ServerResponse {
  const response = new ServerResponse(request)
  response.shouldKeepAlive = false
  response.assignSocket(socket)
  response.once('finish', () => socket.destroySoon())
  return response
}

/** Waits with the client for an answer. Whoever says something before it, or leaves, is gone. */
export function createUpgrade(request: IncomingMessage, socket: Socket, response: ServerResponse, protocols: readonly string[]): Upgrade {
  const leave = () => socket.destroy()
  socket.on('data', leave)
  socket.on('end', leave)
  return {
    protocols,
    accept(headers) {
      socket.off('data', leave)
      socket.off('end', leave)
      if (socket.destroyed || response.headersSent) return undefined
      response.detachSocket(socket)
      let accepted: OpenSocket | undefined
      extraHeaders = headers
      try {
        handshakes.handleUpgrade(request, socket, Buffer.alloc(0), opened => {
          accepted = { socket: opened, connection: socket }
        })
      } finally {
        extraHeaders = []
      }
      return accepted
    },
  }
}
