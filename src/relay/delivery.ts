import type { ServerResponse } from 'node:http'
import { SoakpError } from '../errors.js'
import { isPromise, type MaybePromise } from '../lib/maybe.js'
import type { Provider, UpstreamReply, UpstreamSink } from '../providers/provider.js'
import type { Ending, Exchange } from './exchange.js'
import { type ReplyHead, responseHeaders } from './headers.js'
import { createMeter, type Meter } from './meter.js'
import { ownHeaders } from './refuse.js'

/** An error reply is held back and looked through up to here. */
const doubtfulBytes = 64 * 1024

export interface DeliveryDeps {
  readonly exchange: Exchange
  readonly provider: Provider
  readonly injectedUsage: boolean
  /** Most milliseconds that the client may leave what was written unread. */
  readonly patienceMs: number
  /** A steady clock, in milliseconds. */
  readonly clock: () => number
  /** Says whether an error reply may be shown. Undefined: yes; `again`: the request goes out once more and this delivery is over. */
  readonly judge: (status: number, head: ReplyHead, body: Buffer) => MaybePromise<SoakpError | 'again' | undefined>
  /** Answers in the provider's place. */
  readonly refuse: (error: SoakpError) => void
  /** Writes the ledger line; `done` when it is durable, or with the error that kept it from being so. */
  readonly record: (ending: Ending, done: (error?: unknown) => void) => void
}

/**
 * Carries one reply to the client: bytes as they come, read along by the meter, paused when the client reads more slowly; its end held back until the
 * entry is durable. The end is the last piece of a body whose length is known, else the closing chunk or END_STREAM.
 */
export class Delivery implements UpstreamSink {
  readonly #deps: DeliveryDeps
  #upstream: UpstreamReply | undefined
  #status = 0
  #reply: ReplyHead | undefined
  #meter: Meter | undefined
  /** What an error reply has said so far, while it is not known whether it may be shown. */
  #doubtful: Buffer[] | undefined
  #doubtfulSize = 0
  #headAt = 0
  /** Bytes that are still to come, where that is known. */
  #left: number | undefined
  #held: Buffer | undefined
  #ended = false
  #wrote = false

  constructor(deps: DeliveryDeps) {
    this.#deps = deps
  }

  /** The reply that is to be delivered; also makes the exchange stoppable. */
  attach(upstream: UpstreamReply): void {
    this.#upstream = upstream
    this.#deps.exchange.stop = reason => this.#stop(reason)
  }

  head(status: number, raw: readonly Buffer[] | readonly string[]): void {
    const { exchange, provider, clock } = this.#deps
    this.#headAt = clock()
    const reply = responseHeaders(provider, raw)
    this.#status = status
    this.#reply = reply
    exchange.upstreamRequestId = reply.upstreamRequestId
    // HTTP/2 has no way to say it (RFC 9110, section 15)
    if (status > 599) this.#giveUp(new SoakpError('provider_broke_off', `Its status is ${status}.`))
    else if (status >= 400) this.#doubtful = []
    else if (status >= 300 && status !== 304) this.#giveUp(new SoakpError('provider_redirected'))
    else this.#open(reply)
  }

