import type { ServerResponse } from 'node:http'
import { SoakpError } from '../errors.js'
import { isPromise, type MaybePromise } from '../lib/maybe.js'
import type { Provider, UpstreamReply, UpstreamSink } from '../providers/provider.js'
import type { OwnedRecord } from '../stores/records.js'
import { breakOff, isWhole } from './call.js'
import type { Ending, Exchange, Stoppable, StopReason } from './exchange.js'
import { type ReplyHead, responseHeaders } from './headers.js'
import { heldBytes, isHeld, settleHeld } from './held-reply.js'
import { type Meter, type Metered, unread } from './meter/meter.js'
import { meterFor } from './meter/reply-meter.js'
import { unfinished } from './meter/unfinished.js'
import type { Keeping } from './owned/keeping.js'
import type { StreamLearner } from './owned/made.js'
import { ownHeaders, toSoakpError } from './refuse.js'
import { rewriteReply } from './rewrite.js'
import { cutStream, type Watch } from './spending/watch.js'
import { WaitingHead } from './waiting-head.js'

/** What all deliveries of a relay share. */
export interface DeliveryDeps {
  /** Most milliseconds that the client may leave what was written unread. */
  readonly patienceMs: number
  /** A steady clock, in milliseconds. */
  readonly clock: () => number
  /** Says whether an error reply may be shown. Undefined: yes; `again`: the request goes out once more and this delivery is over. */
  readonly judge: (exchange: Exchange, status: number, head: ReplyHead, body: Buffer) => MaybePromise<SoakpError | 'again' | undefined>
  /** Answers in the provider's place. */
  readonly refuse: (exchange: Exchange, error: SoakpError) => void
  readonly keeping: Keeping
  /** Says of a stream under a budget whether it may go on. */
  readonly watch: Watch
  /** Writes the ledger line; `done` when it is durable, or with the error that kept it from being so. */
  readonly record: (exchange: Exchange, ending: Ending, done: (error?: unknown) => void) => void
}

/**
 * Carries one reply to the client: bytes as they come, read along by the meter, paused when the client reads more slowly; its end held back until the
 * entry is durable. The end is the last piece of a body whose length is known, else the closing chunk or END_STREAM.
 */
export class Delivery implements UpstreamSink, Stoppable {
  readonly #exchange: Exchange
  readonly #deps: DeliveryDeps
  #upstream: UpstreamReply | undefined
  #status = 0
  #reply: ReplyHead | undefined
  #meter: Meter | undefined
  /** What an error reply has said so far, while it is not known whether it may be shown. */
  #doubtful: Buffer[] | undefined
  #doubtfulSize = 0
  #headAt = 0
  #head: WaitingHead | undefined
  /** Bytes that are still to come, where that is known. */
  #left: number | undefined
  /** The last piece of a body whose length is known; of another, all of it so far, for as long as the head waits. */
  #held: Buffer | undefined
  #ended = false
  /** The client has yet to take what was written. */
  #paused = false
  #learner: StreamLearner | undefined
  /** What has come since something was told of that is not written down yet. */
  #queued: Buffer[] | undefined
  #endsQueued = false

  constructor(exchange: Exchange, deps: DeliveryDeps) {
    this.#exchange = exchange
    this.#deps = deps
  }

