import { sumModelTokens } from '../lib/model-tokens.js'
import type { ModelPart, Usage } from './provider.js'
import { count, type Json, noUsage, object } from './usage.js'

/** What all samplings of one call came to, and of that what entries had that name their model. */
export interface Samplings {
  readonly fresh: number
  readonly cached: number
  readonly written: number
  readonly writtenHour: number
  readonly output: number
  readonly more: Pick<Usage, 'largestInput' | 'parts'>
}

/** Whoever answers may be anybody's server. */
const mostEntries = 1000
const mostModels = 20

type Sums = { -readonly [name in keyof ModelPart]: ModelPart[name] }

/**
 * `usage.iterations` of Anthropic: one entry for each time that a model ran. An entry that names its model, as an advisor's and a fallback's do, is billed as that model, the others as the one that
 * answered. Beside the list, a compaction and an advisor are in no count, and the input is that of the first entry alone
 * (https://platform.claude.com/docs/en/build-with-claude/compaction, https://platform.claude.com/docs/en/agents-and-tools/tool-use/advisor-tool).
 */
export function readSamplings(iterations: unknown): Samplings | undefined {
  if (!Array.isArray(iterations) || iterations.length === 0) return undefined
  const own = sumsOf('')
  const byModel = new Map<string, Sums>()
  let fresh = 0
  for (const value of iterations.slice(0, mostEntries)) {
    const entry = object(value)
    if (!entry) continue
    fresh += count(entry.input_tokens) ?? 0
    add(partOf(byModel, entry.model) ?? own, entry)
  }
  const parts = [...byModel.values()]
  const sum = (name: 'cachedInputTokens' | 'cacheWriteInputTokens' | 'cacheWriteHourTokens' | 'outputTokens') =>
    parts.reduce((total, part) => total + (part[name] ?? 0), own[name] ?? 0)
  return {
    fresh,
    cached: sum('cachedInputTokens'),
    written: sum('cacheWriteInputTokens'),
    writtenHour: sum('cacheWriteHourTokens'),
    output: sum('outputTokens'),
    more: { ...(own.largestInput ? { largestInput: own.largestInput } : {}), ...(parts.length > 0 ? { parts } : {}) },
  }
}

function partOf(parts: Map<string, Sums>, model: unknown): Sums | undefined {
  if (typeof model !== 'string' || model === '' || model.length > 200) return undefined
  const known = parts.get(model)
  if (known || parts.size >= mostModels) return known
  const part = sumsOf(model)
  parts.set(model, part)
  return part
}

const sumsOf = (model: string): Sums => ({ ...noUsage, model, cacheWriteHourTokens: 0, largestInput: 0 })

function add(sums: Sums, entry: Json): void {
  const cached = count(entry.cache_read_input_tokens) ?? 0
  const written = count(entry.cache_creation_input_tokens) ?? 0
  const input = (count(entry.input_tokens) ?? 0) + cached + written
  sums.inputTokens += input
  sums.outputTokens += count(entry.output_tokens) ?? 0
  sums.cachedInputTokens += cached
  sums.cacheWriteInputTokens += written
  sums.cacheWriteHourTokens += count(object(entry.cache_creation)?.ephemeral_1h_input_tokens) ?? 0
  sums.largestInput = Math.max(sums.largestInput, input)
}

/** The parts of two calls together, each model once. */
export function sumParts(a: readonly ModelPart[], b: readonly ModelPart[]): readonly ModelPart[] {
  const sums = new Map(a.map(part => [part.model, part]))
  for (const part of b) {
    const known = sums.get(part.model)
    sums.set(part.model, known ? bothParts(known, part) : part)
  }
  return [...sums.values()]
}

function bothParts(a: ModelPart, b: ModelPart): ModelPart {
  return {
    model: a.model,
    ...sumModelTokens(a, b),
    cacheWriteHourTokens: a.cacheWriteHourTokens + b.cacheWriteHourTokens,
    largestInput: Math.max(a.largestInput, b.largestInput),
  }
}
