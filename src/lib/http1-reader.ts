import { BadReply, type Framing, readField } from './http1-framing.js'

export { BadReply }

/** Takes what a reply is made of: `head` once, `data` any number of times, `end` once. `data` returns false when it wants no more until `resume`. */
export interface ReplyTaker {
  /** Names and values in turn, as they came, without blanks around them. */
  head(status: number, headers: readonly string[]): void
  data(chunk: Buffer): boolean
  end(): void
}

type State = 'idle' | 'finished' | 'head' | 'length' | 'chunk-size' | 'chunk' | 'chunk-end' | 'trailer' | 'until-close'

const headEnd = Buffer.from('\r\n\r\n')
const cr = 13
const lf = 10
const maxHeadBytes = 64 * 1024
const maxLineBytes = 8 * 1024
const maxChunkDigits = 12
/** Of a hundred hints before a reply none is one. */
const maxHints = 100

const statusLine = /^HTTP\/1\.([01]) ([2-9]\d\d|1\d\d)(?: [\t\x20-\x7e\x80-\xff]*)?$/
const notInValue = /[^\t\x20-\x7e\x80-\xff]/
const chunkLine = new RegExp(`^([0-9a-fA-F]{1,${maxChunkDigits}})[ \\t]*(?:;[\\t\\x20-\\x7e\\x80-\\xff]*)?$`)

/**
 * Reads replies of HTTP/1.1 (RFC 9112) off a connection, one after the other. Strict where leniency would let two readers see two different replies: line ends are CR LF,
 * a length is stated once and not beside a transfer coding, `chunked` is the only coding. Keeps no more than an unfinished head or line.
 */
export class ReplyReader {
  #taker: ReplyTaker | undefined
  #state: State = 'idle'
  #rest: Buffer | undefined
  #left = 0
  #isHead = false
  #hints = 0
  #paused = false
  #closed = false
  #keepsOpen = true
  #keepAliveSeconds: number | undefined

  /** Whether another request may follow on the connection. Known once a reply has ended. */
  get keepsOpen(): boolean {
    return this.#keepsOpen && this.#state === 'idle' && this.#rest === undefined
  }

  /** Nothing more will come, and a taker that paused decides when it hears the rest. */
  get waitsForTaker(): boolean {
    return this.#paused && (this.#closed || this.#state === 'finished')
  }

  /** A request has gone out, and the head of its reply is not here yet. */
  get awaitsHead(): boolean {
    return this.#state === 'head'
  }

  /** How long the other side said that it keeps an idle connection. */
  get keepAliveSeconds(): number | undefined {
    return this.#keepAliveSeconds
  }

  /** A request has gone out; its reply is read next. `isHead`: it was a HEAD, so the reply has no body whatever it says. */
  begin(taker: ReplyTaker, isHead: boolean): void {
    this.#taker = taker
    this.#isHead = isHead
    this.#hints = 0
    this.#state = 'head'
    this.#paused = false
  }

  /** Nobody wants the reply any more; what is left of it cannot be read past. */
  abandon(): void {
    this.#taker = undefined
    this.#keepsOpen = false
  }

