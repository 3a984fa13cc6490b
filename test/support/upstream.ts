import { once } from 'node:events'
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net'
import { type Received, readRequest } from './http-wire.js'
import { until } from './until.js'

/** One request under way at the upstream; the script answers it with bytes of its choice. */
export interface Exchange {
  readonly request: Received
  readonly socket: Socket
  /** The whole body, once it has arrived; empty beyond `keepBytes`, see `Received`. */
  body(): Promise<Buffer>
  /** Writes exactly these bytes; resolves when the kernel took them, or at once when the peer has gone. */
  send(bytes: string | Uint8Array): Promise<void>
  /** Ends the connection with a FIN. */
  close(): void
  /** Ends the connection with an RST. */
  reset(): void
  /** Resolves when the peer has gone. */
  readonly left: Promise<void>
}

/** After it returns, the connection serves the next request unless the script closed it. */
export type Script = (exchange: Exchange) => void | Promise<void>

/** A provider made of bytes: it does whatever the script says, right or wrong, and remembers what it was sent. */
export interface Upstream {
  /** `http://127.0.0.1:PORT`, for `--base-url` with `--allow-private`. */
  readonly url: string
  readonly port: number
  /** Every request whose head arrived, in order. */
  readonly requests: readonly Received[]
  /** How many of them had their peer leave or their reply finished; the rest are open. */
  readonly open: number
  readonly connections: number
  /** Replaces the script for requests from here on. */
  use(script: Script): void
  forget(): void
  close(): Promise<void>
}

export interface UpstreamOptions {
  /** Bodies up to this size are kept whole, larger ones only hashed and counted. 1 MB. */
  readonly keepBytes?: number
  readonly host?: string
}

export async function startUpstream(script: Script, options: UpstreamOptions = {}): Promise<Upstream> {
  const keepBytes = options.keepBytes ?? 1_000_000
  const requests: Received[] = []
  const sockets = new Set<Socket>()
  let current = script
  let open = 0

  const server: Server = createServer({ noDelay: true }, socket => {
    sockets.add(socket)
    socket.on('error', () => {})
    const left = new Promise<void>(resolve => socket.once('close', () => resolve()))
    socket.once('close', () => sockets.delete(socket))
    // a peer that said FIN has left: half-open connections are of no use to a provider
    socket.once('end', () => socket.destroy())
    void serve(socket, left)
  })

  async function serve(socket: Socket, left: Promise<void>): Promise<void> {
    while (!socket.destroyed) {
      const request = await readRequest(socket, keepBytes)
      if (request === undefined) return
      requests.push(request)
      open++
      try {
        await Promise.race([current(exchangeOf(request, socket, left)), left])
        await Promise.race([request.done, left])
      } catch (error) {
        if (!socket.destroyed) throw error
      } finally {
        open--
        if (socket.destroyed) request.leftAtMs ??= Date.now()
      }
    }
  }

  server.listen(0, options.host ?? '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  return {
    url: `http://${options.host?.includes(':') ? `[${options.host}]` : (options.host ?? '127.0.0.1')}:${port}`,
    port,
    requests,
    get open() {
      return open
    },
    get connections() {
      return sockets.size
    },
    use(next) {
      current = next
    },
    forget() {
      requests.length = 0
    },
    async close() {
      for (const socket of sockets) socket.destroy()
      await new Promise(resolve => server.close(resolve))
    },
  }
}

function exchangeOf(request: Received, socket: Socket, left: Promise<void>): Exchange {
  return {
    request,
    socket,
    left,
    body: () => request.done,
    send: bytes =>
      new Promise(resolve => {
        if (socket.destroyed) return resolve()
        socket.write(bytes, () => resolve())
      }),
    close: () => socket.end(),
    reset: () => void socket.resetAndDestroy(),
  }
}

/** Waits until the upstream has seen `count` requests. */
export async function seen(upstream: Upstream, count: number): Promise<void> {
  await until(
    () => upstream.requests.length >= count,
    `${count} requests at the upstream`,
    () => `${upstream.requests.length}`,
  )
}
