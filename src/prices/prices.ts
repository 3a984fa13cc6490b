import { BoundedMap } from '../lib/bounded-map.js'
import { type Catalogued, catalogueVersion, findInCatalogue, type Period } from './catalogue.js'
import { type AtMost, type Consumed, costOf, mostOf, type Rates, type Tier, toMicroDollars } from './rates.js'

export type { AtMost, Consumed, PricedUnit } from './rates.js'

/** What a model costs, from some moment on. Immutable. */
export interface Price {
  /** Names the version of the price list, the model in it and since when: what a ledger entry keeps. */
  readonly version: string
  /**
   * In whole micro-dollars, rounded up: what costs anything never reads as nothing. Undefined where something was consumed that this price says nothing of, or
   * for a service tier it does not know. `tier`: the service tier as the provider's reply names it.
   */
  cost(use: Consumed, tier?: string): number | undefined
  /** The most that such a call can cost, in whole micro-dollars, rounded up. Undefined where there is no bound, or no price for what is asked. Tool calls billed apart (web searches) are not in it. */
  worstCase(call: AtMost, tier?: string): number | undefined
}

/** What a call was charged. */
export interface Charge {
  readonly microDollars: number
  readonly version: string
}

export interface Prices {
  /**
   * The price of a model under the name the client or the provider calls it by, at `at` (epoch milliseconds). Undefined: none is known. Remembered for each provider
   * and model, so that it may be asked for every call.
   */
  find(provider: string, model: string | null, at: number): Price | undefined
  /** The overrides have changed: they are read anew when next needed. */
  forget(): void
}

export function createPrices(): Prices {
  const found = new Map<string, BoundedMap<string, readonly DatedPrice[]>>()

  function look(provider: string, model: string): readonly DatedPrice[] {
    let models = found.get(provider)
    if (!models) {
      // names are chosen by clients
      if (found.size >= maxProviders) found.clear()
      models = new BoundedMap(maxModels)
      found.set(provider, models)
    }
    let dated = models.get(model)
    if (!dated) {
      dated = datedPrices(findInCatalogue(provider, model))
      models.set(model, dated)
    }
    return dated
  }

  return {
    find(provider, model, at) {
      if (model === null) return undefined
      const dated = look(provider, model)
      for (let i = dated.length - 1; i >= 0; i--) {
        const { period, price } = dated[i] as DatedPrice
        if (period.holds(at)) return price
      }
      return undefined
    },
    forget: () => found.clear(),
  }
}

const maxProviders = 200
const maxModels = 2000

interface DatedPrice {
  readonly period: Period
  readonly price: Price
}

const none: readonly DatedPrice[] = []

function datedPrices(catalogued: Catalogued | undefined): readonly DatedPrice[] {
  if (!catalogued) return none
  const { id, contextTokens, periods } = catalogued
  return periods.map(period => {
    const version = `${catalogueVersion}/${id}${period.name === '' ? '' : `@${period.name}`}`
    return { period, price: listPrice(version, period, contextTokens) }
  })
}

function listPrice(version: string, { rates, tiers }: Pick<Period, 'rates' | 'tiers'>, contextTokens: number | undefined): Price {
  return {
    version,
    cost(use) {
      const pico = costOf(tiers.length === 0 ? rates : ratesFor(rates, tiers, use.inputTokens), use)
      return pico === undefined ? undefined : toMicroDollars(pico)
    },
    worstCase(call) {
      let most = mostOf(rates, call, contextTokens)
      for (const tier of tiers) {
        if (tier.above >= call.inputTokens) break
        const dearer = mostOf(tier.rates, call, contextTokens)
        most = most === undefined || dearer === undefined ? undefined : Math.max(most, dearer)
      }
      return most === undefined ? undefined : toMicroDollars(most)
    },
  }
}

function ratesFor(base: Rates, tiers: readonly Tier[], inputTokens: number): Rates {
  let rates = base
  for (const tier of tiers) if (inputTokens > tier.above) rates = tier.rates
  return rates
}
