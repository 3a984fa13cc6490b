import { once } from 'node:events'
import { connect as connectTcp, type Socket } from 'node:net'
import { connect as connectTls } from 'node:tls'
import type { Target } from './contenders/contender.js'
import { path } from './traffic.js'

/** A client that does next to nothing: what it costs is taken from the machine that the contender needs. */
export async function connect(target: Target): Promise<Socket> {
  const { hostname, port } = new URL(target.origin)
  const at = { host: hostname, port: Number(port) }
  const socket = target.cert === undefined ? connectTcp(at) : connectTls({ ...at, ca: target.cert, ALPNProtocols: ['http/1.1'] })
  socket.setNoDelay(true)
  await once(socket, target.cert === undefined ? 'connect' : 'secureConnect')
  return socket
}

export function post(target: Target, body: string): string {
  const { host } = new URL(target.origin)
  const own = Object.entries(target.headers ?? {}).map(([name, value]) => `${name}: ${value}\r\n`)
  return `POST ${target.path ?? path} HTTP/1.1\r\nhost: ${host}\r\nauthorization: ${target.authorization}\r\n${own.join('')}content-type: application/json\r\ncontent-length: ${Buffer.byteLength(body)}\r\n\r\n${body}`
}

export interface Reply {
  readonly text: string
  /** From the last byte of the request to the first of the body, in microseconds. */
  readonly firstByteUs: number
}

/** One call on an open connection, read to its end. Rejects when the connection ends before. */
export function converse(socket: Socket, request: string): Promise<Reply> {
  return new Promise((done, failed) => {
    let text = ''
    let firstByteUs = -1
    const startedAt = process.hrtime.bigint()
    const broke = (): void => failed(new Error(`the connection ended in the middle of a reply: ${text.slice(0, 300)}`))
    const read = (bytes: Buffer): void => {
      text += bytes.toString('latin1')
      const bodyStart = text.indexOf('\r\n\r\n') + 4
      if (bodyStart === 3 || text.length === bodyStart) return
      if (firstByteUs === -1) firstByteUs = Number(process.hrtime.bigint() - startedAt) / 1000
      if (!isWhole(text, bodyStart)) return
      socket.off('data', read)
      socket.off('close', broke)
      done({ text, firstByteUs })
    }
    socket.on('data', read)
    socket.once('close', broke)
    socket.write(request)
  })
}

function isWhole(text: string, bodyStart: number): boolean {
  const length = /\r\ncontent-length: *(\d+)/i.exec(text.slice(0, bodyStart))?.[1]
  return length === undefined ? text.endsWith('\r\n0\r\n\r\n') : text.length >= bodyStart + Number(length)
}

export interface OpenStreams {
  /** Events read so far on all of them. */
  events(): number
  close(): void
}

/** Opens `count` streams, each on a connection of its own, and resolves when every one has had its first event. */
export async function openStreams(target: Target, count: number, body: string): Promise<OpenStreams> {
  const sockets: Socket[] = []
  let events = 0
  const open = async (): Promise<void> => {
    const socket = await connect(target)
    sockets.push(socket)
    await new Promise<void>((done, failed) => {
      let begun = false
      socket.on('data', bytes => {
        // an event ends with an empty line; nothing of HTTP's own framing holds two line feeds in a row
        for (let at = bytes.indexOf('\n\n'); at !== -1; at = bytes.indexOf('\n\n', at + 2)) {
          events++
          begun = true
        }
        if (begun) done()
      })
      socket.once('close', () => failed(new Error('a stream ended by itself')))
      setTimeout(() => failed(new Error('a stream did not begin within 20 s')), 20_000).unref()
      socket.write(post(target, body))
    })
  }
  // a few at a time, so that no handshake waits long enough to be given up
  for (let opened = 0; opened < count; opened += 20) await Promise.all(Array.from({ length: Math.min(20, count - opened) }, open))
  return {
    events: () => events,
    close() {
      for (const socket of sockets) socket.destroy()
    },
  }
}
