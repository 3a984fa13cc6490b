import type { ServerResponse } from 'node:http'
import { SoakpError } from '../../errors.js'
import { isPromise, type MaybePromise } from '../../lib/maybe.js'
import type { Limits } from '../../limits/limits.js'
import type { Prices } from '../../prices/prices.js'
import type { Dialect, Usage } from '../../providers/provider.js'
import { breakOff } from '../call.js'
import { dialectOf, type Ending, type Exchange } from '../exchange.js'
import type { Metered } from '../meter/meter.js'

/** Whether what a call has consumed so far still fits into its budgets; where it is more than was held for it, more is held. Gives why it must not go on. */
export type Watch = (exchange: Exchange, usage: Usage, model: string | undefined) => MaybePromise<SoakpError | undefined>

export function createWatch(limits: Pick<Limits, 'cover'>, prices: Pick<Prices, 'charge'>): Watch {
  return (exchange, usage, model) => {
    const { hold, call, grant } = exchange
    if (!hold || hold.isOver || grant?.record.letFinish) return undefined
    const charge = prices.charge({ provider: call.provider, requested: exchange.model, answered: model, at: call.startedAtMs }, usage)
    const spent = { tokens: usage.inputTokens + usage.outputTokens, ...(charge && { microDollars: charge.microDollars }) }
    const refusal = limits.cover(hold, spent)
    return isPromise(refusal) ? refusal.then(because) : because(refusal)
  }
}

/** Waiting opens the limit again, but not this stream. */
function because(refusal: SoakpError | undefined): SoakpError | undefined {
  return refusal && new SoakpError('budget_exhausted', `The stream is cut here: ${refusal.detail}`, { isRetryable: false, cause: refusal })
}

/** The last thing a client reads of a stream that is cut, such that its SDK raises it as an error. Undefined: this kind of stream has no such thing. */
export function finalEvent(contentType: string, dialect: Dialect, error: SoakpError, requestId: string): string | undefined {
  const body = JSON.stringify(dialect.errorBody({ status: error.status, code: error.code, message: error.message, requestId }))
  if (contentType.startsWith('text/event-stream')) {
    // Google's SDK looks for errors in pieces that are no events
    return dialect.name === 'gemini' ? body : `event: error\ndata: ${body}\n\n`
  }
  return contentType.includes('ndjson') || contentType.includes('jsonl') ? `${body}\n` : undefined
}

/** Writes down what a stream consumed until it was cut, and says goodbye to its client. */
export function cutStream(
  exchange: Exchange,
  contentType: string,
  status: number,
  error: SoakpError,
  { usage, model, source }: Metered,
  record: (exchange: Exchange, ending: Ending, done: (failure?: unknown) => void) => void,
): void {
  const { call } = exchange
  const dialect = dialectOf(exchange)
  const last = dialect && finalEvent(contentType, dialect, error, call.id)
  record(exchange, { status, outcome: 'cut', errorCode: error.code, usage, model, usageSource: source }, failure => {
    if (failure === undefined && last !== undefined) (call.response as ServerResponse).end(last)
    else breakOff(call)
  })
}
