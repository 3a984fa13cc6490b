import { once } from 'node:events'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo, Socket } from 'node:net'
import { type WebSocket, WebSocketServer } from 'ws'

/** A provider of WebSockets, which does what the test says with each of them. */
export interface SocketUpstream {
  /** `http://127.0.0.1:PORT`, for `--base-url` with `--allow-private`. */
  readonly url: string
  /** Every upgrade asked for, in order. */
  readonly upgrades: readonly IncomingMessage[]
  readonly sockets: ReadonlySet<WebSocket>
  /** What the next upgrades meet. */
  use(script: SocketScript): void
  /** Answers upgrades without opening them, those that it has an answer for. */
  refuseWith(
    answer: ((request: IncomingMessage) => { status: number; body: string; headers?: Record<string, string> } | undefined) | undefined,
  ): void
}

export type SocketScript = (socket: WebSocket, request: IncomingMessage) => void

/** Sends back whatever comes. */
export const echo: SocketScript = socket => {
  socket.on('message', (data, isBinary) => socket.send(data, { binary: isBinary }))
}

export async function startSocketUpstream(
  t: { teardown(handler: () => unknown): unknown },
  script: SocketScript = echo,
): Promise<SocketUpstream> {
  let current = script
  let refusal: Parameters<SocketUpstream['refuseWith']>[0]
  const upgrades: IncomingMessage[] = []
  const sockets = new Set<WebSocket>()
  const connections = new Set<Socket>()
  const server = createServer((_: IncomingMessage, response: ServerResponse) => response.writeHead(404).end())
  const handshakes = new WebSocketServer({ noServer: true, maxPayload: 64 * 1024 * 1024 })
  server.on('connection', socket => {
    connections.add(socket)
    socket.on('close', () => connections.delete(socket))
  })
  server.on('upgrade', (request, socket, head) => {
    upgrades.push(request)
    socket.on('error', () => {})
    const answer = refusal?.(request)
    if (answer) {
      const lines = Object.entries({
        'content-type': 'application/json',
        'content-length': `${Buffer.byteLength(answer.body)}`,
        connection: 'close',
        ...answer.headers,
      })
      socket.end(`HTTP/1.1 ${answer.status} Sorry\r\n${lines.map(([name, value]) => `${name}: ${value}\r\n`).join('')}\r\n${answer.body}`)
      return
    }
    handshakes.handleUpgrade(request, socket, head, opened => {
      sockets.add(opened)
      opened.on('error', () => {})
      opened.on('close', () => sockets.delete(opened))
      current(opened, request)
    })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => {
    for (const connection of connections) connection.destroy()
    server.close()
  })
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    upgrades,
    sockets,
    use(next) {
      current = next
    },
    refuseWith(answer) {
      refusal = answer
    },
  }
}
