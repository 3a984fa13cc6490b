import { type AtMost, type Consumed, costOf, mostOf, type Rates, type Tier, toMicroDollars } from './rates.js'
import { tierFactor } from './service-tiers.js'

/** What a model costs, from some moment on. Immutable. */
export interface Price {
  /** Names the version of the price list, the model in it and since when: what a ledger entry keeps. */
  readonly version: string
  readonly rates: Rates
  /** Instead of these, where the input is large. */
  readonly tiers: readonly Tier[]
  /** As large as input and output together can be, where that is known. */
  readonly contextTokens: number | undefined
  /**
   * In whole micro-dollars, rounded up: what costs anything never reads as nothing. Undefined where something was consumed that this price says nothing of, or
   * for a service tier it does not know. `tier`: the service tier as in `Usage`.
   */
  cost(use: Consumed, tier?: string): number | undefined
  /** The most that such a call can cost, in whole micro-dollars, rounded up. Undefined where there is no bound, or no price for what is asked. Tool calls billed apart (web searches) are not in it. */
  worstCase(call: AtMost, tier?: string): number | undefined
}

export interface PriceFacts {
  readonly version: string
  /** Our name of the provider, and the model's in lower case: a service tier's price goes by them. */
  readonly provider: string
  readonly model: string
  readonly rates: Rates
  readonly tiers: readonly Tier[]
  /** As large as input and output together can be, where that is known. */
  readonly contextTokens?: number | undefined
}

export function makePrice({ version, provider, model, rates, tiers, contextTokens }: PriceFacts): Price {
  function total(pico: number | undefined, tier: string | undefined): number | undefined {
    if (pico === undefined) return undefined
    if (tier === undefined) return toMicroDollars(pico)
    const factor = tierFactor(provider, model, tier)
    return factor === undefined ? undefined : toMicroDollars(Math.round(pico * factor))
  }

  return {
    version,
    rates,
    tiers,
    contextTokens,
    cost: (use, tier) => total(costOf(tiers.length === 0 ? rates : ratesFor(rates, tiers, use.largestInput ?? use.inputTokens), use), tier),
    worstCase(call, tier) {
      let most = mostOf(rates, call, contextTokens)
      for (const size of tiers) {
        if (size.above >= (call.largestInput ?? call.inputTokens)) break
        const dearer = mostOf(size.rates, call, contextTokens)
        most = most === undefined || dearer === undefined ? undefined : Math.max(most, dearer)
      }
      return total(most, tier)
    },
  }
}

function ratesFor(base: Rates, tiers: readonly Tier[], inputTokens: number): Rates {
  let rates = base
  for (const tier of tiers) if (inputTokens > tier.above) rates = tier.rates
  return rates
}
