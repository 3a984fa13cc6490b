import { SoakpError } from '../errors.js'
import type { OpenSocket } from '../lib/outbound-socket.js'
import type { Dialect } from '../providers/provider.js'
import type { SocketEndpoint } from '../providers/socket.js'
import type { Ending, Exchange, Stoppable, StopReason } from './exchange.js'
import { SocketMeter } from './socket-meter.js'
import type { MessageJudge } from './socket-rules.js'
import { Side } from './socket-side.js'

export interface ConnectionDeps {
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
  #isOver = false
  #partAt: number
  #hasNews = false
  #bytesAtPart = 0

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
    this.#meter = new SocketMeter(row, (row?.dialect ?? exchange.provider?.dialect) as Dialect | undefined)
    this.#partAt = deps.clock()
    this.#client = new Side(
      client,
      {
        message: (data, isBinary) => this.#fromClient(data, isBinary),
        closing: (code, reason, fault) => this.#clientCloses(code, reason, fault),
        gone: () => this.#over('client_gone', 'client_gone', undefined, undefined),
        drained: () => this.#upstream.resume(),
      },
      deps.clock,
    )
    this.#upstream = new Side(
      upstream,
      {
        message: (data, isBinary) => this.#fromUpstream(data, isBinary),
        closing: (code, reason, fault) => this.#upstreamCloses(code, reason, fault),
        gone: () => this.#over('failed', 'provider_broke_off', undefined, undefined),
        drained: () => this.#client.resume(),
      },
      deps.clock,
    )
  }

  #fromClient(data: Buffer, isBinary: boolean): void {
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
    this.#meter.client(data, this.#deps.clock())
    this.#upstream.send(passed, isBinary)
    if (this.#upstream.isFull) this.#client.pause()
  }

  #fromUpstream(data: Buffer, isBinary: boolean): void {
    if (this.#isOver) return
    this.exchange.bytesOut += data.length
    if (this.#meter.server(data)) this.#hasNews = true
    this.#client.send(data, isBinary)
    if (this.#client.isFull) this.#upstream.pause()
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
    const facts = { status: error.status, code: error.code, message: error.message, requestId: this.exchange.call.id }
    const message = this.#row?.errorMessage(facts)
    if (message !== undefined) this.#client.send(Buffer.from(JSON.stringify(message)), false)
    const isOurFault = error.code === 'internal'
    this.#over('cut', error.code, { code: isOurFault ? 1011 : 1008, reason: closeReason(error) }, { code: 1000, reason: '' })
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
    const { usage, source } = this.#meter.part(this.#judge.characters, true)
    this.#deps.record(this.exchange, { status: 101, outcome, errorCode, usage, usageSource: source }, failure => {
      if (toClient && failure === undefined) this.#client.close(toClient.code, toClient.reason)
      else this.#client.terminate()
      this.#deps.closed(this)
    })
  }

  /** Called some times a second: pings, notices who has vanished, and writes down what has been consumed so far. */
  tick(now: number): void {
    if (this.#isOver) return
    const { pingMs } = this.#deps
    if (!this.#client.tick(now, pingMs)) this.#over('client_gone', 'client_gone', undefined, undefined)
    else if (!this.#upstream.tick(now, pingMs)) this.#over('failed', 'provider_timeout', undefined, undefined)
    else if (now - this.#partAt >= (this.#hasNews ? partMs : longPartMs)) this.#writePart(now)
  }

  #writePart(now: number): void {
    const { exchange } = this
    this.#partAt = now
    if (!this.#hasNews && exchange.bytesIn + exchange.bytesOut === this.#bytesAtPart) return
    this.#bytesAtPart = exchange.bytesIn + exchange.bytesOut
    this.#hasNews = false
    const { usage, source } = this.#meter.part(this.#judge.characters, false)
    if (usage === undefined) return
    this.#deps.recordPart(exchange, { status: 101, outcome: 'ok', errorCode: null, usage, usageSource: source })
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
