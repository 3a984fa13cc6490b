import { SoakpError } from '../../errors.js'
import { picoDollars, type RateName } from '../../prices/rates.js'
import { findProvider, providerId } from '../../providers/index.js'
import type { PriceRecord } from '../../stores/records.js'

interface PriceField {
  /** In files, and as an option in kebab case. */
  readonly name: string
  readonly rate: RateName
  /** The price is that of so many. */
  readonly per: number
  readonly what: string
}

const million = 1_000_000
const tokens = (name: string, rate: RateName, what: string): PriceField => ({
  name,
  rate,
  per: million,
  what: `dollars per million model tokens ${what}`,
})

/** Everything that can have a price, in the units of the providers' price pages. */
export const priceFields: readonly PriceField[] = [
  tokens('input', 'input', 'of input'),
  tokens('cachedInput', 'cachedInput', 'of input from the cache'),
  tokens('cacheWrite', 'cacheWrite', 'of input written to the cache'),
  tokens('cacheWriteHour', 'cacheWriteHour', 'of input written to the cache for an hour'),
  tokens('audioInput', 'audioInput', 'of audio input'),
  tokens('cachedAudioInput', 'cachedAudioInput', 'of audio input from the cache'),
  tokens('imageInput', 'imageInput', 'of image input'),
  tokens('cachedImageInput', 'cachedImageInput', 'of image input from the cache'),
  tokens('output', 'output', 'of output'),
  tokens('reasoning', 'reasoning', 'of reasoning, where that is not billed as output'),
  tokens('audioOutput', 'audioOutput', 'of audio output'),
  tokens('imageOutput', 'imageOutput', 'of image output'),
  { name: 'requests', rate: 'request', per: 1000, what: 'dollars per 1000 calls, beside what else they cost' },
  { name: 'webSearches', rate: 'webSearch', per: 1000, what: 'dollars per 1000 web searches' },
  { name: 'characters', rate: 'characters', per: million, what: 'dollars per million characters' },
  { name: 'audioHours', rate: 'audioSeconds', per: 3600, what: 'dollars per hour of audio' },
  { name: 'images', rate: 'images', per: 1, what: 'dollars per image' },
  { name: 'pages', rate: 'pages', per: 1000, what: 'dollars per 1000 pages' },
  { name: 'searchUnits', rate: 'searchUnits', per: 1000, what: 'dollars per 1000 search units' },
  { name: 'computeHours', rate: 'computeSeconds', per: 3600, what: 'dollars per hour of compute' },
  { name: 'credits', rate: 'credits', per: 1, what: "dollars per credit of the provider's" },
]

/** Nothing of it costs anything. */
export const freeRates: Readonly<Record<string, number>> = Object.fromEntries(priceFields.map(({ rate }) => [rate, 0]))

const most = 1_000_000

/** `2.50`, `$2.50`, `0.0375`. */
export function parsePrice(text: string | number): number | undefined {
  const [, digits] = /^\$?(\d{1,7}(?:\.\d{1,9})?)$/.exec(String(text)) ?? []
  const dollars = Number(digits)
  return digits !== undefined && dollars <= most ? dollars : undefined
}

/** From prices by field; throws `usage` for what is no price, or where there is none. */
export function ratesFrom(prices: Readonly<Record<string, unknown>>): Record<string, number> {
  const rates: Record<string, number> = {}
  for (const [name, value] of Object.entries(prices)) {
    const field = priceFields.find(field => field.name === name)
    if (!field)
      throw new SoakpError('usage', `There is no price called ${name.slice(0, 40)}.`, {
        hint: `it is one of ${priceFields.map(({ name }) => name).join(', ')}`,
      })
    const dollars = typeof value === 'string' || typeof value === 'number' ? parsePrice(value) : undefined
    if (dollars === undefined) throw new SoakpError('usage', `The price of ${name} is no amount of dollars such as 2.50.`)
    rates[field.rate] = picoDollars(dollars, field.per)
  }
  if (Object.keys(rates).length === 0)
    throw new SoakpError('usage', 'It holds no price.', { hint: 'such as --input 2.50 --output 10, or --free' })
  return rates
}

export function pricesOf(rates: Readonly<Record<string, number>>): Record<string, number> {
  return Object.fromEntries(
    priceFields.flatMap(({ name, rate, per }) => {
      const pico = rates[rate]
      return pico === undefined ? [] : [[name, Number(((pico * per) / 1e12).toPrecision(12))]]
    }),
  )
}

/** A provider's name as it stands in the ledger. One of the operator's own is not known beforehand. */
export function checkedProvider(name: string): string {
  if (!/^[a-z][a-z0-9-]{0,40}$/.test(name)) throw new SoakpError('unknown_provider', name.slice(0, 40))
  return findProvider(providerId(name))?.id ?? name
}

export function checkedModel(name: string): string {
  if (!/^[^\s\p{Cc}]{1,200}$/u.test(name))
    throw new SoakpError('usage', 'A model is a name without blanks, in which * stands for any characters.')
  return name
}

/** `PROVIDER/MODEL`; a model may have slashes of its own. */
export function parseTarget(text: string): { readonly provider: string; readonly model: string } {
  const slash = text.indexOf('/')
  if (slash < 1) throw new SoakpError('usage', 'A model is written PROVIDER/MODEL, as in openai/gpt-4o.')
  return { provider: checkedProvider(text.slice(0, slash)), model: checkedModel(text.slice(slash + 1)) }
}

export function priceView(record: PriceRecord): Record<string, unknown> {
  const { provider, model, fromMs, rates, sameAs } = record
  return {
    provider,
    model,
    from: fromMs === 0 ? null : new Date(fromMs).toISOString(),
    ...(sameAs === null ? { prices: pricesOf(rates ?? {}) } : { sameAs }),
  }
}

export function priceText({ rates, sameAs }: Pick<PriceRecord, 'rates' | 'sameAs'>): string {
  if (sameAs !== null) return `as ${sameAs}`
  const prices = Object.entries(pricesOf(rates ?? {}))
  if (prices.every(([, dollars]) => dollars === 0)) return 'free'
  return prices.map(([name, dollars]) => `${name} ${dollars}`).join(', ')
}
