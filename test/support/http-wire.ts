import { createHash } from 'node:crypto'
import type { Socket } from 'node:net'

/** A request as it stood on the wire. */
export interface Received {
  readonly method: string
  /** Path and query, as sent. */
  readonly target: string
  /** The head, byte for byte, as latin1. */
  readonly rawHead: string
  /** In order, names as sent. */
  readonly headers: readonly (readonly [string, string])[]
  /** All values of a header, joined by `, `; undefined when it was not sent. */
  header(name: string): string | undefined
  readonly trailers: readonly (readonly [string, string])[]
  /** Resolves at the end of the body, with the body, or with nothing when it is larger than what is kept. Rejects when the peer leaves before. */
  readonly done: Promise<Buffer>
  /** Bytes of body so far, without framing. */
  bodyBytes: number
  /** Hex SHA-256 of the body, once it is complete. */
  sha256: string | undefined
  /** When the peer left before the reply was finished. */
  leftAtMs: number | undefined
}

/** Reads a socket as it flows, so that a peer's leaving is noticed at once; pauses it while 4 MB wait to be taken. */
class Reader {
  #buffer: Buffer = Buffer.alloc(0)
  #over = false
  #wake: () => void = () => {}
  readonly #socket: Socket

  constructor(socket: Socket) {
    this.#socket = socket
    socket.on('data', (chunk: Buffer) => {
      this.#buffer = this.#buffer.length === 0 ? chunk : Buffer.concat([this.#buffer, chunk])
      if (this.#buffer.length > 4_000_000) socket.pause()
      this.#wake()
    })
    const over = () => {
      this.#over = true
      this.#wake()
    }
    socket.on('end', over)
    socket.on('close', over)
  }

  /** Whether more bytes came. */
  async #more(): Promise<boolean> {
    const size = this.#buffer.length
    if (this.#over) return false
    if (this.#socket.isPaused()) this.#socket.resume()
    await new Promise<void>(resolve => {
      this.#wake = resolve
    })
    return this.#buffer.length > size
  }

  /** Up to and without `mark`; undefined at the end of the stream. */
  async upTo(mark: string): Promise<Buffer | undefined> {
    for (;;) {
      const at = this.#buffer.indexOf(mark)
      if (at >= 0) {
        const found = this.#buffer.subarray(0, at)
        this.#buffer = this.#buffer.subarray(at + mark.length)
        return found
      }
      if (!(await this.#more())) return undefined
    }
  }

  /** Between 1 and `most` bytes, as they come. */
  async some(most: number): Promise<Buffer | undefined> {
    if (this.#buffer.length === 0 && !(await this.#more())) return undefined
    const found = this.#buffer.subarray(0, most)
    this.#buffer = this.#buffer.subarray(found.length)
    return found
  }
}

const readers = new WeakMap<Socket, Reader>()

/** The next request on this connection, as soon as its head is there; undefined when there is none any more. */
export async function readRequest(socket: Socket, keepBytes: number): Promise<Received | undefined> {
  const reader = readers.get(socket) ?? new Reader(socket)
  readers.set(socket, reader)
  const head = await reader.upTo('\r\n\r\n')
  if (head === undefined) return undefined
  const rawHead = head.toString('latin1')
  const [first = '', ...lines] = rawHead.split('\r\n')
  const [method = '', target = ''] = first.split(' ')
  const headers = lines.map(fieldOf)
  const trailers: (readonly [string, string])[] = []
  const all = (name: string) => headers.filter(([given]) => given.toLowerCase() === name.toLowerCase()).map(([, value]) => value)
  const received: Received = {
    method,
    target,
    rawHead,
    headers,
    trailers,
    header: name => (all(name).length === 0 ? undefined : all(name).join(', ')),
    done: Promise.resolve(Buffer.alloc(0)),
    bodyBytes: 0,
    sha256: undefined,
    leftAtMs: undefined,
  }
  const done = readBody(reader, received, trailers, keepBytes)
  done.catch(() => {})
  return Object.assign(received, { done })
}

function fieldOf(line: string): readonly [string, string] {
  const colon = line.indexOf(':')
  return [line.slice(0, colon), line.slice(colon + 1).trim()]
}

async function readBody(reader: Reader, received: Received, trailers: (readonly [string, string])[], keepBytes: number): Promise<Buffer> {
  const hash = createHash('sha256')
  const kept: Buffer[] = []
  const take = async (size: number) => {
    for (let left = size; left > 0; ) {
      const chunk = await reader.some(left)
      if (chunk === undefined) throw new Error('the peer left in the middle of a body')
      left -= chunk.length
      received.bodyBytes += chunk.length
      hash.update(chunk)
      if (received.bodyBytes <= keepBytes) kept.push(Buffer.from(chunk))
    }
  }
  if (received.header('transfer-encoding')?.toLowerCase() === 'chunked') await readChunks(reader, take, trailers)
  else await take(Number(received.header('content-length') ?? 0))
  received.sha256 = hash.digest('hex')
  return received.bodyBytes <= keepBytes ? Buffer.concat(kept) : Buffer.alloc(0)
}

async function readChunks(reader: Reader, take: (size: number) => Promise<void>, trailers: (readonly [string, string])[]): Promise<void> {
  for (;;) {
    const line = await reader.upTo('\r\n')
    if (line === undefined) throw new Error('the peer left between chunks')
    const size = Number.parseInt(line.toString('latin1'), 16)
    if (Number.isNaN(size)) throw new Error(`not a chunk size: ${line.toString('latin1')}`)
    if (size === 0) break
    await take(size)
    await reader.upTo('\r\n')
  }
  for (;;) {
    const line = await reader.upTo('\r\n')
    if (line === undefined || line.length === 0) return
    trailers.push(fieldOf(line.toString('latin1')))
  }
}
