import type { Catalogued } from './catalogue.js'
import { picoDollars, type RateName, type Rates } from './rates.js'

/** Raised with every change of a row. */
export const ownListVersion = 'soakp@2026-11-22.2'

const million = 1_000_000
const hour = 3600
const minute = 60

interface Row {
  readonly provider: string
  /** A name, or the beginning of names where it ends in `*`. */
  readonly models: readonly string[]
  /** Dollars for so many of each. */
  readonly prices: Readonly<Partial<Record<RateName, readonly [dollars: number, per: number]>>>
  /** Where it was read, and when. */
  readonly source: string
  /** It was not read on a page of the provider's own. */
  readonly isHearsay?: true
}

/**
 * What the bundled list has no price for: pay as you go, without a plan's discount. Where one model has several prices (streamed and not), the dearer. What is
 * sold by plans and credits (ElevenLabs, DeepL, Stability) has no price until the operator sets one.
 */
const rows: readonly Row[] = [
  {
    provider: 'openai',
    models: ['tts-1'],
    prices: { characters: [15, million] },
    source: 'developers.openai.com/api/docs/models/tts-1, read 2026-11',
  },
  {
    provider: 'openai',
    models: ['tts-1-hd'],
    prices: { characters: [30, million] },
    source: 'developers.openai.com/api/docs/models/tts-1-hd, read 2026-11',
  },
  {
    provider: 'deepgram',
    models: ['nova-3', 'nova-3-general'],
    prices: { audioSeconds: [0.0077, minute] },
    source: 'deepgram.com/pricing as read by others, who do not agree: $0.0043 to $0.0077 a minute in 2026',
    isHearsay: true,
  },
  {
    provider: 'deepgram',
    models: ['aura-2*'],
    prices: { characters: [0.03, 1000] },
    source: 'deepgram.com/pricing as of 2025, by others',
    isHearsay: true,
  },
  {
    provider: 'deepgram',
    models: ['aura-*'],
    prices: { characters: [0.015, 1000] },
    source: 'deepgram.com/pricing as of 2025, by others',
    isHearsay: true,
  },
  {
    provider: 'cohere',
    models: ['rerank-v3.5', 'rerank-english-v3.0', 'rerank-multilingual-v3.0'],
    prices: { searchUnits: [2, 1000] },
    source: 'cohere.com/pricing as of 2025, by others; the page has no price a search any more',
    isHearsay: true,
  },
  {
    provider: 'cohere',
    models: ['rerank-v4.0-fast'],
    prices: { searchUnits: [2, 1000] },
    source: 'developer.puter.com/tutorials/cohere-api-pricing, 2026-06',
    isHearsay: true,
  },
  {
    provider: 'cohere',
    models: ['rerank-v4.0-pro'],
    prices: { searchUnits: [2.5, 1000] },
    source: 'developer.puter.com/tutorials/cohere-api-pricing, 2026-06',
    isHearsay: true,
  },
  {
    provider: 'assemblyai',
    models: ['universal-streaming*'],
    prices: { audioSeconds: [0.15, hour] },
    source: 'assemblyai.com/pricing as quoted by others in 2026-03; it is billed by how long the connection is open',
    isHearsay: true,
  },
  // answered inside the process
  { provider: 'sandbox', models: ['*'], prices: { input: [0, 1], output: [0, 1] }, source: 'nobody bills it' },
]

/** A price of the short list, and how well it is known. */
export interface OwnPrice {
  readonly provider: string
  readonly model: string
  readonly rates: Rates
  readonly source: string
  /** False: it was not read on a page of the provider's own. */
  readonly isVerified: boolean
}

/** All of the short list, for people. */
export function ownPrices(): OwnPrice[] {
  return rows.flatMap(row =>
    row.models.map(model => ({ provider: row.provider, model, rates: ratesOf(row), source: row.source, isVerified: !row.isHearsay })),
  )
}

/** Where a listed price was read, if it is of the short list. */
export function sourceOf(provider: string, model: string): Pick<OwnPrice, 'source' | 'isVerified'> | undefined {
  const row = findRow(provider, model)
  return row && { source: row.source, isVerified: !row.isHearsay }
}

function findRow(provider: string, model: string): Row | undefined {
  const name = model.toLowerCase()
  return rows.find(
    row =>
      row.provider === provider && row.models.some(known => (known.endsWith('*') ? name.startsWith(known.slice(0, -1)) : name === known)),
  )
}

function ratesOf({ prices }: Row): Rates {
  const rates: Partial<Record<RateName, number>> = {}
  for (const [what, price] of Object.entries(prices) as [RateName, readonly [number, number]][]) rates[what] = picoDollars(...price)
  return rates
}

export function findInOwnList(provider: string, model: string): Catalogued | undefined {
  const row = findRow(provider, model)
  if (!row) return undefined
  return {
    id: `${provider}/${row.models[0]}`,
    contextTokens: undefined,
    periods: [{ name: '', holds: () => true, rates: ratesOf(row), tiers: [] }],
  }
}
