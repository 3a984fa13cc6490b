import type { Socket } from 'node:net'
import { SoakpError } from '../errors.js'
import { Bag, type BagMember } from './bag.js'
import { type PlainRequest, requestHead } from './http1-head.js'
import { BadReply, ReplyReader, type ReplyTaker } from './http1-reader.js'
import { fillHead } from './stand-in.js'

export type { PlainRequest }

/** Like `ReplyTaker`; after `fail` or an abort nothing more comes. `sent`: the other side may have seen the request. */
export interface Taker extends ReplyTaker {
  fail(error: Error, sent: boolean): void
}

/** A request under way. Both calls are harmless after its end. */
export interface Underway {
  /** The other side may have seen the request. */
  readonly isSent: boolean
  abort(): void
  resume(): void
}

export interface Http1Client {
  /** Throws `invalid_request` for what cannot stand in a head. Everything else is told to the taker, never before this returns. */
  send(request: PlainRequest, taker: Taker): Underway
  /** Ends every connection; what is under way fails. */
  close(): void
}

export interface Http1ClientOptions {
  /** `Host` of every request. */
  readonly host: string
  /** Makes a connection, or says why not; exactly one of the two, later. */
  readonly connect: (done: (error: Error | null, socket: Socket | null) => void) => void
  /** Until the reply's head has come. */
  readonly headTimeoutMs: number
  /** Between two pieces of a reply. */
  readonly idleTimeoutMs: number
}

/** An idle connection is given up after this, or a second before the other side said it would. */
const keepAliveMs = 30_000
/** Above this, head and body are written one after the other rather than copied together. */
const mostCopiedBytes = 64 * 1024

/**
 * An HTTP/1.1 client for the calls that a relay has most of: a request that is in memory, and a reply that is passed on as it comes. One request at a time on a connection,
 * connections used again, the freshest first. What it leaves out (bodies that stream, upgrades, redirects) is not missing here, and is what it costs less for.
 */
export function createHttp1Client(options: Http1ClientOptions): Http1Client {
  const { host, connect, headTimeoutMs, idleTimeoutMs } = options
  const idle: Connection[] = []
  const open = new Bag<Connection>()
  const tickMs = Math.min(1000, Math.max(20, Math.min(headTimeoutMs, idleTimeoutMs) / 4))
  const clock = { nowMs: performance.now() }
  let closed = false
  const timer = setInterval(sweep, tickMs)
  timer.unref()
  const house: House = {
    host,
    headTimeoutMs,
    idleTimeoutMs,
    clock,
    free: connection => {
      if (closed) connection.destroy()
      else idle.push(connection)
    },
    gone: connection => {
      open.delete(connection)
      const at = idle.lastIndexOf(connection)
      if (at !== -1) idle.splice(at, 1)
    },
  }

  function sweep(): void {
    clock.nowMs = performance.now()
    for (const connection of open.toArray()) connection.look(clock.nowMs)
  }

  return {
    send(request, taker) {
      const call = new Call(request, requestHead(request, host), taker)
      const ready = idle.pop()
      if (ready) {
        ready.take(call)
        return call
      }
      connect((error, socket) => {
        if (error || !socket) call.fail(error ?? new Error('no connection'), false)
        else if (closed) socket.destroy()
        else {
          const connection = new Connection(socket, house)
          open.add(connection)
          if (call.isOver) house.free(connection)
          else connection.take(call)
        }
      })
      return call
    },
    close() {
      closed = true
      clearInterval(timer)
      for (const connection of open.toArray()) connection.destroy()
    },
  }
}

/** What connections share. */
interface House {
  readonly host: string
  readonly headTimeoutMs: number
  readonly idleTimeoutMs: number
  /** A coarse clock, set by the sweep: deadlines are minutes, and a call touches it often. */
  readonly clock: { nowMs: number }
  free(connection: Connection): void
  gone(connection: Connection): void
}

class Call implements Underway {
  readonly method: string
  readonly body: Buffer | undefined
  readonly taker: Taker
  head: string
  isOver = false
  connection: Connection | undefined

  constructor(request: PlainRequest, text: string, taker: Taker) {
    this.method = request.method
    this.body = request.body
    this.taker = taker
    this.head = text
  }

  get isSent(): boolean {
    return this.connection !== undefined
  }

  fail(error: Error, sent: boolean): void {
    if (this.isOver) return
    this.isOver = true
    this.taker.fail(error, sent)
  }

  abort(): void {
    if (this.isOver) return
    this.isOver = true
    this.connection?.destroy()
  }

  resume(): void {
    if (!this.isOver) this.connection?.resume()
  }
}

