import { sumModelTokens } from '../lib/model-tokens.js'
import type { Entry, UsageDimension, UsageQuery, UsageRow } from './records.js'
import type { SliceStore } from './slices.js'
import type { Store } from './store.js'

/** The ledger of a process that keeps nothing is bounded: the oldest entries make room. */
const maxEntries = 100_000

type Ledger = Pick<Store, 'appendEntries' | 'listEntries' | 'pageEntries' | 'usage' | 'rollUp' | 'pruneEntries'>

/** Everything is summed up when it is asked for. */
export function memoryLedger(slices: Pick<SliceStore, 'settleSlices'>): Ledger {
  let entries: Entry[] = []
  /** How many were dropped from the front: the number of the first entry there is. */
  let dropped = 0

  function drop(count: number): void {
    entries = entries.slice(count)
    dropped += count
  }

  return {
    appendEntries: (added, changed) => {
      if (changed) slices.settleSlices(changed.instance, changed.states)
      entries.push(...added)
      if (entries.length > 2 * maxEntries) drop(entries.length - maxEntries)
    },
    listEntries: ({ sinceMs = 0, id, limit }) =>
      entries.filter(entry => entry.startedAtMs >= sinceMs && entry.id === (id ?? entry.id)).slice(0, limit ?? entries.length),
    pageEntries: ({ sinceMs = 0, untilMs = Number.MAX_SAFE_INTEGER, after = 0, limit }) => {
      const page: Entry[] = []
      let at = Math.max(0, after - dropped)
      for (; at < entries.length && page.length < limit; at++) {
        const entry = entries[at] as Entry
        if (entry.startedAtMs >= sinceMs && entry.startedAtMs < untilMs) page.push(entry)
      }
      return { entries: page, next: at < entries.length ? at + dropped : undefined }
    },
    usage: query => usage(entries, query),
    rollUp: () => 0,
    pruneEntries: (beforeMs, limit) => {
      let count = 0
      while (count < limit && (entries[count]?.startedAtMs ?? beforeMs) < beforeMs) count++
      drop(count)
      return count
    },
  }
}

const dimensions: Readonly<Record<UsageDimension, (entry: Entry) => string | null>> = {
  tenant: entry => entry.tenant,
  app: entry => entry.app,
  grant: entry => entry.grantId,
  user: entry => entry.subject,
  key: entry => entry.keyId,
  provider: entry => entry.provider,
  model: entry => entry.model,
  day: entry => new Date(entry.startedAtMs).toISOString().slice(0, 10),
  hour: entry => new Date(entry.startedAtMs).toISOString().slice(0, 13),
}

function usage(entries: readonly Entry[], { by, sinceMs, untilMs = Number.MAX_SAFE_INTEGER, where = {} }: UsageQuery): UsageRow[] {
  const rows = new Map<string, UsageRow>()
  const picked = Object.entries(where) as [UsageDimension, string | undefined][]
  for (const entry of entries) {
    if (entry.startedAtMs < sinceMs || entry.startedAtMs >= untilMs) continue
    if (picked.some(([name, value]) => value !== undefined && (dimensions[name](entry) ?? '') !== value)) continue
    const values = by.map(name => dimensions[name](entry) ?? '')
    const name = JSON.stringify(values)
    rows.set(name, added(rows.get(name) ?? { ...nothing, values }, entry))
  }
  const byTime = by[0] === 'day' || by[0] === 'hour'
  return [...rows.values()].sort(
    (a, b) =>
      (byTime ? compare(a.values[0] ?? '', b.values[0] ?? '') : 0) ||
      (b.costMicroDollars ?? 0) - (a.costMicroDollars ?? 0) ||
      b.calls - a.calls ||
      compare(a.values.join('\0'), b.values.join('\0')),
  )
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0
}

const nothing: Omit<UsageRow, 'values'> = {
  calls: 0,
  refused: 0,
  failed: 0,
  estimated: 0,
  unpriced: 0,
  overQuota: 0,
  overBudget: 0,
  overrun: 0,
  inputTokens: 0,
  outputTokens: 0,
  cachedInputTokens: 0,
  cacheWriteInputTokens: 0,
  reasoningTokens: 0,
  audioInputTokens: 0,
  audioOutputTokens: 0,
  units: {},
  costMicroDollars: null,
}

function added(row: UsageRow, entry: Entry): UsageRow {
  const { final, outcome, usageSource, costMicroDollars: cost, unit } = entry
  const mark = final && outcome !== 'refused' && outcome !== 'cut' ? entry.errorCode : null
  return {
    values: row.values,
    calls: row.calls + Number(final),
    refused: row.refused + Number(final && outcome === 'refused'),
    failed: row.failed + Number(final && (outcome === 'failed' || outcome === 'cut')),
    estimated: row.estimated + Number(usageSource === 'estimated'),
    unpriced: row.unpriced + Number(cost === null && usageSource !== 'none'),
    overQuota: row.overQuota + Number(mark === 'quota_exhausted'),
    overBudget: row.overBudget + Number(mark === 'budget_exhausted' || mark === 'cost_unbounded'),
    overrun: row.overrun + Number(mark === 'budget_overrun'),
    ...sumModelTokens(row, entry),
    units: unit === null ? row.units : { ...row.units, [unit]: (row.units[unit] ?? 0) + entry.units },
    costMicroDollars: cost === null ? row.costMicroDollars : (row.costMicroDollars ?? 0) + cost,
  }
}
