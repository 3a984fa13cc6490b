import type { ModelTokens } from '../lib/model-tokens.js'

/** What is billed where it is not model tokens; the same words as in the ledger. */
export type PricedUnit = 'characters' | 'audioSeconds' | 'images' | 'pages' | 'searchUnits' | 'computeSeconds' | 'credits'

/** What can have a price of its own. */
export const rateNames = [
  'input',
  'cachedInput',
  'cacheWrite',
  'cacheWriteHour',
  'audioInput',
  'cachedAudioInput',
  'imageInput',
  'cachedImageInput',
  'output',
  'reasoning',
  'audioOutput',
  'imageOutput',
  'request',
  'webSearch',
  'characters',
  'audioSeconds',
  'images',
  'pages',
  'searchUnits',
  'computeSeconds',
  'credits',
] as const
export type RateName = (typeof rateNames)[number]

/**
 * Prices of one model token, one request, one second …, in whole pico-dollars: $0.15 per million model tokens are 150 000. Whole, so that a sum of
 * products is exact up to $9000 a call.
 */
export type Rates = Readonly<Partial<Record<RateName, number>>>

/** A call whose input is larger than `above` model tokens is billed by `rates` as a whole. */
export interface Tier {
  readonly above: number
  readonly rates: Rates
}

const picoPerMicro = 1_000_000

/** Dollars for so many, as price lists have it, to the price of one. */
export function picoDollars(dollars: number, per: number): number {
  return Math.round((dollars / per) * 1e12)
}

/** What one call consumed. Image input and output are parts of the totals too. */
export interface Consumed extends ModelTokens {
  readonly units?: number
  readonly unit?: PricedUnit
  /** Of the cache-write input, what is kept for an hour. */
  readonly cacheWriteHourTokens?: number
  /** Of the audio and image input, what came from the cache. */
  readonly cachedAudioInputTokens?: number
  readonly cachedImageInputTokens?: number
  readonly imageInputTokens?: number
  readonly imageOutputTokens?: number
  readonly webSearches?: number
  /** Where the counts are sums of several calls: how many they are, and the largest input of one, by which a tier is told. */
  readonly calls?: number
  readonly largestInput?: number
  /** Of all this, what models had that are billed by a price of their own. */
  readonly parts?: readonly ConsumedPart[]
}

/** What one model had of a call. */
export interface ConsumedPart extends ModelTokens {
  readonly model: string
  readonly cacheWriteHourTokens: number
  readonly largestInput: number
}

/** What is left without its parts. */
export function withoutParts({ parts = [], ...use }: Consumed): Consumed {
  let rest: Consumed = use
  for (const part of parts) {
    rest = {
      ...rest,
      inputTokens: Math.max(0, rest.inputTokens - part.inputTokens),
      outputTokens: Math.max(0, rest.outputTokens - part.outputTokens),
      cachedInputTokens: Math.max(0, rest.cachedInputTokens - part.cachedInputTokens),
      cacheWriteInputTokens: Math.max(0, rest.cacheWriteInputTokens - part.cacheWriteInputTokens),
      cacheWriteHourTokens: Math.max(0, (rest.cacheWriteHourTokens ?? 0) - part.cacheWriteHourTokens),
    }
  }
  return rest
}

/** The most that a call can consume, as far as its request says. */
export interface AtMost {
  readonly inputTokens: number
  /** Of one answer. Undefined: nobody said; then as long as the model's context, where that is known. */
  readonly maxOutputTokens: number | undefined
  /** Answers asked for, each as long as the most output; 1 where nobody said. */
  readonly choices?: number
  readonly units?: number
  readonly unit?: PricedUnit
  /** As in `Consumed`. */
  readonly calls?: number
  readonly largestInput?: number
}

/**
 * What it costs in pico-dollars, or undefined where something was consumed that has no price. A part without a price of its own is billed as what it is a part
 * of: audio, images and what goes to and comes from the cache as input, reasoning as output.
 */
