import { SoakpError } from '../../errors.js'
import type { Found } from '../../lib/json-scan.js'
import type { AtMost, Price, Prices } from '../../prices/prices.js'
import type { Exchange } from '../exchange.js'

/** Of each quantity that a budget may count. */
export interface Amounts {
  readonly microDollars: number
  readonly tokens: number
}

/** A client's message, as far as it was looked into. */
export interface Read {
  readonly message: Buffer
  readonly found: readonly Found[]
  readonly type: string | undefined
  /** It starts work of its own. */
  readonly works: boolean
  /** The model it names first. */
  readonly model: string | undefined
  /** What it states as the most output, wherever it may. */
  readonly outputs: readonly unknown[]
  /** Of texts that are billed by them, in all messages so far. */
  readonly characters: number
}

/** What a connection may consume beyond what was reported of it, so that it can be held before. */
export interface Ahead {
  /** A message that is about to go on. True: it is a call of its own, and goes only if what it needs can be held. Throws `cost_unbounded`. */
  client(read: Read): boolean
  /** The last message does not go on after all. */
  takeBack(): void
  /** A message of the provider's. True: what is needed may be something else now. */
  server(message: Buffer): boolean
  /** So long is it open. True as for `server`. */
  tick(elapsedMs: number): boolean
  /** `settledUnits`: of seconds or characters, what is charged already. Throws `cost_unbounded`. */
  needs(settledUnits: number): Amounts
  /** What `needs` says holds what was reported and is not charged yet. */
  readonly coversReported: boolean
  /** At the end: model tokens that answers without a report may have been billed as input. Undefined: there is none. */
  readonly unreported: number | undefined
  /** What went through since it was asked last and has no price, in micro-dollars: as much as was held for it. `isLast`: also of what is still under way. */
  takeOwed(isLast: boolean): number
}

/** What the most of something is worth, by the price of the exchange's model as it is now, or what the grant assumes of a call. */
export type Worth = (most: AtMost | undefined, model?: string | null) => Amounts

/** `quantities`: those that are asked for; the others are 0. Throws `cost_unbounded` where there is no bound of one. */
export function worthOf(exchange: Exchange, prices: Pick<Prices, 'find'>, quantities: ReadonlySet<string>): Worth {
  return (most, model = exchange.model) => {
    const { call, grant } = exchange
    const price = prices.find(call.provider, model, call.startedAtMs)
    const tokens = quantities.has('tokens') ? tokensOf(most, price) : 0
    const assumed = grant?.record.maxCallMicroDollars ?? undefined
    const microDollars = quantities.has('microDollars') ? ((most && price?.worstCase(most)) ?? assumed) : 0
    if (tokens === undefined || microDollars === undefined) throw unbounded(price, model)
    return { microDollars, tokens }
  }
}

function tokensOf(most: AtMost | undefined, price: Price | undefined): number | undefined {
  if (most === undefined) return undefined
  // what is billed by seconds or characters takes no model tokens
  if (most.unit !== undefined) return 0
  const output = most.maxOutputTokens ?? price?.contextTokens
  return output === undefined ? undefined : most.inputTokens + output
}

function unbounded(price: Price | undefined, model: string | null): SoakpError {
  const why = price || model === null ? 'Nothing bounds what it can cost.' : `No price is known of ${model.slice(0, 100)}.`
  return new SoakpError('cost_unbounded', why, { hint: 'the operator can say what to assume: soakp token set ID --max-cost-per-call USD' })
}
