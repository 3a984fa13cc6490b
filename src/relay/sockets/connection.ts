import { SoakpError } from '../../errors.js'
import { isPromise } from '../../lib/maybe.js'
import type { OpenSocket } from '../../lib/outbound-socket.js'
import { noUsage } from '../../providers/index.js'
import type { SocketEndpoint } from '../../providers/sockets/socket.js'
import type { Ending, Exchange, Stoppable, StopReason } from '../exchange.js'
import { type GateDeps, SocketGate, type Verdict } from './gate.js'
import { Lane } from './lane.js'
import { SocketMeter } from './meter.js'
import type { MessageJudge } from './rules.js'
import { Side } from './side.js'

export interface ConnectionDeps extends GateDeps {
  readonly clock: () => number
  readonly pingMs: number
  /** Writes the last ledger line; `done` when it is durable, or with the error that kept it from being so. */
  readonly record: (exchange: Exchange, ending: Ending, done: (error?: unknown) => void) => void
  /** Writes down a part of what a connection consumes while it goes on. */
  readonly recordPart: (exchange: Exchange, ending: Ending) => void
  /** It is over, and everything of it is written down. */
  readonly closed: (connection: SocketConnection) => void
}

/** How each end is told that it is over. Undefined: without a goodbye, as the other end went. */
interface Goodbye {
  readonly code: number
  readonly reason: Buffer | string
}

/** While counts come, they are written down this often. */
const partMs = 5_000
/** Also of a connection that the provider says nothing about. */
const longPartMs = 60_000

/** Two open WebSockets and what passes between them. Messages keep their order and kind; a fragmented one goes on whole. */
export class SocketConnection implements Stoppable {
  readonly exchange: Exchange
  readonly #deps: ConnectionDeps
  readonly #judge: MessageJudge
  readonly #row: SocketEndpoint | undefined
  readonly #meter: SocketMeter
  readonly #client: Side
  readonly #upstream: Side
  readonly #gate: SocketGate
  readonly #fromClient: Lane
  readonly #fromUpstream: Lane
  readonly #openedAt: number
  #isOver = false
  #partAt: number
  #hasNews = false
  #bytesAtPart = 0
  /** Of texts that went on. */
  #characters = 0

