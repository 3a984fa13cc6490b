import { SoakpError } from '../../errors.js'
import type { CallFacts } from '../../limits/limits.js'
import type { AtMost, Prices } from '../../prices/prices.js'
import type { UsageUnit } from '../../providers/provider.js'
import type { KeyRecord } from '../../stores/records.js'
import { isWork } from '../authorize.js'
import { dialectOf, type Exchange } from '../exchange.js'
import { mostInputTokens } from './worst-input.js'
import { worstAsServed } from './worst-tier.js'
import { mostBilled } from './worst-units.js'

/** What limits ask of a call whose body was looked at. Nothing is worked out before a budget asks. */
export class Facts implements CallFacts {
  readonly keyId: string
  readonly model: string | null
  readonly mayNameModel: boolean
  readonly #exchange: Exchange
  readonly #prices: Pick<Prices, 'find'>
  #most: Most | 'unknown' | undefined

  constructor(exchange: Exchange, key: KeyRecord, prices: Pick<Prices, 'find'>) {
    const { endpoint, inspected, model } = exchange
    this.keyId = key.id
    this.model = inspected?.severalModels ? null : model
    this.mayNameModel = endpoint === undefined || endpoint.models.length > 0
    this.#exchange = exchange
    this.#prices = prices
  }

  /** Throws `cost_unbounded` where nothing bounds it and the grant does not say what to assume. */
  worst(quantity: 'microDollars' | 'tokens'): number {
    const exchange = this.#exchange
    const { endpoint, call, grant } = exchange
    if (endpoint?.free || (!call.upgrade && !isWork(endpoint, call.request.method))) return 0
    // nobody can ask what it used without taking it from its client
    if (exchange.batch?.batch.once)
      throw new SoakpError('cost_unbounded', 'What is deferred can be read once only: no budget can wait for it.')
    if (endpoint?.bills) return worstBilled(exchange, this.#prices, quantity)
    const most = endpoint?.estimate === undefined ? undefined : this.#mostOnce()
    if (quantity === 'tokens') {
      if (endpoint?.perCall || endpoint?.countsText) return 0
      const { inputTokens, maxOutputTokens, choices } = most ?? {}
      if (inputTokens !== undefined && maxOutputTokens !== undefined) return inputTokens + maxOutputTokens * (choices ?? 1)
      throw notBounded(exchange, most)
    }
    const worst = dollarsOf(exchange, this.#prices, most) ?? grant?.record.maxCallMicroDollars
    if (worst === undefined || worst === null) throw notBounded(exchange, most)
    return worst
  }

  #mostOnce(): Most | undefined {
    this.#most ??= mostOf(this.#exchange) ?? 'unknown'
    return this.#most === 'unknown' ? undefined : this.#most
  }
}

interface Most {
  readonly inputTokens: number
  readonly maxOutputTokens: number | undefined
  readonly choices: number
}

/** For what is billed by pictures, seconds or searches. */
function worstBilled(exchange: Exchange, prices: Pick<Prices, 'find'>, quantity: 'microDollars' | 'tokens'): number {
  const { call, model, grant, endpoint, inspected } = exchange
  const price = prices.find(call.provider, model, call.startedAtMs)
  const most = mostBilled(exchange, price)
  if (quantity === 'tokens') {
    if (most?.maxOutputTokens !== undefined) return most.inputTokens + most.maxOutputTokens * (most.choices ?? 1)
  } else {
    const worst =
      (most && price && worstAsServed(price, most, inspected?.form ? undefined : inspected?.original, call.request.headers)) ??
      grant?.record.maxCallMicroDollars
    if (worst !== undefined && worst !== null) return worst
    if (!price && model !== null) throw unpriced(model)
  }
  throw new SoakpError('cost_unbounded', whyUnbounded[endpoint?.bills ?? 'pictures'], { hint: assume })
}

const whyUnbounded = {
  pictures: 'Nothing says how much its pictures can cost.',
  sound: 'Nothing says how long its sound is: of a file of plain samples (WAV) that can be told.',
  documents: 'Nothing says how much it can cost.',
} as const

const assume = 'the operator can say what to assume: soakp token set ID --max-cost-per-call USD'

function unpriced(model: string): SoakpError {
  return new SoakpError('cost_unbounded', `No price is known of ${model.slice(0, 100)}.`, { hint: assume })
}

function dollarsOf(exchange: Exchange, prices: Pick<Prices, 'find'>, most: Most | undefined): number | undefined {
  const { endpoint, call, model, inspected } = exchange
  const price = prices.find(call.provider, model, call.startedAtMs)
  const atMost = most ?? unitsAtMost(endpoint?.perCall, inspected?.characters)
  return price && atMost && worstAsServed(price, atMost, inspected?.original, call.request.headers)
}

function unitsAtMost(perCall: UsageUnit | undefined, characters: number | undefined): AtMost | undefined {
  if (perCall) return { inputTokens: 0, maxOutputTokens: 0, units: 1, unit: perCall }
  return characters === undefined ? undefined : { inputTokens: 0, maxOutputTokens: 0, units: characters, unit: 'characters' }
}

function mostOf(exchange: Exchange): Most | undefined {
  const { endpoint, inspected } = exchange
  // servers take a wish that is none, and any number of answers, for something else than it says
  if (!inspected || inspected.severalModels || !((inspected.choices ?? 1) >= 1)) return undefined
  const inputTokens = mostInputTokens(inspected.original, dialectOf(exchange)?.name ?? '')
  if (inputTokens === undefined) return undefined
  return { inputTokens, maxOutputTokens: endpoint?.estimate === 'input' ? 0 : inspected.maxOutput, choices: inspected.choices ?? 1 }
}

function notBounded({ endpoint, model, inspected }: Exchange, most: Most | undefined): SoakpError {
  if (most && inspected?.maxOutput === undefined && endpoint?.estimate === true)
    return new SoakpError('cost_unbounded', 'It does not say how much output is wanted.', {
      hint: `say so, as in max_tokens; or ${assume}`,
    })
  if (most && model !== null) return unpriced(model)
  return new SoakpError('cost_unbounded', 'It brings in what is not in its body, or has no price by size.', { hint: assume })
}
