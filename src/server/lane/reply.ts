import { STATUS_CODES } from 'node:http'
import type { Socket } from 'node:net'
import type { WholeResponse } from '../../relay/call.js'

type Listener = () => void

/** Above this, a piece is written beside its framing rather than copied into it. */
const mostCopiedBytes = 16 * 1024

const lastChunk = '0\r\n\r\n'

let dateSecond = 0
let dateText = ''

/** The `Date` of a reply, worked out once a second. */
function date(): string {
  const second = Math.floor(Date.now() / 1000)
  if (second !== dateSecond) {
    dateSecond = second
    dateText = new Date(second * 1000).toUTCString()
  }
  return dateText
}

/**
 * The reply to a request that came in one piece: what Node's `ServerResponse` puts on the wire, in as few writes. Header names and values are not looked at again: those of a
 * provider were checked as they were read, and ours hold nothing that a client could end a line in.
 */
export class LaneReply implements WholeResponse {
  readonly #socket: Socket
  readonly #done: (keepsOpen: boolean) => void
  readonly #closeListeners: Listener[] = []
  shouldKeepAlive: boolean
  headersSent = false
  writableEnded = false
  #waitingHead = ''
  #chunked = false

  /** `done` is called when the reply is written, with whether the connection may carry another request. */
  constructor(socket: Socket, keepsOpen: boolean, done: (keepsOpen: boolean) => void) {
    this.#socket = socket
    this.shouldKeepAlive = keepsOpen
    this.#done = done
  }

  get destroyed(): boolean {
    return this.#socket.destroyed
  }

  on(_event: 'close', listener: Listener): void {
    this.#closeListeners.push(listener)
  }

  once(event: 'close' | 'drain', listener: Listener): void {
    if (event === 'close') this.#closeListeners.push(listener)
    else this.#socket.once('drain', listener)
  }

  /** The reply is over, or its connection. */
  closed(): void {
    for (const listener of this.#closeListeners) listener()
  }

  writeContinue(): void {
    // the body is here
  }

  writeHead(status: number, headers: readonly string[] | Readonly<Record<string, string | number>> = []): this {
    const list = Array.isArray(headers) ? (headers as readonly string[]) : Object.entries(headers).flat()
    let text = `HTTP/1.1 ${status} ${STATUS_CODES[status] ?? ''}\r\n`
    let framed = status === 204 || status === 304
    for (let at = 0; at < list.length; at += 2) {
      const name = list[at] as string
      text += `${name}: ${list[at + 1]}\r\n`
      if (name === 'content-length') framed = true
      else if (name === 'connection' && list[at + 1] === 'close') this.shouldKeepAlive = false
    }
    text += this.shouldKeepAlive ? `Date: ${date()}\r\nConnection: keep-alive\r\nKeep-Alive: timeout=72\r\n` : `Date: ${date()}\r\n`
    if (!this.shouldKeepAlive && !text.includes('\r\nconnection: close\r\n')) text += 'Connection: close\r\n'
    this.#chunked = !framed
    if (this.#chunked) text += 'Transfer-Encoding: chunked\r\n'
    this.#waitingHead = `${text}\r\n`
    this.headersSent = true
    return this
  }

  /** A head whose body is late goes ahead. */
  flushHeaders(): void {
    if (this.#waitingHead === '') return
    this.#socket.write(this.#waitingHead, 'latin1')
    this.#waitingHead = ''
  }

  write(given: Buffer | string): boolean {
    const piece = typeof given === 'string' ? Buffer.from(given) : given
    if (piece.length === 0) return true
    return this.#chunked
      ? this.#put(`${this.#waitingHead}${piece.length.toString(16)}\r\n`, piece, '\r\n')
      : this.#put(this.#waitingHead, piece, '')
  }

  end(given?: Buffer | string): void {
    if (this.writableEnded) return
    this.writableEnded = true
    const piece = typeof given === 'string' ? Buffer.from(given) : given
    if (!this.#chunked) {
      if (piece !== undefined || this.#waitingHead !== '') this.#put(this.#waitingHead, piece, '')
    } else if (piece === undefined || piece.length === 0) this.#put(`${this.#waitingHead}${lastChunk}`, undefined, '')
    else this.#put(`${this.#waitingHead}${piece.length.toString(16)}\r\n`, piece, `\r\n${lastChunk}`)
    this.#done(this.shouldKeepAlive)
    this.closed()
  }

  destroy(): void {
    this.#socket.destroy()
  }

  #put(before: string, piece: Buffer | undefined, after: string): boolean {
    this.#waitingHead = ''
    const socket = this.#socket
    if (piece === undefined) return socket.write(before, 'latin1')
    if (before === '' && after === '') return socket.write(piece)
    if (piece.length > mostCopiedBytes) {
      socket.cork()
      if (before !== '') socket.write(before, 'latin1')
      const room = socket.write(piece)
      if (after !== '') socket.write(after, 'latin1')
      socket.uncork()
      return room
    }
    const bytes = Buffer.allocUnsafe(before.length + piece.length + after.length)
    bytes.write(before, 'latin1')
    bytes.set(piece, before.length)
    if (after !== '') bytes.write(after, before.length + piece.length, 'latin1')
    return socket.write(bytes)
  }
}