  constructor(
    exchange: Exchange,
    row: SocketEndpoint | undefined,
    judge: MessageJudge,
    client: OpenSocket,
    upstream: OpenSocket,
    deps: ConnectionDeps,
  ) {
    this.exchange = exchange
    this.#deps = deps
    this.#row = row
    this.#judge = judge
    this.#meter = new SocketMeter(row, row?.dialect ?? exchange.provider?.dialect, model => {
      this.#writePart(deps.clock())
      if (judge.namesSeveral) exchange.model = model
    })
    this.#gate = new SocketGate(exchange, row, deps, () => ({
      usage: this.#meter.peek(this.#characters),
      model: this.#meter.model,
      settledUnits: this.#meter.settledUnits,
    }))
    this.#openedAt = deps.clock()
    this.#partAt = this.#openedAt
    this.#fromClient = new Lane(
      (data, isBinary) => this.#takeFromClient(data, isBinary),
      () => this.#upstream.isFull || this.#client.resume(),
    )
    this.#fromUpstream = new Lane(
      (data, isBinary) => this.#takeFromUpstream(data, isBinary),
      () => this.#client.isFull || this.#upstream.resume(),
    )
    this.#client = new Side(
      client,
      {
        message: (data, isBinary) => this.#fromClient.push(data, isBinary),
        closing: (code, reason, fault) => this.#fromClient.afterwards(() => this.#clientCloses(code, reason, fault)),
        gone: () => this.#over('client_gone', 'client_gone', undefined, undefined),
        drained: () => this.#fromUpstream.isWaiting || this.#upstream.resume(),
      },
      deps.clock,
    )
    this.#upstream = new Side(
      upstream,
      {
        message: (data, isBinary) => this.#fromUpstream.push(data, isBinary),
        closing: (code, reason, fault) => this.#fromUpstream.afterwards(() => this.#upstreamCloses(code, reason, fault)),
        gone: () => this.#over('failed', 'provider_broke_off', undefined, undefined),
        drained: () => this.#fromClient.isWaiting || this.#client.resume(),
      },
      deps.clock,
    )
  }

  #takeFromClient(data: Buffer, isBinary: boolean): void {
    if (this.#isOver) return
    const { exchange } = this
    exchange.bytesIn += data.length
    let passed: Buffer
    try {
      passed = this.#judge.judge(data, isBinary)
    } catch (error) {
      this.refuse(error instanceof SoakpError ? error : new SoakpError('internal', undefined, { cause: error }))
      return
    }
    const verdict = this.#gate.client(this.#judge, passed)
    if (!isPromise(verdict)) {
      this.#decide(verdict, passed, isBinary)
      return
    }
    // a view into what was received, which may be used again
    const kept = Buffer.from(passed)
    this.#client.pause()
    this.#fromClient.wait(verdict.then(said => this.#decide(said, kept, isBinary)))
  }

  #decide(verdict: Verdict | undefined, message: Buffer, isBinary: boolean): void {
    if (this.#isOver) return
    if (verdict?.ends) this.refuse(verdict.error)
    else if (verdict) this.#tell(verdict.error)
    else {
      this.#characters = this.#judge.characters
      this.#meter.client(message, this.#deps.clock())
      this.#upstream.send(message, isBinary)
      if (this.#upstream.isFull) this.#client.pause()
    }
  }

  #takeFromUpstream(data: Buffer, isBinary: boolean): void {
    if (this.#isOver) return
    this.exchange.bytesOut += data.length
    const isCounted = this.#meter.server(data)
    if (isCounted) this.#hasNews = true
    const learned = this.#gate.learn(data)
    if (!learned) {
      this.#pass(data, isBinary, isCounted)
      return
    }
    const kept = Buffer.from(data)
    this.#upstream.pause()
    this.#fromUpstream.wait(
      learned.then(
        () => this.#pass(kept, isBinary, isCounted),
        error => this.refuse(error),
      ),
    )
  }

  #pass(data: Buffer, isBinary: boolean, isCounted: boolean): void {
    if (this.#isOver) return
    this.#client.send(data, isBinary)
    if (this.#client.isFull) this.#upstream.pause()
    this.#cutFor(this.#gate.server(data, isCounted))
  }

  #cutFor(refusal: ReturnType<SocketGate['tick']>): void {
    if (isPromise(refusal)) refusal.then(error => error && this.refuse(error))
    else if (refusal) this.refuse(refusal)
  }

  #clientCloses(code: number, reason: Buffer, fault: string | undefined): void {
    const same = { code, reason }
    if (fault === undefined) this.#over('ok', null, same, same)
    else this.#over('cut', fault === tooLarge ? 'message_too_large' : 'invalid_request', same, { code: 1000, reason: '' })
  }

  #upstreamCloses(code: number, reason: Buffer, fault: string | undefined): void {
    const same = { code, reason }
    if (fault === undefined) this.#over('ok', null, same, same)
    else this.#over('failed', fault === tooLarge ? 'message_too_large' : 'provider_broke_off', fault === tooLarge ? same : undefined, same)
  }

  /** Tells the client why in its provider's words, and ends the connection. */
  refuse(error: SoakpError): void {
    if (this.#isOver) return
    this.#sendError(error)
    const isOurFault = error.code === 'internal'
    this.#over('cut', error.code, { code: isOurFault ? 1011 : 1008, reason: closeReason(error) }, { code: 1000, reason: '' })
  }

  /** Tells the client why its message does not go on, and lets the connection be; where there are no words for that, it ends. */
  #tell(error: SoakpError): void {
    if (!this.#sendError(error)) this.refuse(error)
  }

  #sendError(error: SoakpError): boolean {
    const facts = { status: error.status, code: error.code, message: error.message, requestId: this.exchange.call.id }
    const message = this.#row?.errorMessage(facts)
    if (message === undefined) return false
    this.#client.send(Buffer.from(JSON.stringify(message)), false)
    return true
  }

  stop(reason: StopReason): void {
    if (reason === 'client_gone') this.#over('client_gone', 'client_gone', undefined, undefined)
    else this.#over('cut', null, { code: 1001, reason: 'soakp is shutting down' }, { code: 1001, reason: '' })
  }

  /** Once, whoever comes first: the provider's end is closed at once, the client's when the ledger line is durable. */
  #over(outcome: Ending['outcome'], errorCode: string | null, toClient: Goodbye | undefined, toUpstream: Goodbye | undefined): void {
    if (this.#isOver) return
    this.#isOver = true
    if (toUpstream) this.#upstream.close(toUpstream.code, toUpstream.reason)
    else this.#upstream.terminate()
    this.#deps.record(this.exchange, { ...this.#part(true), outcome, errorCode }, failure => {
      if (toClient && failure === undefined) this.#client.close(toClient.code, toClient.reason)
      else this.#client.terminate()
      this.#deps.closed(this)
    })
  }

  #part(isLast: boolean): Ending {
    const gate = this.#gate
    const { usage, source } = this.#meter.part(this.#characters, isLast ? { inputTokens: gate.unreported } : undefined)
    const { model } = this.#meter
    const charge = usage || isLast ? gate.charge(usage, model, isLast) : undefined
    const consumed = usage ?? (isLast && gate.isBounded ? noUsage : undefined)
    return { status: 101, outcome: 'ok', errorCode: null, usage: consumed, usageSource: source, model, charge }
  }

  /** Called some times a second: pings, notices who has vanished, and writes down what has been consumed so far. */
  tick(now: number): void {
    if (this.#isOver) return
    const { pingMs } = this.#deps
    if (!this.#client.tick(now, pingMs)) this.#over('client_gone', 'client_gone', undefined, undefined)
    else if (!this.#upstream.tick(now, pingMs)) this.#over('failed', 'provider_timeout', undefined, undefined)
    else {
      if (now - this.#partAt >= (this.#hasNews ? partMs : longPartMs)) this.#writePart(now)
      this.#cutFor(this.#gate.tick(now - this.#openedAt))
    }
  }

  #writePart(now: number): void {
    const { exchange } = this
    this.#partAt = now
    if (!this.#hasNews && exchange.bytesIn + exchange.bytesOut === this.#bytesAtPart) return
    this.#bytesAtPart = exchange.bytesIn + exchange.bytesOut
    this.#hasNews = false
    const part = this.#part(false)
    if (part.usage === undefined) return
    this.#deps.recordPart(exchange, part)
    // the next part is about what comes from here on
    exchange.attempt++
    exchange.bytesIn = 0
    exchange.bytesOut = 0
    this.#bytesAtPart = 0
  }
}

const tooLarge = 'WS_ERR_UNSUPPORTED_MESSAGE_LENGTH'

/** At most 123 bytes of UTF-8 (RFC 6455, section 5.5). */
function closeReason(error: SoakpError): string {
  let reason = `${error.code}: ${error.message}`
  while (Buffer.byteLength(reason) > 123) reason = reason.slice(0, -1)
  return reason
}