  data(chunk: Buffer): boolean {
    if (this.#doubtful === undefined) return this.#pass(chunk)
    this.#doubtful.push(chunk)
    this.#doubtfulSize += chunk.length
    return this.#doubtfulSize < doubtfulBytes || this.#judge(() => this.#upstream?.resume())
  }

  end(): void {
    if (this.#doubtful === undefined) this.#finish()
    else this.#judge(() => this.#finish())
  }

  fail(error: Error): void {
    const { exchange, refuse, record } = this.#deps
    if (this.#ended) return
    const failure = error instanceof SoakpError ? error : new SoakpError('provider_broke_off', undefined, { cause: error })
    if (exchange.call.request.errored !== null || exchange.call.response.destroyed) this.#stop('client_gone')
    else {
      this.#ended = true
      if (exchange.answered)
        record({ status: this.#status, outcome: 'failed', errorCode: failure.code, ...this.#read() }, () => this.#reset())
      else refuse(failure)
    }
  }

  /** Settles whether an error reply may be shown, then goes on with `next`. False: wait. */
  #judge(next: () => void): boolean {
    const reply = this.#reply
    const body = Buffer.concat(this.#doubtful ?? [], this.#doubtfulSize)
    if (!reply) return true
    const decide = (verdict: SoakpError | 'again' | undefined): void => {
      if (this.#ended) return
      this.#doubtful = undefined
      if (verdict === 'again') {
        this.#ended = true
        this.#upstream?.abort()
      } else if (verdict) this.#giveUp(verdict)
      else {
        this.#open(reply)
        if (body.length > 0) this.#pass(body)
        next()
      }
    }
    try {
      const verdict = this.#deps.judge(this.#status, reply, body)
      if (isPromise(verdict)) verdict.then(decide).catch(error => this.#giveUp(asFailure(error)))
      else decide(verdict)
    } catch (error) {
      this.#giveUp(asFailure(error))
    }
    return false
  }

  #giveUp(error: SoakpError): void {
    this.#ended = true
    this.#upstream?.abort()
    this.#deps.refuse(error)
  }

  #open(reply: ReplyHead): void {
    const { exchange, injectedUsage, clock } = this.#deps
    const { response, request } = exchange.call
    const stream = reply.contentType.startsWith('text/event-stream')
    this.#meter = this.#newMeter(this.#status, reply)
    const { headers } = reply
    for (const header of ownHeaders(exchange)) headers.push(header)
    if (reply.contentLength !== undefined && !injectedUsage) {
      headers.push('content-length', String(reply.contentLength))
      this.#left = reply.contentLength
    }
    if (stream) headers.push('x-accel-buffering', 'no')
    const now = clock()
    exchange.overheadMs += now - this.#headAt
    headers.push('x-soakp-overhead-us', String(Math.round(exchange.overheadMs * 1000)))
    exchange.answered = true
    ;(response as ServerResponse).writeHead(this.#status, headers)
    response.on('drain', () => {
      exchange.clientDeadlineAt = 0
      this.#upstream?.resume()
    })
    const bodyless = request.method === 'HEAD' || this.#status === 204 || this.#status === 304 || this.#left === 0
    // a head whose body is late goes ahead; one whose whole body is there already goes with it, in one write
    if (!bodyless) process.nextTick(flushHead, this)
  }

  /** For `flushHead`: nothing has gone out yet and more is to come. */
  get waitsForBody(): boolean {
    return !this.#wrote && !this.#ended && this.#held === undefined
  }

  flush(): void {
    const { response } = this.#deps.exchange.call
    if ('flushHeaders' in response && !response.destroyed) response.flushHeaders()
  }

  #pass(chunk: Buffer): boolean {
    const { exchange, clock } = this.#deps
    if (exchange.firstByteMs === null) exchange.firstByteMs = Math.round(clock() - exchange.startedAt)
    const pieces = (this.#meter as Meter).feed(chunk)
    if (pieces === undefined) return true
    if (this.#left !== undefined) {
      this.#left -= chunk.length
      if (this.#left <= 0 && Buffer.isBuffer(pieces)) {
        this.#held = pieces
        return true
      }
    }
    if (Buffer.isBuffer(pieces)) return this.#write(pieces)
    let room = true
    for (const piece of pieces) room = this.#write(piece)
    return room
  }

  #write(piece: Buffer): boolean {
    const { exchange, patienceMs, clock } = this.#deps
    if (exchange.call.response.destroyed) return true
    this.#wrote = true
    exchange.bytesOut += piece.length
    const room = (exchange.call.response as ServerResponse).write(piece)
    if (!room) exchange.clientDeadlineAt = clock() + patienceMs
    return room
  }

  #finish(): void {
    if (this.#ended) return
    this.#ended = true
    const { exchange, record } = this.#deps
    const { tail, ...read } = this.#read()
    const last = this.#held ?? tail
    if (last) exchange.bytesOut += last.length
    record({ status: this.#status, outcome: 'ok', errorCode: null, ...read }, error => {
      if (error === undefined) (exchange.call.response as ServerResponse).end(last)
      else this.#reset()
    })
  }

  #stop(reason: 'client_gone' | 'cut'): void {
    if (this.#ended) return
    this.#ended = true
    const { exchange, clock, refuse } = this.#deps
    // nothing was said yet, so whose body did not come can be told so
    const late = !exchange.answered && exchange.clientDeadlineAt !== 0 && exchange.clientDeadlineAt <= clock()
    this.#upstream?.abort()
    if (late && reason === 'cut') {
      refuse(new SoakpError('client_timeout'))
      return
    }
    const { tail: _, ...read } = this.#read()
    const status = reason === 'client_gone' ? 499 : this.#status || 503
    this.#deps.record({ status, outcome: reason, errorCode: reason === 'client_gone' ? 'client_gone' : null, ...read }, () => this.#reset())
  }

  #read(): Pick<Ending, 'usage' | 'usageSource' | 'model'> & { tail?: Buffer | undefined } {
    // where nothing has come, what was sent may be billed all the same
    const meter = this.#meter ?? this.#newMeter(this.#status || 200, undefined)
    const { tail, usage, model, source } = meter.end()
    return { tail, usage, model, usageSource: source }
  }

  #newMeter(status: number, reply: ReplyHead | undefined): Meter {
    const { exchange, provider, injectedUsage } = this.#deps
    return createMeter({
      dialect: exchange.endpoint?.dialect ?? provider.dialect,
      status,
      contentType: reply?.contentType,
      contentEncoding: reply?.contentEncoding,
      injectedUsage,
      estimate: exchange.endpoint?.estimate !== undefined,
      requestBytes: exchange.promptBytes,
    })
  }

  /** Ends the connection (HTTP/1.1) or the stream (HTTP/2) so that the client cannot take what it has for the whole. */
  #reset(): void {
    const { response } = this.#deps.exchange.call
    if (response.destroyed) return
    if ('stream' in response) response.stream?.close(internalError)
    else response.destroy()
  }
}

/** RFC 9113, section 7: INTERNAL_ERROR. */
const internalError = 2

function flushHead(delivery: Delivery): void {
  if (delivery.waitsForBody) delivery.flush()
}

function asFailure(error: unknown): SoakpError {
  return error instanceof SoakpError ? error : new SoakpError('internal', undefined, { cause: error })
}
