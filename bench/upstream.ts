import { createHash } from 'node:crypto'
import { type AddressInfo, createServer, type Socket } from 'node:net'
import { event, jsonReply, kindOf, lastEvents, socketFrame } from './traffic.js'

/**
 * The provider of the benchmark, a process of its own: HTTP/1.1 keep-alive on a bare socket, as little work as can be, since it shares the machine with
 * what is measured. It understands what the contenders send and no more.
 */
const tickMs = 10
const json = Buffer.from(
  `HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: ${Buffer.byteLength(jsonReply)}\r\n\r\n${jsonReply}`,
)
const streamHead =
  'HTTP/1.1 200 OK\r\ncontent-type: text/event-stream; charset=utf-8\r\ncache-control: no-cache\r\nx-accel-buffering: no\r\ntransfer-encoding: chunked\r\n\r\n'
const oneEvent = Buffer.from(framed(event))
const first = Buffer.from(streamHead + framed(event))
const burst = Buffer.from(`${streamHead}${framed(event).repeat(3)}${framed(lastEvents)}0\r\n\r\n`)
const streaming = new Set<Socket>()
/** Connections that were upgraded. */
const upgraded = new Set<Socket>()

const server = createServer({ noDelay: true }, socket => {
  let waiting = ''
  socket.on('error', () => socket.destroy())
  socket.on('close', () => {
    streaming.delete(socket)
    upgraded.delete(socket)
  })
  socket.on('data', (bytes: Buffer) => {
    // what comes over a WebSocket is not read here
    if (upgraded.has(socket)) return
    waiting += bytes.toString('latin1')
    if (upgrade(socket, waiting)) return
    for (let request = take(waiting); request !== undefined; request = take(waiting)) {
      waiting = waiting.slice(request.size)
      answer(socket, request.body)
    }
  })
})

function answer(socket: Socket, body: string): void {
  const kind = kindOf(body)
  if (kind === 'json') socket.write(json)
  else if (kind === 'burst') socket.write(burst)
  else {
    socket.write(first)
    if (kind === 'stream') streaming.add(socket)
  }
}

/** Answers an upgrade to a WebSocket (RFC 6455, section 4.2.2), if the text is one. */
function upgrade(socket: Socket, text: string): boolean {
  const key = /\r\nsec-websocket-key: *(\S+)/i.exec(text)?.[1]
  if (key === undefined || !text.endsWith('\r\n\r\n')) return false
  const accept = createHash('sha1').update(`${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest('base64')
  socket.write(`HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: Upgrade\r\nsec-websocket-accept: ${accept}\r\n\r\n`)
  upgraded.add(socket)
  return true
}

/** The first whole request of the text, if there is one. */
function take(text: string): { readonly size: number; readonly body: string } | undefined {
  const headEnd = text.indexOf('\r\n\r\n')
  if (headEnd === -1) return undefined
  const start = headEnd + 4
  const head = text.slice(0, headEnd)
  const length = /\r\ncontent-length: *(\d+)/i.exec(head)?.[1]
  if (length !== undefined) {
    const size = start + Number(length)
    return text.length < size ? undefined : { size, body: text.slice(start, size) }
  }
  if (!/\r\ntransfer-encoding: *chunked/i.test(head)) return { size: start, body: '' }
  // the prompts here hold no line breaks, so this can only be the last chunk
  const end = text.indexOf('0\r\n\r\n', start)
  return end === -1 ? undefined : { size: end + 5, body: text.slice(start, end) }
}

function framed(text: string): string {
  return `${Buffer.byteLength(text).toString(16)}\r\n${text}\r\n`
}

setInterval(() => {
  for (const socket of streaming) socket.write(oneEvent)
  for (const socket of upgraded) socket.write(socketFrame)
}, tickMs)

server.listen(0, '127.0.0.1', 4096, () => process.send?.({ port: (server.address() as AddressInfo).port }))
process.on('disconnect', () => process.exit())
