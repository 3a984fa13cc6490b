import type { Catalogued } from './catalogue.js'
import { picoDollars, type RateName, type Rates } from './rates.js'

/** Raised with every change of a row. */
export const ownListVersion = 'soakp@2026-11-22'

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
    source: 'platform.openai.com/docs/pricing, as of 2025; not read again',
  },
  {
    provider: 'openai',
    models: ['tts-1-hd'],
    prices: { characters: [30, million] },
    source: 'platform.openai.com/docs/pricing, as of 2025; not read again',
  },
  {
    provider: 'deepgram',
    models: ['nova-3', 'nova-3-general'],
    prices: { audioSeconds: [0.0077, minute] },
    source: 'deepgram.com/pricing as read on 2026-08-01 by others: $0.0077 pre-recorded, $0.0048 streamed',
  },
  {
    provider: 'deepgram',
    models: ['aura-2*'],
    prices: { characters: [0.03, 1000] },
    source: 'deepgram.com/pricing, as of 2025; not read again',
  },
  {
    provider: 'deepgram',
    models: ['aura-*'],
    prices: { characters: [0.015, 1000] },
    source: 'deepgram.com/pricing, as of 2025; not read again',
  },
  {
    provider: 'cohere',
    models: ['rerank-v3.5', 'rerank-english-v3.0', 'rerank-multilingual-v3.0'],
    prices: { searchUnits: [2, 1000] },
    source: 'cohere.com/pricing, as of 2025; not read again',
  },
  {
    provider: 'assemblyai',
    models: ['universal-streaming*'],
    prices: { audioSeconds: [0.15, hour] },
    source: 'assemblyai.com/pricing, as quoted by others in 2026-03',
  },
  // answered inside the process
  { provider: 'sandbox', models: ['*'], prices: { input: [0, 1], output: [0, 1] }, source: 'nobody bills it' },
]

export function findInOwnList(provider: string, model: string): Catalogued | undefined {
  const name = model.toLowerCase()
  const row = rows.find(
    row =>
      row.provider === provider && row.models.some(known => (known.endsWith('*') ? name.startsWith(known.slice(0, -1)) : name === known)),
  )
  if (!row) return undefined
  const rates: Partial<Record<RateName, number>> = {}
  for (const [what, price] of Object.entries(row.prices) as [RateName, readonly [number, number]][]) rates[what] = picoDollars(...price)
  return {
    id: `${provider}/${row.models[0]}`,
    contextTokens: undefined,
    periods: [{ name: '', holds: () => true, rates: rates satisfies Rates, tiers: [] }],
  }
}
