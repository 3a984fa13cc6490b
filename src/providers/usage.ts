import { type ExtraCount, extraCounts, type Usage, type UsageCount, type UsageUnit } from './provider.js'

export type Json = { readonly [name: string]: unknown }

export function object(value: unknown): Json | undefined {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Json) : undefined
}

/** More of anything no call consumes. Who answers may be anybody's server, and what it says is added up with what others say. */
const mostCount = 1e10

/** A count, or undefined for whatever cannot be one: providers send `null`, and a ledger must not hold `-1` or `1e400`. */
export function count(value: unknown): number | undefined {
  return typeof value === 'number' && value >= 0 && value <= mostCount ? Math.round(value) : undefined
}

export const noUsage: Usage = {
  inputTokens: 0,
  outputTokens: 0,
  cachedInputTokens: 0,
  cacheWriteInputTokens: 0,
  reasoningTokens: 0,
  audioInputTokens: 0,
  audioOutputTokens: 0,
}

const tokenCounts = new Set<string>(['inputTokens', 'outputTokens', 'cachedInputTokens', 'cacheWriteInputTokens'])

/** So many of a unit, in whole ones rounded up; undefined for what cannot be a count. */
export function unitsOf(unit: UsageUnit, value: unknown): Pick<Usage, 'units' | 'unit'> | undefined {
  const known = typeof value === 'number' ? count(Math.ceil(value)) : undefined
  return known === undefined ? undefined : { units: known, unit }
}

/** Usage that a reply's head states, by the dialect's list of headers. `headers`: names in lower case and values in turn. */
export function statedUsage(names: Readonly<Record<string, UsageCount>>, headers: readonly string[]): Usage | undefined {
  let usage: Usage | undefined
  for (let at = 0; at < headers.length; at += 2) {
    const what = Object.hasOwn(names, headers[at] as string) ? names[headers[at] as string] : undefined
    if (what === undefined || !/^\d+(?:\.\d+)?$/.test(headers[at + 1] as string)) continue
    const value = Math.ceil(Number(headers[at + 1]))
    if (count(value) === undefined) continue
    usage = { ...(usage ?? noUsage), ...(tokenCounts.has(what) ? { [what]: value } : unitsOf(what as UsageUnit, value)) }
  }
  return usage
}

/** What a reply tells beside the seven counts, put together as it is found; undefined while nothing is. */
export class Extras {
  #told: { -readonly [name in ExtraCount | 'tier']?: Usage[name] } | undefined

  /** Nothing told, and none told, are the same. */
  count(name: ExtraCount, value: unknown): void {
    const known = value === undefined ? undefined : count(value)
    if (!known) return
    this.#told ??= {}
    this.#told[name] = known
  }

  /** `value`: as the provider names it; whatever it calls the usual way of serving, where that is not among `usual`, is told. */
  tier(value: unknown, usual: ReadonlySet<string>): void {
    if (typeof value !== 'string' || value.length > 40) return
    const name = value.toLowerCase()
    if (name === '' || usual.has(name)) return
    this.#told ??= {}
    this.#told.tier = this.#told.tier === undefined ? name : `${this.#told.tier}+${name}`
  }

  /** Dollars as the provider states them. */
  dollars(value: unknown): void {
    if (typeof value === 'number' && value >= 0) this.count('billedMicroDollars', Math.ceil(Number((value * 1e6).toFixed(4))))
  }

  /** `usage` with what was told, and with what `before` had of it. */
  on(usage: Usage, before: Usage | undefined): Usage {
    const earlier = before && extrasOf(before)
    return this.#told === undefined && earlier === undefined ? usage : { ...usage, ...earlier, ...this.#told }
  }
}

function extrasOf(usage: Usage): Partial<Usage> {
  const told: { -readonly [name in ExtraCount | 'tier' | 'largestInput' | 'parts']?: Usage[name] } = {}
  for (const name of extraCounts) if (usage[name] !== undefined) told[name] = usage[name]
  if (usage.tier !== undefined) told.tier = usage.tier
  if (usage.largestInput !== undefined) told.largestInput = usage.largestInput
  if (usage.parts !== undefined) told.parts = usage.parts
  return told
}