export function costOf(rates: Rates, use: Consumed): number | undefined {
  const { input, output } = rates
  let sum = (rates.request ?? 0) * (use.calls ?? 1)
  if (use.inputTokens > 0) {
    if (input === undefined) return undefined
    sum += inputCost(rates, input, use)
  }
  if (use.outputTokens > 0) {
    if (output === undefined) return undefined
    sum += outputCost(rates, output, use)
  }
  if (use.webSearches) {
    if (rates.webSearch === undefined) return undefined
    sum += use.webSearches * rates.webSearch
  }
  if (use.units && use.unit) {
    const rate = rates[use.unit]
    if (rate === undefined) return undefined
    sum += use.units * rate
  }
  return sum
}

function inputCost(rates: Rates, input: number, use: Consumed): number {
  // a provider may say less of the whole than of its parts
  const cached = Math.min(use.cachedInputTokens, use.inputTokens)
  const written = Math.min(use.cacheWriteInputTokens, use.inputTokens - cached)
  const audio = Math.min(use.audioInputTokens, use.inputTokens)
  const image = Math.min(use.imageInputTokens ?? 0, use.inputTokens - audio)
  if (audio === 0 && image === 0 && cached === 0 && written === 0) return use.inputTokens * input
  const cachedRate = rates.cachedInput ?? input
  const writeRate = rates.cacheWrite ?? input
  const audioRate = rates.audioInput ?? input
  const imageRate = rates.imageInput ?? input
  const cachedAudio = Math.min(use.cachedAudioInputTokens ?? 0, audio, cached)
  const cachedImage = Math.min(use.cachedImageInputTokens ?? 0, image, cached - cachedAudio)
  const hour = Math.min(use.cacheWriteHourTokens ?? 0, written)
  const plain = Math.max(0, use.inputTokens - cached - written - (audio - cachedAudio) - (image - cachedImage))
  return (
    plain * input +
    (cached - cachedAudio - cachedImage) * cachedRate +
    (written - hour) * writeRate +
    hour * (rates.cacheWriteHour ?? writeRate) +
    (audio - cachedAudio) * audioRate +
    cachedAudio * (rates.cachedAudioInput ?? cachedRate) +
    (image - cachedImage) * imageRate +
    cachedImage * (rates.cachedImageInput ?? cachedRate)
  )
}

function outputCost(rates: Rates, output: number, use: Consumed): number {
  const audio = Math.min(use.audioOutputTokens, use.outputTokens)
  const image = Math.min(use.imageOutputTokens ?? 0, use.outputTokens - audio)
  const reasoning = rates.reasoning === undefined ? 0 : Math.min(use.reasoningTokens, use.outputTokens - audio - image)
  const plain = use.outputTokens - audio - image - reasoning
  return (
    plain * output +
    audio * (rates.audioOutput ?? output) +
    image * (rates.imageOutput ?? output) +
    (rates.reasoning === undefined ? 0 : reasoning * rates.reasoning)
  )
}

function highest(first: number | undefined, ...others: readonly (number | undefined)[]): number | undefined {
  // what has no price is not made cheaper by one of its parts having one
  return first === undefined ? undefined : others.reduce<number>((most, rate) => (rate !== undefined && rate > most ? rate : most), first)
}

/** The most it can cost in pico-dollars: every token at the dearest price that it could have. Undefined without a bound or a price. */
export function mostOf(rates: Rates, call: AtMost, contextTokens: number | undefined): number | undefined {
  let sum = (rates.request ?? 0) * (call.calls ?? 1)
  if (call.inputTokens > 0 && !(call.units && rates.input === undefined)) {
    const rate = highest(rates.input, rates.cachedInput, rates.cacheWrite, rates.cacheWriteHour, rates.audioInput, rates.imageInput)
    if (rate === undefined) return undefined
    sum += call.inputTokens * rate
  }
  const output = highest(rates.output, rates.reasoning, rates.audioOutput, rates.imageOutput)
  if (call.maxOutputTokens !== 0 && output !== undefined) {
    const longest = call.maxOutputTokens ?? contextTokens
    if (longest === undefined) return undefined
    sum += longest * (call.choices ?? 1) * output
  } else if (call.maxOutputTokens) return undefined
  if (call.units && call.unit) {
    const rate = rates[call.unit]
    if (rate === undefined) return undefined
    sum += call.units * rate
  }
  return sum
}

/** Up to the next whole micro-dollar: what costs anything never reads as nothing. */
export function toMicroDollars(pico: number): number {
  return Math.ceil(pico / picoPerMicro)
}
