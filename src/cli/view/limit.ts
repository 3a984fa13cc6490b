import { formatDollars, toDollars } from '../../lib/money.js'
import { formatAmount, parseBudget, parseQuota } from '../../lib/terms.js'
import { type CounterRule, counterBase, counterRules } from '../../limits/rules.js'
import type { GrantRecord, LimitKind, LimitRecord } from '../../stores/records.js'
import type { CounterTotal } from '../../stores/slices.js'
import { time } from '../format.js'

type Spending = Pick<GrantRecord, 'maxOutputTokens' | 'maxCallMicroDollars' | 'clampOutput' | 'letFinish' | 'shadow'>

export function spendingView({ maxCallMicroDollars, clampOutput, letFinish, shadow }: Spending): Record<string, unknown> {
  return { maxCostPerCallUsd: maxCallMicroDollars === null ? null : toDollars(maxCallMicroDollars), clampOutput, letFinish, shadow }
}

export function maxOutputText({ maxOutputTokens, clampOutput }: Spending): string {
  return maxOutputTokens === null
    ? 'no limit'
    : `${maxOutputTokens} model tokens a call; more is ${clampOutput ? 'cut down to that' : 'refused'}`
}

export function spendingFacts({ maxCallMicroDollars, letFinish, shadow }: Spending): (readonly [string, string])[] {
  return [
    ['unknown costs', maxCallMicroDollars === null ? 'refused under a budget' : `held as ${formatDollars(maxCallMicroDollars)} usd a call`],
    ['at the limit', shadow ? 'nothing is refused, only written down' : letFinish ? 'streams go on to their end' : 'streams are cut'],
  ]
}

/** What a limit is on, as the commands take it: `key_…`, `user:alice`, `tenant`. */
export function targetText({ kind, subject }: Pick<LimitRecord, 'kind' | 'subject'>): string {
  if (kind === 'user') return `user:${subject}`
  return kind === 'tenant' ? 'tenant' : subject
}

export function limitView(limit: LimitRecord): Record<string, unknown> {
  return {
    on: targetText(limit),
    kind: limit.kind,
    model: limit.model === '' ? null : limit.model,
    rate: limit.rate,
    concurrency: limit.concurrency,
    quotas: limit.quotas,
    budgets: limit.budgets,
    shadow: limit.shadow,
    createdAt: time(limit.createdAtMs),
  }
}

/** Quotas and budgets on one thing, with the counters that count them. */
export interface CountedLimit {
  readonly kind: LimitKind
  readonly subject: string
  readonly model: string
  readonly counter: CounterRule
  readonly shadow: boolean
}

export function countedLimits(
  limit: Pick<LimitRecord, 'tenant' | 'kind' | 'subject' | 'model' | 'quotas' | 'budgets' | 'shadow'>,
): CountedLimit[] {
  const { tenant, kind, subject, model, shadow } = limit
  const base = counterBase(kind, tenant, subject, model)
  const counters = [...counterRules(tenant, base, limit.quotas, parseQuota), ...counterRules(tenant, base, limit.budgets, parseBudget)]
  return counters.map(counter => ({ kind, subject, model, counter, shadow }))
}

/** Where a counter stands in the window that is open now. */
export function standing({ counter }: CountedLimit, totals: readonly CounterTotal[], now: number): CounterTotal | undefined {
  return totals.find(total => total.counter === counter.counter && total.windowStartMs <= now && now < total.windowEndMs)
}

export function countedView(limit: CountedLimit, total: CounterTotal | undefined): Record<string, unknown> {
  const { counter, model, shadow } = limit
  const amount = (value: number) => (counter.quantity === 'microDollars' ? toDollars(value) : value)
  return {
    on: targetText(limit),
    model: model === '' ? null : model,
    limit: counter.text,
    counts: counter.quantity === 'microDollars' ? 'usd' : counter.quantity,
    window: counter.window,
    allowed: amount(counter.limit),
    used: amount(total?.used ?? 0),
    held: amount(total?.held ?? 0),
    left: amount(Math.max(0, counter.limit - (total?.used ?? 0) - (total?.held ?? 0))),
    lost: amount(total?.lost ?? 0),
    shadow,
    opensAgainAt: counter.window === 'total' || !total ? null : time(total.windowEndMs),
  }
}

export function amountText({ counter }: CountedLimit, value: number): string {
  return formatAmount(counter.quantity, value)
}
