import type { Dispatcher, Pool } from 'undici'
import { errors as undiciErrors } from 'undici'
import { SoakpError } from '../errors.js'
import type { Http1Client, PlainRequest, Taker, Underway } from '../lib/http1-client.js'
import type { StandIn } from '../lib/stand-in.js'
import type { UpstreamReply, UpstreamRequest, UpstreamSink } from '../providers/provider.js'

/** Sends a request through a pool of connections. The sink is called as `UpstreamSink` promises; its `fail` gets a SoakpError. `sent` hears of every piece of a streamed body; `credential` is withdrawn when the request is not written any more. */
export function send(
  pool: Pool,
  request: UpstreamRequest,
  sink: UpstreamSink,
  sent: (bytes: number) => void,
  credential: Pick<StandIn, 'withdraw'>,
): UpstreamReply {
  const relayed = new Relayed(sink, sent, credential)
  pool.dispatch(
    {
      method: request.method as Dispatcher.HttpMethod,
      path: request.path,
      headers: request.headers as string[],
      body: (request.body ?? null) as Buffer | null,
    },
    // undici's older handler interface gives raw headers and costs one object less per call; it is what `Dispatcher.DispatchHandler` still allows
    relayed as unknown as Dispatcher.DispatchHandler,
  )
  return relayed
}

/** Sends a request that is in memory. As `send`. */
export function sendPlain(
  client: Http1Client,
  request: PlainRequest,
  sink: UpstreamSink,
  credential: Pick<StandIn, 'withdraw'>,
): UpstreamReply {
  const relayed = new Plain(sink, credential)
  relayed.underway = client.send(request, relayed)
  return relayed
}

class Plain implements Taker, UpstreamReply {
  readonly #sink: UpstreamSink
  readonly #credential: Pick<StandIn, 'withdraw'>
  underway: Underway | undefined

  constructor(sink: UpstreamSink, credential: Pick<StandIn, 'withdraw'>) {
    this.#sink = sink
    this.#credential = credential
  }

  get isSent(): boolean {
    return this.underway?.isSent === true
  }

  head(status: number, headers: readonly string[]): void {
    this.#sink.head(status, headers)
  }

  data(chunk: Buffer): boolean {
    return this.#sink.data(chunk)
  }

  end(): void {
    this.#sink.end()
  }

  fail(error: Error, sent: boolean): void {
    this.#credential.withdraw()
    this.#sink.fail(explain(error, sent))
  }

  abort(): void {
    this.#credential.withdraw()
    this.underway?.abort()
  }

  resume(): void {
    this.underway?.resume()
  }
}

/** undici's view of a request on one side, ours on the other. */
class Relayed implements UpstreamReply {
  readonly #sink: UpstreamSink
  readonly #sentBytes: (bytes: number) => void
  readonly #credential: Pick<StandIn, 'withdraw'>
  #abort: ((error?: Error) => void) | undefined
  #resume: (() => void) | undefined
  #over = false
  #paused = false
  /** The end came while the sink wanted nothing: a connection that is closed is parsed to its end. */
  #complete = false
  /** Set once the connection has been given the request: what fails before was never seen by the provider. */
  #sent = false

  constructor(sink: UpstreamSink, sent: (bytes: number) => void, credential: Pick<StandIn, 'withdraw'>) {
    this.#sink = sink
    this.#sentBytes = sent
    this.#credential = credential
  }

  get isSent(): boolean {
    return this.#sent
  }

  onConnect(abort: (error?: Error) => void): void {
    this.#sent = true
    this.#abort = abort
    if (this.#over) abort()
  }

  onBodySent(chunk: Buffer | string): void {
    this.#sentBytes(chunk.length)
  }

  onHeaders(status: number, rawHeaders: readonly Buffer[], resume: () => void): boolean {
    if (this.#over) return true
    this.#resume = resume
    // 1xx replies are between us and the provider
    if (status >= 200) this.#sink.head(status, rawHeaders)
    return true
  }

  onData(chunk: Buffer): boolean {
    // what comes last, when the connection has ended, may be nothing
    if (this.#over || chunk.length === 0) return true
    this.#paused = !this.#sink.data(chunk)
    return !this.#paused
  }

  onComplete(): void {
    if (this.#over) return
    if (this.#paused) {
      this.#complete = true
      return
    }
    this.#over = true
    this.#sink.end()
  }

  onError(error: Error): void {
    if (this.#over) return
    this.#over = true
    this.#credential.withdraw()
    this.#sink.fail(explain(error, this.#sent))
  }

  abort(): void {
    if (this.#over) return
    this.#over = true
    this.#credential.withdraw()
    this.#abort?.()
  }

  resume(): void {
    if (this.#over) return
    this.#paused = false
    if (this.#complete) this.onComplete()
    else this.#resume?.()
  }
}

/** A failure in our words. Only `provider_unreachable` means that the provider cannot have seen the request. */
function explain(cause: Error, sent: boolean): SoakpError {
  if (cause instanceof SoakpError) return cause
  const code = String((cause as NodeJS.ErrnoException).code ?? '')
  if (cause instanceof undiciErrors.HeadersTimeoutError || cause instanceof undiciErrors.BodyTimeoutError)
    return new SoakpError('provider_timeout', undefined, { cause })
  if (cause instanceof undiciErrors.InvalidArgumentError) return new SoakpError('invalid_request', undefined, { cause })
  // by `sent` and not by the code: a connection in use can fail with ETIMEDOUT too, when the work may have been done
  if (!sent) return new SoakpError('provider_unreachable', unreachable(code, cause), { cause })
  return new SoakpError('provider_broke_off', undefined, { cause })
}

function unreachable(code: string, cause: Error): string | undefined {
  if (code === 'ENOTFOUND' || code === 'EAI_AGAIN') return 'Its name cannot be resolved.'
  if (code === 'ECONNREFUSED') return 'It refuses connections.'
  if (cause instanceof undiciErrors.ConnectTimeoutError) return 'It did not accept the connection in time.'
  if (/CERT|SELF_SIGNED|UNABLE_TO|ERR_TLS/.test(code)) return 'Its TLS certificate is not trusted.'
  return undefined
}