/** One connection, and the one call that is on it. Stands between the reader and the call's taker to know what comes when. */
class Connection implements BagMember, ReplyTaker {
  bagIndex = -1
  readonly #socket: Socket
  readonly #house: House
  readonly #reader = new ReplyReader()
  #call: Call | undefined
  #deadlineMs: number
  /** Bytes that hold a secret, until the kernel has them. */
  #written: Buffer | undefined
  readonly #wipe = () => {
    this.#written?.fill(0)
    this.#written = undefined
  }

  constructor(socket: Socket, house: House) {
    this.#socket = socket
    this.#house = house
    this.#deadlineMs = house.clock.nowMs + keepAliveMs
    socket.on('data', (chunk: Buffer) => this.#read(chunk))
    socket.on('end', () => this.#ended())
    socket.on('error', (error: Error) => this.#lost(error))
    socket.on('close', () => this.#lost(new Error('the connection was closed')))
  }

  take(call: Call): void {
    this.#call = call
    call.connection = this
    this.#deadlineMs = this.#house.clock.nowMs + this.#house.headTimeoutMs
    this.#reader.begin(this, call.method === 'HEAD')
    this.#write(call)
  }

  #write(call: Call): void {
    const { body } = call
    const together = body !== undefined && body.length <= mostCopiedBytes ? body : undefined
    const bytes = fillHead(call.head, together)
    // a head is not kept longer than it takes to write it
    call.head = ''
    if (bytes === undefined) {
      this.destroy(new Error('the request was withdrawn'))
      return
    }
    this.#written = bytes
    if (body === undefined || together) {
      this.#socket.write(bytes, this.#wipe)
      return
    }
    this.#socket.cork()
    this.#socket.write(bytes, this.#wipe)
    this.#socket.write(body)
    this.#socket.uncork()
  }

  head(status: number, headers: readonly string[]): void {
    this.#deadlineMs = this.#house.clock.nowMs + this.#house.idleTimeoutMs
    if (!this.#call?.isOver) this.#call?.taker.head(status, headers)
  }

  data(chunk: Buffer): boolean {
    const call = this.#call
    if (call === undefined || call.isOver) return true
    if (call.taker.data(chunk)) return true
    // who does not read is somebody else's concern
    this.#deadlineMs = Number.POSITIVE_INFINITY
    this.#socket.pause()
    return false
  }

  end(): void {
    const call = this.#call
    this.#call = undefined
    const { keepsOpen, keepAliveSeconds } = this.#reader
    // one who answers before it has read all might never do so: what is left would wait here, and the next request behind it
    if (keepsOpen && !this.#socket.destroyed && this.#socket.writableLength === 0) {
      const stated = keepAliveSeconds === undefined ? keepAliveMs : (keepAliveSeconds - 1) * 1000
      this.#deadlineMs = this.#house.clock.nowMs + Math.min(keepAliveMs, stated)
      if (stated > 0) this.#house.free(this)
      else this.destroy()
    } else this.destroy()
    if (call === undefined || call.isOver) return
    call.isOver = true
    call.taker.end()
  }

  resume(): void {
    this.#deadlineMs = this.#house.clock.nowMs + this.#house.idleTimeoutMs
    try {
      this.#reader.resume()
    } catch (error) {
      this.destroy(error as Error)
      return
    }
    this.#socket.resume()
  }

  #read(chunk: Buffer): void {
    if (!this.#reader.awaitsHead) this.#deadlineMs = this.#house.clock.nowMs + this.#house.idleTimeoutMs
    try {
      this.#reader.read(chunk)
    } catch (error) {
      this.destroy(error as Error)
    }
  }

  #ended(): void {
    if (!this.#reader.close()) this.destroy(new BadReply('it ends in the middle'))
    // a taker that paused has yet to hear the rest
    else if (this.#call === undefined) this.destroy()
  }

  #lost(error: Error): void {
    if (this.#call !== undefined && this.#reader.waitsForTaker) return
    this.destroy(error)
  }

  /** Gives up what has waited too long: for a head, for the next piece, or for a next request. */
  look(nowMs: number): void {
    if (nowMs < this.#deadlineMs) return
    this.destroy(new SoakpError('provider_timeout'))
  }

  /** With an error, the call that is on it fails; without one nobody waits for it any more. */
  destroy(error?: Error): void {
    const call = this.#call
    this.#call = undefined
    this.#reader.abandon()
    this.#house.gone(this)
    this.#socket.destroy()
    if (call !== undefined && !call.isOver) call.fail(error ?? new Error('the connection was closed'), true)
  }
}
