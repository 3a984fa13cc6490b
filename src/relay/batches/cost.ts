import { SoakpError } from '../../errors.js'
import type { CallFacts } from '../../limits/limits.js'
import type { Price, Prices } from '../../prices/prices.js'
import type { Batch } from '../../providers/index.js'
import type { KeyRecord } from '../../stores/records.js'
import type { Exchange } from '../exchange.js'
import type { BatchSums, ModelSum } from './sums.js'

/** A batch that a call makes, and what is known of its requests. */
export interface PlannedBatch {
  readonly batch: Batch
  /** Undefined: nothing was seen of them. */
  readonly sums: BatchSums | undefined
  /** It is one call that was put off; nothing but its end is a batch's. */
  readonly isCall?: true
}

/** How the provider serves it, for its price. */
export const batchTier = 'batch'

type Quantity = 'microDollars' | 'tokens'

/** What limits ask of a call that makes a batch: what all of its requests can take. */
export function batchFactsOf(exchange: Exchange, planned: PlannedBatch, key: KeyRecord, prices: Pick<Prices, 'find'>): CallFacts {
  const sums = planned.sums?.fault === undefined ? planned.sums : undefined
  const models = sums && Object.keys(sums.models)
  return {
    keyId: key.id,
    model: null,
    ...(models && !models.includes('') && { models }),
    mayNameModel: true,
    worst: (quantity, matches) => worstOf(exchange, sums, prices, quantity, matches),
  }
}

/** Throws `cost_unbounded` where nothing bounds it and the grant does not say what to assume. */
function worstOf(
  exchange: Exchange,
  sums: BatchSums | undefined,
  prices: Pick<Prices, 'find'>,
  quantity: Quantity,
  matches: ((model: string) => boolean) | undefined,
): number {
  const counted = sums && Object.entries(sums.models).filter(([model]) => matches === undefined || matches(model))
  let worst: number | undefined = counted ? 0 : undefined
  for (const [model, sum] of counted ?? []) {
    const most = quantity === 'tokens' ? tokensOf(sum) : dollarsOf(exchange, prices, model, sum)
    worst = worst === undefined || most === undefined ? undefined : worst + most
  }
  if (worst !== undefined) return worst
  const assumed = exchange.grant?.record.maxCallMicroDollars
  if (quantity === 'microDollars' && assumed !== undefined && assumed !== null) return assumed
  throw notBounded(sums)
}

function tokensOf({ inputTokens, outputTokens, unsaid }: ModelSum): number | undefined {
  return inputTokens === null || unsaid > 0 ? undefined : inputTokens + outputTokens
}

function dollarsOf({ call }: Exchange, prices: Pick<Prices, 'find'>, model: string, sum: ModelSum): number | undefined {
  const price = prices.find(call.provider, model, call.startedAtMs)
  return price && (worstAt(price, sum, batchTier) ?? worstAt(price, sum, undefined))
}

/** At the price of batches; where nobody knows what a provider takes off for them, at the usual one. */
function worstAt(price: Price, sum: ModelSum, tier: string | undefined): number | undefined {
  const { requests: calls, inputTokens, largestInput, outputTokens, unsaid } = sum
  if (inputTokens === null) return undefined
  const said = price.worstCase({ calls, inputTokens, largestInput, maxOutputTokens: outputTokens }, tier)
  if (unsaid === 0 || said === undefined) return said
  const rest = price.worstCase({ calls: 0, inputTokens: 0, largestInput, maxOutputTokens: undefined, choices: unsaid }, tier)
  return rest === undefined ? undefined : said + rest
}

function notBounded(sums: BatchSums | undefined): SoakpError {
  const hint = 'the operator can say what to assume: soakp token set ID --max-cost-per-call USD'
  const why =
    sums === undefined
      ? 'It is not known what its requests ask for: upload their file through soakp, with the purpose batch.'
      : 'Of some of its requests no price is known, or they bring in what is not in them, or do not say how much output they want.'
  return new SoakpError('cost_unbounded', why, { hint })
}