  /** The reply that is to be delivered; also makes the exchange stoppable. */
  attach(upstream: UpstreamReply): void {
    this.#upstream = upstream
    if (!this.#ended) this.#exchange.under = this
  }

  head(status: number, raw: readonly Buffer[] | readonly string[]): void {
    const exchange = this.#exchange
    this.#headAt = this.#deps.clock()
    const reply = responseHeaders(exchange.provider as Provider, raw)
    this.#status = status
    this.#reply = reply
    exchange.upstreamRequestId = reply.upstreamRequestId
    // HTTP/2 has no way to say it (RFC 9110, section 15)
    if (status > 599) this.#giveUp(new SoakpError('provider_broke_off', `Its status is ${status}.`))
    else if (status >= 300 && status < 400 && status !== 304) this.#giveUp(new SoakpError('provider_redirected'))
    else if (isHeld(this.#deps, exchange, status, reply)) this.#doubtful = []
    else this.#open(reply)
  }

  data(chunk: Buffer): boolean {
    if (this.#doubtful === undefined) return this.#pass(chunk)
    this.#doubtful.push(chunk)
    this.#doubtfulSize += chunk.length
    if (this.#doubtfulSize < heldBytes(this.#status)) return true
    const judged = this.#judge()
    if (!isPromise(judged)) return true
    judged.then(() => this.#upstream?.resume())
    return false
  }

  end(): void {
    const judged = this.#doubtful === undefined ? undefined : this.#judge()
    if (isPromise(judged)) judged.then(() => this.#finish())
    else if (this.#queued) this.#endsQueued = true
    else this.#finish()
  }

  fail(error: Error): void {
    if (this.#ended) return
    const exchange = this.#exchange
    const failure = error instanceof SoakpError ? error : new SoakpError('provider_broke_off', undefined, { cause: error })
    const { request, response } = exchange.call
    if ((!isWhole(request) && request.errored !== null) || response.destroyed) this.stop('client_gone')
    else if (exchange.answered) this.#break(failure)
    else {
      this.#ended = true
      this.#deps.refuse(exchange, failure)
    }
  }

  /** Settles whether the error reply may be shown. Neither throws nor rejects. */
  #judge(): MaybePromise<void> {
    const body = Buffer.concat(this.#doubtful ?? [], this.#doubtfulSize)
    try {
      const settled = settleHeld(this.#deps, this.#exchange, this.#status, this.#reply as ReplyHead, body)
      if (!isPromise(settled)) return this.#decide(settled, body)
      return settled.then(known => this.#decide(known, body)).catch(error => this.#giveUp(toSoakpError(error)))
    } catch (error) {
      return this.#giveUp(toSoakpError(error))
    }
  }

  #decide(settled: Buffer | SoakpError | 'again', body: Buffer): void {
    if (this.#ended) return
    this.#doubtful = undefined
    if (settled === 'again') {
      this.#ended = true
      this.#upstream?.abort()
    } else if (settled instanceof SoakpError) this.#giveUp(settled)
    else {
      const reply = this.#reply as ReplyHead
      this.#open(settled === body ? reply : { ...reply, contentLength: settled.length })
      if (settled.length > 0) this.#pass(settled)
    }
  }

  /** The provider broke off a reply that the client has a part of. */
  #break(failure: SoakpError): void {
    this.#ended = true
    const { usage, model, source } = this.#read()
    const ending: Ending = { status: this.#status, outcome: 'failed', errorCode: failure.code, usage, model, usageSource: source }
    this.#deps.record(this.#exchange, ending, () => breakOff(this.#exchange.call))
  }

  #giveUp(error: SoakpError): void {
    this.#ended = true
    this.#upstream?.abort()
    this.#deps.refuse(this.#exchange, error)
  }

  #open(reply: ReplyHead): void {
    const exchange = this.#exchange
    const { clock } = this.#deps
    const { request } = exchange.call
    const stream = reply.contentType.startsWith('text/event-stream')
    if (stream && exchange.way !== undefined) this.#learner = this.#deps.keeping.learner(exchange)
    this.#meter = meterFor(exchange, this.#status, reply, this.#learner)
    const rewriting = exchange.provider?.calledNext && rewriteReply(exchange, reply, this.#meter)
    if (rewriting) this.#meter = rewriting
    const { headers } = reply
    for (const header of ownHeaders(exchange)) headers.push(header)
    // 204 states none (RFC 9110, section 8.6), and over HTTP/2 would be taken for broken by it
    if (reply.contentLength !== undefined && this.#status !== 204 && exchange.inspected?.injectedUsage !== true && !rewriting) {
      headers.push('content-length', String(reply.contentLength))
      this.#left = reply.contentLength
    }
    if (stream) headers.push('x-accel-buffering', 'no')
    exchange.overheadMs += clock() - this.#headAt
    headers.push('x-soakp-overhead-us', String(Math.round(exchange.overheadMs * 1000)))
    exchange.answered = true
    if (exchange.rivals) exchange.rivals.kept = undefined
    this.#head = new WaitingHead(exchange, this.#status, headers)
    const bodyless = request.method === 'HEAD' || this.#status === 204 || this.#status === 304 || this.#left === 0
    // a head whose body is late goes ahead; one whose whole body is there already goes with it, in one write
    if (!bodyless) process.nextTick(flushHead, this)
  }

  /** No more is waited for: whatever is here goes out, but for the end of a body whose length is known. */
  flush(): void {
    const { response } = this.#exchange.call
    if (this.#head === undefined || this.#head.isSent || this.#ended || response.destroyed) return
    if (this.#held === undefined) {
      this.#head.send(this.#left === undefined)
      if ('flushHeaders' in response) response.flushHeaders()
    } else if (this.#left === undefined) this.#writeHeld(this.#held)
  }

  /** It was not all. */
  #writeHeld(held: Buffer): boolean {
    this.#held = undefined
    return this.#write(held)
  }

  #pass(chunk: Buffer): boolean {
    if (this.#queued) {
      this.#queued.push(chunk)
      return false
    }
    const exchange = this.#exchange
    const { clock } = this.#deps
    if (exchange.firstByteMs === null) exchange.firstByteMs = Math.round(clock() - exchange.startedAt)
    const pieces = (this.#meter as Meter).feed(chunk)
    const made = this.#learner?.take()
    if (made) return this.#learn(made, pieces)
    if (pieces === undefined) return true
    if (this.#left !== undefined) {
      this.#left -= chunk.length
      if (this.#left <= 0 && Buffer.isBuffer(pieces)) {
        this.#held = pieces
        return true
      }
    } else if (this.#head?.isSent === false && isDocument(this.#reply) && Buffer.isBuffer(pieces)) {
      if (this.#held === undefined) {
        this.#held = pieces
        return true
      }
      this.#writeHeld(this.#held)
    }
    let room = true
    if (Buffer.isBuffer(pieces)) room = this.#write(pieces)
    else for (const piece of pieces) room = this.#write(piece)
    if (exchange.asks?.cost) this.#watch()
    return room
  }

  /** Keeps back what tells of something new until it is written down whose that is. */
  #learn(made: readonly OwnedRecord[], pieces: Buffer | readonly Buffer[] | undefined): false {
    this.#queued = []
    this.#deps.keeping.keep(made, error => {
      if (this.#ended) return
      if (error !== undefined) return this.#break(new SoakpError('store_unavailable'))
      const waiting = this.#queued ?? []
      this.#queued = undefined
      for (const piece of pieces === undefined ? [] : Buffer.isBuffer(pieces) ? [pieces] : pieces) this.#write(piece)
      let room = !this.#paused
      for (const chunk of waiting) room = this.#pass(chunk)
      if (this.#queued) return
      if (this.#endsQueued) this.#finish()
      else if (room) this.#upstream?.resume()
    })
    return false
  }

  #watch(): void {
    const soFar = this.#meter?.soFar?.()
    const refusal = soFar?.usage && this.#deps.watch(this.#exchange, soFar.usage, soFar.model)
    if (isPromise(refusal)) refusal.then(error => error && this.#cut(error))
    else if (refusal) this.#cut(refusal)
  }

  /** Ends a stream before the provider does, and tells the client so in its dialect. */
  #cut(error: SoakpError): void {
    if (this.#ended) return
    this.#ended = true
    this.#upstream?.abort()
    this.#head?.send(this.#left === undefined)
    cutStream(this.#exchange, this.#reply?.contentType ?? '', this.#status, error, this.#read(), this.#deps.record)
  }

  #write(piece: Buffer): boolean {
    const exchange = this.#exchange
    const { patienceMs, clock } = this.#deps
    if (exchange.call.response.destroyed) return true
    this.#head?.send(this.#left === undefined)
    exchange.bytesOut += piece.length
    const room = (exchange.call.response as ServerResponse).write(piece)
    if (!room && !this.#paused) {
      this.#paused = true
      exchange.clientDeadlineAt = clock() + patienceMs
      exchange.call.response.once('drain', () => this.#drained())
    }
    return room
  }

  #drained(): void {
    this.#paused = false
    this.#exchange.clientDeadlineAt = 0
    this.#upstream?.resume()
  }

  #finish(): void {
    if (this.#ended) return
    this.#ended = true
    const exchange = this.#exchange
    const { tail, usage, model, source } = this.#read()
    const last = this.#held ?? tail
    if (last) exchange.bytesOut += last.length
    const ending: Ending = { status: this.#status, outcome: 'ok', errorCode: null, usage, model, usageSource: source }
    this.#deps.record(exchange, ending, error => {
      if (error !== undefined) return breakOff(this.#exchange.call)
      this.#head?.conclude(source)
      ;(exchange.call.response as ServerResponse).end(last)
    })
  }

  stop(reason: StopReason): void {
    if (this.#ended) return
    this.#ended = true
    const exchange = this.#exchange
    const { clock, refuse } = this.#deps
    // nothing was said yet, so whose body did not come can be told so
    const late = !exchange.answered && exchange.clientDeadlineAt !== 0 && exchange.clientDeadlineAt <= clock()
    this.#upstream?.abort()
    if (late && reason === 'cut') {
      refuse(exchange, new SoakpError('client_timeout'))
      return
    }
    const { usage, model, source } = this.#upstream?.isSent === false ? nothing : unfinished(exchange, this.#read(), clock())
    const status = reason === 'client_gone' ? 499 : this.#status || 503
    const errorCode = reason === 'client_gone' ? 'client_gone' : null
    this.#deps.record(this.#exchange, { status, outcome: reason, errorCode, usage, model, usageSource: source }, () =>
      breakOff(this.#exchange.call),
    )
  }

  #read(): Metered {
    // where nothing has come, what was sent may be billed all the same
    return (this.#meter ?? meterFor(this.#exchange, this.#status || 200, undefined, undefined)).end()
  }
}

const nothing = unread.end()

function flushHead(delivery: Delivery): void {
  delivery.flush()
}

/** One that is worth reading only as a whole. */
function isDocument(reply: ReplyHead | undefined): boolean {
  return reply?.contentType.startsWith('application/json') === true
}