  /** Throws `BadReply`; then the connection is of no more use. Bytes nobody asked for are bad too. */
  read(chunk: Buffer): void {
    if (this.#state === 'idle' || this.#state === 'finished') throw new BadReply('bytes that nobody asked for')
    const bytes = this.#rest === undefined ? chunk : Buffer.concat([this.#rest, chunk])
    this.#rest = undefined
    this.#run(bytes)
  }

  /** The taker wants to go on. Throws as `read`. */
  resume(): void {
    if (!this.#paused) return
    this.#paused = false
    const bytes = this.#rest
    this.#rest = undefined
    if (this.#state === 'finished') this.#tellEnd()
    else if (bytes !== undefined) this.#run(bytes)
    if (this.#closed && !this.#paused && !this.close()) throw new BadReply('it ends in the middle')
  }

  /** The connection has ended. Returns false where the reply ended in the middle; where that shows only once a paused taker goes on, `resume` throws. */
  close(): boolean {
    this.#closed = true
    this.#keepsOpen = false
    if (this.#paused || this.#state === 'idle') return true
    if (this.#state !== 'until-close') return false
    this.#tellEnd()
    return true
  }

  #run(bytes: Buffer): void {
    let at = 0
    while (at < bytes.length && !this.#paused && this.#state !== 'finished') {
      const next = this.#step(bytes, at)
      if (next === -1) break
      at = next
    }
    if (this.#state === 'finished') {
      // what follows belongs to no request: it must not be taken for the reply to the next one
      if (at < bytes.length) this.#keepsOpen = false
      if (!this.#paused) this.#tellEnd()
    } else if (at < bytes.length) this.#rest = at === 0 ? bytes : bytes.subarray(at)
  }

  /** Reads one thing at `at`; returns where the next begins, or -1 where it is not whole yet. */
  #step(bytes: Buffer, at: number): number {
    switch (this.#state) {
      case 'head':
        return this.#head(bytes, at)
      case 'length':
      case 'chunk':
        return this.#body(bytes, at)
      case 'chunk-size':
        return this.#chunkSize(bytes, at)
      case 'chunk-end':
        if (bytes.length - at < 2) return -1
        if (bytes[at] !== cr || bytes[at + 1] !== lf) throw new BadReply('a chunk is longer than it says')
        this.#state = 'chunk-size'
        return at + 2
      case 'trailer':
        return this.#trailer(bytes, at)
      case 'until-close':
        this.#give(bytes.subarray(at))
        return bytes.length
      default:
        throw new BadReply('bytes that nobody asked for')
    }
  }

  #head(bytes: Buffer, at: number): number {
    const end = bytes.indexOf(headEnd, at)
    if (end === -1) {
      if (bytes.length - at > maxHeadBytes) throw new BadReply('the head is too long')
      return -1
    }
    if (end - at > maxHeadBytes) throw new BadReply('the head is too long')
    this.#readHead(bytes.toString('latin1', at, end))
    return end + headEnd.length
  }

  #readHead(text: string): void {
    const firstEnd = text.indexOf('\r\n')
    const match = statusLine.exec(firstEnd === -1 ? text : text.slice(0, firstEnd))
    if (!match) throw new BadReply('the status line is none')
    const status = Number(match[2])
    const headers: string[] = []
    const framing: Framing = { length: undefined, chunked: false, keepsOpen: match[1] === '1', saysClose: false, keepAlive: undefined }
    for (let start = firstEnd + 2; firstEnd !== -1 && start <= text.length; ) {
      const found = text.indexOf('\r\n', start)
      const end = found === -1 ? text.length : found
      readField(text, start, end, headers, framing)
      start = end + 2
    }
    if (status < 200) {
      // between us and the provider (RFC 9110, section 15.2); a switch of protocols was not asked for
      if (status === 101) throw new BadReply('it switches protocols')
      if (++this.#hints > maxHints) throw new BadReply('it only hints at a reply')
      return
    }
    this.#keepsOpen = framing.keepsOpen && !framing.saysClose
    this.#keepAliveSeconds = framing.keepAlive
    this.#frame(status, framing)
    this.#taker?.head(status, headers)
    if (this.#state === 'length' && this.#left === 0) this.#state = 'finished'
  }

  /** RFC 9112, section 6.3. */
  #frame(status: number, { length, chunked }: Framing): void {
    if (chunked && length !== undefined) throw new BadReply('it states a length and a transfer coding')
    if (this.#isHead || status === 204 || status === 304) this.#expect('length', 0)
    else if (chunked) this.#expect('chunk-size', 0)
    else if (length !== undefined) this.#expect('length', length)
    else {
      this.#keepsOpen = false
      this.#expect('until-close', 0)
    }
  }

  #expect(state: State, left: number): void {
    this.#state = state
    this.#left = left
  }

  #body(bytes: Buffer, at: number): number {
    const end = Math.min(bytes.length, at + this.#left)
    const piece = at === 0 && end === bytes.length ? bytes : bytes.subarray(at, end)
    this.#left -= piece.length
    const isLast = this.#left === 0
    if (isLast && this.#state === 'chunk') this.#state = 'chunk-end'
    this.#give(piece)
    if (isLast && this.#state === 'length') this.#state = 'finished'
    return end
  }

  #chunkSize(bytes: Buffer, at: number): number {
    const end = lineEnd(bytes, at)
    if (end === -1) return -1
    const match = chunkLine.exec(bytes.toString('latin1', at, end))
    if (!match) throw new BadReply('the size of a chunk is none')
    const size = Number.parseInt(match[1] as string, 16)
    this.#expect(size === 0 ? 'trailer' : 'chunk', size)
    return end + 2
  }

  /** Trailers are read and dropped. */
  #trailer(bytes: Buffer, at: number): number {
    const end = lineEnd(bytes, at)
    if (end === -1) return -1
    if (end === at) this.#state = 'finished'
    else if (notInValue.test(bytes.toString('latin1', at, end))) throw new BadReply('a trailer holds what it cannot hold')
    return end + 2
  }

  #give(piece: Buffer): void {
    if (this.#taker?.data(piece) === false) this.#paused = true
  }

  /** Last of all, because the taker may begin with the next request at once. */
  #tellEnd(): void {
    this.#state = 'idle'
    const taker = this.#taker
    this.#taker = undefined
    taker?.end()
  }
}

function lineEnd(bytes: Buffer, at: number): number {
  const end = bytes.indexOf(lf, at)
  if (end === -1) {
    if (bytes.length - at > maxLineBytes) throw new BadReply('a line is too long')
    return -1
  }
  if (end === at || bytes[end - 1] !== cr) throw new BadReply('a line does not end in CR LF')
  return end - 1
}
