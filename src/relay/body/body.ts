import { SoakpError } from '../../errors.js'
import { streamed } from '../call.js'
import type { Exchange, Stoppable, StopReason } from '../exchange.js'
import type { BodyRoom } from './body-room.js'

const empty = Buffer.alloc(0)
/** So many pieces are put together as they come: a body sent byte by byte must not cost a hundred times its size. */
const mostPieces = 1024

export interface ReadBodyOptions {
  readonly mostBytes: number
  /** What is taken of it is the exchange's to give back: `roomTaken`. */
  readonly room: BodyRoom
  readonly patienceMs: number
  readonly clock: () => number
}

/**
 * Reads a request body into memory, for a rule or the metering to see. Rejects with `body_too_large` beyond `mostBytes`, with `overloaded` where there is no room, and when
 * the exchange is stopped: because the client went away, or because nothing came for `patienceMs`.
 */
export function readBody(exchange: Exchange, options: ReadBodyOptions): Promise<Buffer> {
  const stated = exchange.head?.contentLength
  if (stated !== undefined && stated > options.mostBytes) return Promise.reject(tooLarge(options.mostBytes))
  return new Promise((resolve, reject) => new Reading(exchange, { ...options, resolve, reject }))
}

interface ReadingOptions extends ReadBodyOptions {
  readonly resolve: (body: Buffer) => void
  readonly reject: (error: SoakpError) => void
}

class Reading implements Stoppable {
  readonly #exchange: Exchange
  readonly #options: ReadingOptions
  #pieces: Buffer[] = []
  readonly #whole: Buffer[] = []
  #size = 0

  constructor(exchange: Exchange, options: ReadingOptions) {
    this.#exchange = exchange
    this.#options = options
    exchange.under = this
    this.#wait()
    const request = streamed(exchange.call)
    request.on('data', (piece: Buffer) => this.#take(piece))
    request.on('end', () => this.#finish())
    // whoever stops the exchange ends the call; this only keeps the error from being nobody's
    request.on('error', () => this.stop('client_gone'))
  }

  stop(reason: StopReason): void {
    this.#options.reject(new SoakpError(reason === 'client_gone' ? 'client_gone' : 'client_timeout'))
  }

  #wait(): void {
    this.#exchange.clientDeadlineAt = this.#options.clock() + this.#options.patienceMs
  }

  #take(piece: Buffer): void {
    this.#wait()
    this.#size += piece.length
    const { mostBytes, room } = this.#options
    const error = this.#size > mostBytes ? tooLarge(mostBytes) : room.take(piece.length) ? undefined : noRoom()
    if (error) {
      this.#giveUp(error)
      return
    }
    this.#exchange.roomTaken += piece.length
    this.#pieces.push(piece)
    if (this.#pieces.length < mostPieces) return
    this.#whole.push(Buffer.concat(this.#pieces))
    this.#pieces = []
  }

  #giveUp(error: SoakpError): void {
    streamed(this.#exchange.call).removeAllListeners('data')
    this.#exchange.clientDeadlineAt = 0
    this.#pieces = []
    this.#whole.length = 0
    this.#options.reject(error)
  }

  #finish(): void {
    this.#exchange.clientDeadlineAt = 0
    this.#exchange.bytesIn = this.#size
    // HTTP/2 makes an end of a stream that was reset
    if (streamed(this.#exchange.call).aborted) {
      this.stop('client_gone')
      return
    }
    const pieces = this.#whole.length === 0 ? this.#pieces : [...this.#whole, ...this.#pieces]
    this.#options.resolve(pieces.length === 1 ? (pieces[0] as Buffer) : pieces.length === 0 ? empty : Buffer.concat(pieces, this.#size))
  }
}

function noRoom(): SoakpError {
  return new SoakpError('overloaded', 'Too many large bodies are open at once.', { retryAfterSeconds: 2 })
}

function tooLarge(mostBytes: number): SoakpError {
  return new SoakpError('body_too_large', `At most ${Math.floor(mostBytes / (1024 * 1024))} MB.`)
}
