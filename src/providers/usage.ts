import type { Usage, UsageCount, UsageUnit } from './provider.js'

export type Json = { readonly [name: string]: unknown }

export function object(value: unknown): Json | undefined {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Json) : undefined
}

/** A count, or undefined for whatever cannot be one: providers send `null`, and a ledger must not hold `-1` or `1e400`. */
export function count(value: unknown): number | undefined {
  return typeof value === 'number' && value >= 0 && value <= Number.MAX_SAFE_INTEGER ? Math.round(value) : undefined
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
