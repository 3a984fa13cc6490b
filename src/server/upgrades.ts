import type { IncomingMessage, Server } from 'node:http'
import type { Server as HttpsServer } from 'node:https'
import type { Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { replyOn } from './client-error.js'

export type OnUpgrade = (request: IncomingMessage, socket: Socket, early: Buffer) => void

/**
 * Node hands over the connection of every request that asks for an upgrade, whatever to. What is not spoken here is to be ignored (RFC 9110, section 7.8): such a request is
 * served again without its wish, as clients that would like HTTP/2 in the clear expect.
 */
export function takeUpgrades(server: Server | HttpsServer, release: (socket: Socket) => void, onUpgrade: OnUpgrade): void {
  const event = server.listenerCount('secureConnection') > 0 ? 'secureConnection' : 'connection'
  server.on('upgrade', (request: IncomingMessage, duplex: Duplex, early: Buffer) => {
    const socket = duplex as Socket
    // between its two owners nobody listens
    socket.on('error', () => {})
    const take = () => {
      if (!socket.writable) return
      if (asksForWebSocket(request)) {
        release(socket)
        onUpgrade(request, socket, early)
        return
      }
      const [serve] = server.listeners(event) as ((socket: Socket) => void)[]
      socket.unshift(Buffer.concat([headWithoutUpgrade(request), early]))
      serve?.call(server, socket)
    }
    afterReplyBefore(socket, take)
  })
}

/** The connection still belongs to the reply before. Who asks without waiting for its end, which nobody does in good faith, gets no answer. */
function afterReplyBefore(socket: Socket, take: () => void): void {
  const before = replyOn(socket)
  if (before === undefined) take()
  else if (before.writableEnded) before.once('finish', () => afterReplyBefore(socket, take))
  else socket.destroy()
}

function asksForWebSocket(request: IncomingMessage): boolean {
  return (request.headers.upgrade ?? '').split(',').some(name => name.trim().toLowerCase() === 'websocket')
}

/** The request's head as it came, but for the wish. The parser has taken out whatever could break out of a line. */
function headWithoutUpgrade(request: IncomingMessage): Buffer {
  const lines = [`${request.method} ${request.url} HTTP/${request.httpVersion}`]
  const { rawHeaders } = request
  for (let at = 0; at < rawHeaders.length; at += 2) {
    const name = rawHeaders[at] as string
    const value = rawHeaders[at + 1] as string
    const lower = name.toLowerCase()
    if (lower === 'upgrade' || lower === 'http2-settings') continue
    const kept = lower === 'connection' ? withoutUpgrade(value) : value
    if (kept !== '') lines.push(`${name}: ${kept}`)
  }
  return Buffer.from(`${lines.join('\r\n')}\r\n\r\n`, 'latin1')
}

function withoutUpgrade(value: string): string {
  return value
    .split(',')
    .map(name => name.trim())
    .filter(name => !/^(?:upgrade|http2-settings)$/i.test(name))
    .join(', ')
}
