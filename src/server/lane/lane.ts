import type { Socket } from 'node:net'
import { Bag, type BagMember } from '../../lib/bag.js'
import type { Request, Response } from '../../relay/call.js'
import { type PlainHead, readPlainHead } from './head.js'
import { LaneReply } from './reply.js'
import { LaneRequest } from './request.js'

export interface LaneOptions {
  readonly onRequest: (request: Request, response: Response) => void
  /** Whether a request for this URL may be taken: the relay's own. */
  readonly takes: (url: string) => boolean
  /** Gives the connection to Node's HTTP server, with the bytes that were read and belong to its next request. */
  readonly handOver: (socket: Socket) => void
  /** Nothing came in time on a new connection. */
  readonly tooLate: (socket: Socket) => void
  /** How long a connection may take to say anything. */
  readonly firstByteTimeoutMs: number
  readonly keepAliveTimeoutMs: number
}

/** HTTP/1.1 connections on which calls come in one piece. */
export interface Lanes {
  /** Serves a new connection for as long as its requests are plain. */
  accept(socket: Socket): Lane
  close(): void
}

/** One connection. */
export interface Lane {
  /** A reply is under way, or not all of it has left; undefined once the connection is Node's. */
  readonly isBusy: boolean | undefined
}

/** How often connections are looked at. */
const tickMs = 500
/** A body that is not here after this streams. */
const bodyPatienceMs = 1000
/** Bytes that may wait for their turn behind a reply. */
const mostWaitingBytes = 64 * 1024

/**
 * Most of a relay's requests are plain, small, and there in one piece; for them Node's parser, its request and its reply cost more than all that is done with them. Such requests
 * are taken here. The first that is anything else hands its connection over to Node's own server, for good.
 */
export function createLanes(options: LaneOptions): Lanes {
  const lanes = new Bag<Connection>()
  const timer = setInterval(() => {
    const nowMs = performance.now()
    for (const lane of lanes.toArray()) lane.look(nowMs)
  }, tickMs)
  timer.unref()
  return {
    accept(socket) {
      const lane = new Connection(socket, options, lanes)
      lanes.add(lane)
      return lane
    },
    close: () => clearInterval(timer),
  }
}

class Connection implements Lane, BagMember {
  bagIndex = -1
  readonly #socket: Socket
  readonly #options: LaneOptions
  readonly #lanes: Bag<Connection>
  /** What came and was not taken yet. */
  #waiting: Buffer | undefined
  /** A head whose body is not all here. */
  #head: PlainHead | undefined
  #reply: LaneReply | undefined
  #served = false
  /** The next request, if it is here, will be served in a moment. */
  #isDue = false
  #isGone = false
  #sinceMs = performance.now()
  /** What of the replies had not left when it was last looked. */
  #unread = 0
  readonly #onData = (bytes: Buffer) => this.#take(bytes)
  readonly #onEnd = () => this.#ended()
  readonly #onError = () => this.#socket.destroy()
  readonly #onClose = () => this.#closed()
  readonly #onGoOn = () => this.#goOn()
  readonly #onDone = (keepsOpen: boolean) => this.#answered(keepsOpen)

  constructor(socket: Socket, options: LaneOptions, lanes: Bag<Connection>) {
    this.#socket = socket
    this.#options = options
    this.#lanes = lanes
    socket.on('data', this.#onData).on('end', this.#onEnd).on('error', this.#onError).on('close', this.#onClose)
  }

  get isBusy(): boolean | undefined {
    return this.#isGone ? undefined : this.#reply !== undefined || this.#socket.writableLength > 0
  }

  #take(bytes: Buffer): void {
    this.#waiting = this.#waiting === undefined ? bytes : Buffer.concat([this.#waiting, bytes])
    if (this.#reply === undefined && !this.#isDue) this.#serve()
    // who sends ahead waits
    else if (this.#waiting.length > mostWaitingBytes) this.#socket.pause()
  }

  /** Answers the request that the waiting bytes begin with. */
  #serve(): void {
    const bytes = this.#waiting as Buffer
    const isNew = this.#head === undefined
    const head = this.#head ?? readPlainHead(bytes)
    if (head === undefined || (isNew && !this.#options.takes(head.url))) {
      this.#handOver()
      return
    }
    const size = head.size + head.contentLength
    if (bytes.length < size) {
      if (isNew) this.#sinceMs = performance.now()
      this.#head = head
      return
    }
    this.#head = undefined
    this.#waiting = bytes.length === size ? undefined : bytes.subarray(size)
    this.#served = true
    this.#reply = new LaneReply(this.#socket, head.keepsOpen, this.#onDone)
    this.#options.onRequest(new LaneRequest(head, bytes.subarray(head.size, size), this.#socket), this.#reply)
  }

  #answered(keepsOpen: boolean): void {
    this.#reply = undefined
    this.#sinceMs = performance.now()
    if (!keepsOpen) this.#last()
    // who does not read what it was told is told no more
    else if (this.#socket.writableNeedDrain) {
      this.#isDue = true
      this.#socket.once('drain', this.#onGoOn)
    }
    // not now: the one who answered is still at work
    else if (this.#waiting !== undefined) {
      this.#isDue = true
      setImmediate(this.#onGoOn)
    }
  }

  #goOn(): void {
    this.#isDue = false
    if (this.#isGone || this.#socket.destroyed || this.#reply !== undefined) return
    if (this.#waiting !== undefined) this.#serve()
    if (!this.#isGone && (this.#waiting?.length ?? 0) <= mostWaitingBytes) this.#socket.resume()
  }

  /** What was written is all: whatever else came is nobody's, and must not be begun. */
  #last(): void {
    this.#waiting = undefined
    this.#head = undefined
    this.#socket.off('data', this.#onData).resume()
    this.#socket.destroySoon()
  }

  #leave(): void {
    this.#isGone = true
    this.#lanes.delete(this)
    this.#socket.off('data', this.#onData).off('end', this.#onEnd).off('error', this.#onError).off('close', this.#onClose)
  }

  #handOver(): void {
    const bytes = this.#waiting
    this.#waiting = undefined
    this.#leave()
    if (bytes !== undefined) this.#socket.unshift(bytes)
    this.#socket.resume()
    this.#options.handOver(this.#socket)
  }

  /** Who says that it will send nothing more has left: there is no reply to wait for. */
  #ended(): void {
    if (this.#reply === undefined) this.#last()
    else this.#socket.destroy()
  }

  #closed(): void {
    this.#isGone = true
    this.#lanes.delete(this)
    const reply = this.#reply
    this.#reply = undefined
    reply?.closed()
  }

  look(nowMs: number): void {
    if (this.#reply !== undefined) return
    const unread = this.#socket.writableLength
    if (unread !== this.#unread) {
      this.#unread = unread
      this.#sinceMs = nowMs
    }
    const waitedMs = nowMs - this.#sinceMs
    if (this.#head !== undefined) {
      if (waitedMs > bodyPatienceMs) this.#handOver()
    } else if (this.#served) {
      if (waitedMs > this.#options.keepAliveTimeoutMs) this.#socket.destroy()
    } else if (waitedMs > this.#options.firstByteTimeoutMs) {
      this.#leave()
      // it may have been reset a moment ago
      this.#socket.on('error', this.#onError)
      this.#options.tooLate(this.#socket)
    }
  }
}
