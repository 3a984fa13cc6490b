import { BoundedMap } from '../lib/bounded-map.js'
import { isPromise, type MaybePromise } from '../lib/maybe.js'
import { type Catalogued, catalogueVersion, findInCatalogue } from './catalogue.js'
import { isFor, type Override, ratesOfOverride } from './overrides.js'
import { findInOwnList, ownListVersion } from './own-list.js'
import { makePrice, type Price } from './price.js'
import { type Consumed, withoutParts } from './rates.js'

export type { Override } from './overrides.js'
export type { Price } from './price.js'
export type { AtMost, Consumed, PricedUnit } from './rates.js'

/** What a call was charged. */
export interface Charge {
  readonly microDollars: number
  readonly version: string
}

/** Whose call it was, by which names, and when (epoch milliseconds). */
export interface Billed {
  readonly provider: string
  readonly requested: string | null
  /** As the reply names it, where it does. */
  readonly answered: string | undefined
  readonly at: number
}

/** What a reply says of its own bill. */
export interface Stated {
  /** How the call was served, where that is not the usual way. */
  readonly tier?: string
  readonly billedMicroDollars?: number
}

export interface Prices {
  /**
   * The price of a model under the name the client or the provider calls it by, at `at` (epoch milliseconds). Undefined: none is known. Remembered for each provider
   * and model, so that it may be asked for every call.
   */
  find(provider: string, model: string | null, at: number): Price | undefined
  /**
   * What a call that is over costs. The operator's own price for either name comes first, then what the provider itself states, then the list's for the model
   * that answered, then for the one asked for: a deployment or a router's name says less than the reply. Undefined: nobody knows.
   */
  charge(call: Billed, use: Consumed & Stated): Charge | undefined
  /** The overrides have changed: they are read anew when next needed. */
  forget(): void
}

export interface PriceDeps {
  /** The operator's own prices, oldest first. Those read before stand in where it fails or takes its time. */
  overrides(): MaybePromise<readonly Override[]>
}

/** A price, while it holds. */
interface Dated {
  readonly price: Price
  readonly isOwn: boolean
  holds(at: number): boolean
}

/** What was asked for names the region too, which has a price of its own; the reply does not. */
const dearByRegion: ReadonlySet<string> = new Set(['bedrock'])

/** Dearer is no call: whoever states such a bill is not believed further, and the sum of many stays a number that a store can hold. */
const mostMicroDollars = 1e13

// names are chosen by clients
const maxProviders = 200
const maxModels = 2000
const none: readonly Dated[] = []

export function createPrices({ overrides: readOverrides }: PriceDeps = { overrides: () => [] }): Prices {
  const found = new Map<string, BoundedMap<string, readonly Dated[]>>()
  let overrides: readonly Override[] = []
  let isStale = true

  function take(read: readonly Override[]): void {
    overrides = read
    found.clear()
  }

  function refresh(): void {
    isStale = false
    try {
      const read = readOverrides()
      if (isPromise(read)) read.then(take, () => {})
      else take(read)
    } catch {
      // a store that cannot be read refuses calls elsewhere
      isStale = true
    }
  }

  function look(provider: string, model: string): readonly Dated[] {
    if (isStale) refresh()
    let models = found.get(provider)
    if (!models) {
      if (found.size >= maxProviders) found.clear()
      models = new BoundedMap(maxModels)
      found.set(provider, models)
    }
    let dated = models.get(model)
    if (!dated) {
      dated = [...listed(provider, model), ...ownPrices(provider, model, overrides)]
      models.set(model, dated)
    }
    return dated
  }

  function pick(provider: string, model: string, at: number): Dated | undefined {
    const dated = look(provider, model)
    for (let i = dated.length - 1; i >= 0; i--) if (dated[i]?.holds(at)) return dated[i]
    return undefined
  }

  return {
    find: (provider, model, at) => (model === null ? undefined : pick(provider, model, at)?.price),

    charge({ provider, requested, answered, at }, use) {
      const asked = requested === null ? undefined : pick(provider, requested, at)
      let found = asked
      if (!asked?.isOwn && answered !== undefined && answered !== requested && !(asked && dearByRegion.has(provider)))
        found = pick(provider, answered, at) ?? asked
      if (use.billedMicroDollars !== undefined && !found?.isOwn)
        return { microDollars: Math.min(use.billedMicroDollars, mostMicroDollars), version: `stated/${provider}` }
      if (!found) return undefined
      const { price } = found
      const priceOf = (model: string) => (model === answered || model === requested ? price : pick(provider, model, at)?.price)
      const microDollars = use.parts === undefined ? price.cost(use, use.tier) : costInParts(price, priceOf, use)
      return microDollars === undefined
        ? undefined
        : { microDollars: Math.min(microDollars, mostMicroDollars), version: found.price.version }
    },

    forget() {
      isStale = true
    },
  }
}

/** Each part by the price of its model. Undefined where one of them has none. */
function costInParts(price: Price, priceOf: (model: string) => Price | undefined, use: Consumed & Stated): number | undefined {
  let sum = price.cost(withoutParts(use), use.tier)
  for (const part of use.parts ?? []) {
    const cost = priceOf(part.model)?.cost(part, use.tier)
    sum = sum === undefined || cost === undefined ? undefined : sum + cost
  }
  return sum
}

function listed(provider: string, model: string): readonly Dated[] {
  const catalogued = findInCatalogue(provider, model)
  if (catalogued) return datedPrices(provider, model, catalogueVersion, catalogued)
  const own = findInOwnList(provider, model)
  return own ? datedPrices(provider, model, ownListVersion, own) : none
}

function datedPrices(provider: string, model: string, list: string, { id, contextTokens, periods }: Catalogued): readonly Dated[] {
  return periods.map(({ name, holds, rates, tiers }) => {
    const version = `${list}/${id}${name === '' ? '' : `@${name}`}`
    return { holds, isOwn: false, price: makePrice({ version, provider, model: model.toLowerCase(), rates, tiers, contextTokens }) }
  })
}

/** Less particular ones first: of those that hold, the last counts. */
function ownPrices(provider: string, model: string, overrides: readonly Override[]): readonly Dated[] {
  const contextTokens = findInCatalogue(provider, model)?.contextTokens
  return overrides
    .filter(override => isFor(override, provider, model))
    .sort((a, b) => particularity(a) - particularity(b) || a.fromMs - b.fromMs)
    .flatMap(override => {
      const holds = (at: number) => at >= override.fromMs
      if (override.sameAs !== null)
        return sameAs(override.sameAs).map(dated => ({ ...dated, isOwn: true, holds: both(holds, dated.holds) }))
      const version = `own/${override.provider}/${override.model}@${new Date(override.createdAtMs).toISOString()}`
      const rates = ratesOfOverride(override)
      return [{ holds, isOwn: true, price: makePrice({ version, provider, model: model.toLowerCase(), rates, tiers: [], contextTokens }) }]
    })
}

/** A name wins over any pattern, a pattern over a shorter one. */
function particularity({ model }: Override): number {
  return model.includes('*') ? model.replaceAll('*', '').length : Number.MAX_SAFE_INTEGER
}

/** `PROVIDER/MODEL` in the lists; another override is not followed. */
function sameAs(target: string): readonly Dated[] {
  const slash = target.indexOf('/')
  return listed(target.slice(0, slash), target.slice(slash + 1))
}

function both(a: (at: number) => boolean, b: (at: number) => boolean): (at: number) => boolean {
  return at => a(at) && b(at)
}
