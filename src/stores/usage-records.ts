import type { ModelTokens } from '../lib/model-tokens.js'
import type { Entry, UsageUnit } from './records.js'

/** A price that the operator set: from `fromMs` on, until a later one of the same provider and model. */
export interface PriceRecord {
  readonly provider: string
  /** A name, or a glob. */
  readonly model: string
  readonly fromMs: number
  /** By what is priced, in pico-dollars for one; `null` where `sameAs` says it. */
  readonly rates: Readonly<Record<string, number>> | null
  /** `PROVIDER/MODEL` whose listed price this is. */
  readonly sameAs: string | null
  readonly createdAtMs: number
}

/** What calls can be picked and summed up by. */
export const usageFilters = ['tenant', 'app', 'grant', 'user', 'key', 'provider', 'model'] as const
export type UsageFilter = (typeof usageFilters)[number]
/** `day` is `YYYY-MM-DD`, `hour` `YYYY-MM-DDTHH`, both in UTC. */
export const usageDimensions = [...usageFilters, 'day', 'hour'] as const
export type UsageDimension = (typeof usageDimensions)[number]

export interface UsageQuery {
  readonly by: readonly UsageDimension[]
  /** Calls started at or after this … */
  readonly sinceMs: number
  /** … and before this. Both to the millisecond while the hour's entries are kept, else to the hour. Absent: all. */
  readonly untilMs?: number
  /** Exact values; empty: calls that have none. */
  readonly where?: Readonly<Partial<Record<UsageFilter, string>>>
}

export interface UsageRow extends ModelTokens {
  /** One for each dimension asked for, in that order; empty where an entry has none. */
  readonly values: readonly string[]
  /** Final entries: a call counts once, however many attempts it took. */
  readonly calls: number
  /** Of those, how many we refused, and how many failed or were cut off; not calls whose client left. */
  readonly refused: number
  readonly failed: number
  /** Entries with estimated counts. */
  readonly estimated: number
  /** Entries that consumed something which has no price. */
  readonly unpriced: number
  /** Calls that went through although a quota, or a budget, that is only watched would have refused them. */
  readonly overQuota: number
  readonly overBudget: number
  /** Calls that took more than was held for them. */
  readonly overrun: number
  /** Sums by unit, of those units that any entry has. */
  readonly units: Readonly<Partial<Record<UsageUnit, number>>>
  /** Sum over priced entries; `null` where none is priced. */
  readonly costMicroDollars: number | null
}

/** Entries in the order they were written, in pieces. */
export interface EntryPage {
  readonly entries: Entry[]
  /** What to give for `after` to go on; undefined: that was all. */
  readonly next: number | undefined
}
