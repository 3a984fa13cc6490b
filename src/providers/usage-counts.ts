import type { ModelTokens } from '../lib/model-tokens.js'

/**
 * What is billed where it is not model tokens. `audioSeconds` and `computeSeconds` are rounded up to whole seconds; `credits` are the provider's own;
 * `searchUnits` are Cohere's: one query with up to a hundred documents.
 */
export type UsageUnit = 'characters' | 'audioSeconds' | 'images' | 'pages' | 'searchUnits' | 'computeSeconds' | 'credits'

/**
 * What one call consumed: model tokens by kind, totals and their parts whatever way a provider counts, and where a provider bills by something else, that.
 */
export interface Usage extends ModelTokens {
  /** How many of `unit`, a whole number. Both are there or neither. */
  readonly units?: number
  readonly unit?: UsageUnit
  // what only some providers tell, and only the price asks for; absent where nothing was told
  /** Of the cache-write input, what is kept for an hour. */
  readonly cacheWriteHourTokens?: number
  /** Of the audio and image input, what came from the cache. */
  readonly cachedAudioInputTokens?: number
  readonly cachedImageInputTokens?: number
  /** Parts of the input and the output. */
  readonly imageInputTokens?: number
  readonly imageOutputTokens?: number
  readonly webSearches?: number
  /** How the call was served, where that has another price than usual, in lower case: `flex`, `priority`, `batch`; several joined by `+`. */
  readonly tier?: string
  /** What the provider says the call costs, in whole micro-dollars, rounded up. */
  readonly billedMicroDollars?: number
  /** Told before anything was written: an answer that breaks off here took more. */
  readonly isOpening?: true
  /** Where a model ran several times in one call: the largest input of one time, by which a tier is told. Of what stands in no part. */
  readonly largestInput?: number
  /** Of the counts, what models named beside the one that answered had: each is billed by its own price. */
  readonly parts?: readonly ModelPart[]
}

/** What one model had of a call. */
export interface ModelPart extends ModelTokens {
  readonly model: string
  readonly cacheWriteHourTokens: number
  readonly largestInput: number
}

/** Counts beside the seven that every `Usage` has. */
export const extraCounts = [
  'cacheWriteHourTokens',
  'cachedAudioInputTokens',
  'cachedImageInputTokens',
  'imageInputTokens',
  'imageOutputTokens',
  'webSearches',
  'billedMicroDollars',
] as const satisfies readonly (keyof Usage)[]
export type ExtraCount = (typeof extraCounts)[number]

/** Counts of a `Usage` that a reply header can state; a `UsageUnit` where it is one. */
export type UsageCount = 'inputTokens' | 'outputTokens' | 'cachedInputTokens' | 'cacheWriteInputTokens' | UsageUnit
