import { type ConditionalPrice, calcPrice, type ModelPrice, type TieredPrices } from '@pydantic/genai-prices'
import { picoDollars, type RateName, type Rates, type Tier } from './rates.js'

/** Prices of one model that hold at some times. */
export interface Period {
  /** What tells it from the model's other periods, for a version: `2026-03-13`, `00:30:00Z`; empty: the only or first one. */
  readonly name: string
  holds(at: number): boolean
  readonly rates: Rates
  /** By size of the input, ascending. */
  readonly tiers: readonly Tier[]
}

export interface Catalogued {
  /** The model's name in the list, behind the list's name for the provider. */
  readonly id: string
  /** As large as input and output together can be. */
  readonly contextTokens: number | undefined
  /** The last that holds is the price. */
  readonly periods: readonly Period[]
}

/** The list's version, a part of the version of each price in it. */
export const catalogueVersion = 'genai-prices@0.1.8'

/** What the list calls our providers. It also finds providers by parts of names, which would give the price of OpenAI to anybody's `my-openai`: never asked for. */
const listNames: Readonly<Record<string, string>> = {
  anthropic: 'anthropic',
  'azure-openai': 'azure',
  bedrock: 'aws',
  cerebras: 'cerebras',
  cohere: 'cohere',
  deepseek: 'deepseek',
  fireworks: 'fireworks',
  gemini: 'google',
  groq: 'groq',
  mistral: 'mistral',
  openai: 'openai',
  openrouter: 'openrouter',
  perplexity: 'perplexity',
  together: 'together',
  vertex: 'google',
  voyage: 'voyageai',
  xai: 'x-ai',
  zai: 'zai',
}

const million = 1_000_000

/** The list's names of prices: which of ours, and for how many of it. What is not here cannot be told from a reply, such as searches in files. */
const listRates: Readonly<Record<string, readonly [RateName, number]>> = {
  input_mtok: ['input', million],
  cache_read_mtok: ['cachedInput', million],
  cache_write_mtok: ['cacheWrite', million],
  cache_write_1h_mtok: ['cacheWriteHour', million],
  input_audio_mtok: ['audioInput', million],
  cache_audio_read_mtok: ['cachedAudioInput', million],
  input_image_mtok: ['imageInput', million],
  cache_image_read_mtok: ['cachedImageInput', million],
  output_mtok: ['output', million],
  output_reasoning_mtok: ['reasoning', million],
  output_audio_mtok: ['audioOutput', million],
  output_image_mtok: ['imageOutput', million],
  requests_kcount: ['request', 1000],
  web_searches_kcount: ['webSearch', 1000],
  audio_hours: ['audioSeconds', 3600],
  input_audio_hours: ['audioSeconds', 3600],
  input_document_kpages: ['pages', 1000],
}

/** The bundled list; nothing is fetched. `undefined`: it has no price for this. */
export function findInCatalogue(provider: string, model: string): Catalogued | undefined {
  const place = placeOf(provider, model)
  if (place === undefined) return undefined
  const found = calcPrice({}, place.model, { providerId: place.list })
  if (found === null) return undefined
  const { id, context_window: contextTokens, prices } = found.model
  const periods = (Array.isArray(prices) ? prices : [{ prices }]).map(period)
  return { id: `${found.provider.id}/${id}`, contextTokens, periods }
}

function placeOf(provider: string, model: string): { readonly list: string; readonly model: string } | undefined {
  if (provider === 'huggingface') {
    // the router takes `MODEL:PROVIDER`; without it nobody knows beforehand who will answer
    const [, name, by] = /^(.+):([a-z0-9-]+)$/.exec(model) ?? []
    return name === undefined ? undefined : { list: `huggingface_${by}`, model: name }
  }
  const list = Object.hasOwn(listNames, provider) ? listNames[provider] : undefined
  if (list === undefined) return undefined
  // the OpenAI-compatible API of Vertex AI says whose model it is
  return { list, model: provider === 'vertex' ? bareName(model).replace(/^google\//, '') : bareName(model) }
}

/** `models/…`, `publishers/google/models/…`, `arn:…:foundation-model/…`: paths around a name. Names may have slashes themselves. */
function bareName(model: string): string {
  return model.replace(/^(?:publishers\/[^/]+\/)?models\/|^projects\/.*\/models\/|^arn:[^/]*:(?:foundation-model|inference-profile)\//, '')
}

function period({ constraint, prices }: ConditionalPrice): Period {
  const tiers = startsOf(prices).map(above => ({ above, rates: ratesOf(prices, above) }))
  const own = { rates: ratesOf(prices, -1), tiers }
  if (constraint === undefined) return { ...own, name: '', holds: () => true }
  if (constraint.type === 'start_date') {
    const startsAtMs = Date.parse(constraint.start_date)
    return { ...own, name: constraint.start_date, holds: at => at >= startsAtMs }
  }
  const from = msOfDay(constraint.start_time)
  const to = msOfDay(constraint.end_time)
  return {
    ...own,
    name: constraint.start_time,
    holds: at => {
      const now = at % 86_400_000
      return to < from ? now >= from || now < to : now >= from && now < to
    },
  }
}

/** `00:30:00Z`; the list's times are in UTC. */
function msOfDay(time: string): number {
  const atMs = Date.parse(`1970-01-01T${time}`)
  if (Number.isNaN(atMs)) throw new Error(`${time} is no time of day`)
  return atMs
}

function startsOf(prices: ModelPrice): number[] {
  const starts = Object.values(prices).flatMap(price => (isTiered(price) ? price.tiers.map(tier => tier.start) : []))
  return [...new Set(starts)].sort((a, b) => a - b)
}

/** `above`: the tier that begins there; -1: below all. */
function ratesOf(prices: ModelPrice, above: number): Rates {
  const rates: Partial<Record<RateName, number>> = {}
  for (const [key, price] of Object.entries(prices)) {
    const rate = Object.hasOwn(listRates, key) ? listRates[key] : undefined
    if (rate === undefined || price === undefined) continue
    const [name, per] = rate
    rates[name] = picoDollars(typeof price === 'number' ? price : tierPrice(price, above), per)
  }
  return rates
}

function isTiered(price: number | TieredPrices | undefined): price is TieredPrices {
  return typeof price === 'object'
}

function tierPrice({ base, tiers }: TieredPrices, above: number): number {
  return tiers.reduce((price, tier) => (tier.start <= above ? tier.price : price), base)
}
