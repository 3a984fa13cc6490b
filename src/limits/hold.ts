import type { ErrorCode } from '../errors.js'
import type { Quantity } from '../lib/terms.js'
import type { Gauge } from './gauges.js'
import type { RateState } from './rate.js'
import { type CounterRule, countersOf, type LimitedGrant, type Plan, type Rule } from './rules.js'
import type { Slice } from './slice.js'

/** What a call has consumed. Undefined parts: not known, so that what is held for it counts. */
export type Spent = Readonly<Partial<Record<'microDollars' | 'tokens', number | undefined>>>

export interface HeldGauge {
  readonly gauge: Gauge
  readonly rule: Rule
  readonly takenAtMs: number
  readonly keyId: string | undefined
}

export interface HeldCount {
  rule: Rule
  counter: CounterRule
  readonly slice: Slice
  amount: number
  readonly keyId: string | undefined
}

/** How a hold gives back what it holds. */
export interface Returns {
  settle(slice: Slice, held: number, used: number): void
}

/** What is reserved of limits before a call leaves. Exactly one of the two endings counts; later ones do nothing. */
export class Hold {
  /** Where the limit stands that is nearest, of those that count calls. */
  rate: RateState | undefined
  /** What would have refused the call if it were not only watched. */
  wouldRefuse: ErrorCode | null = null
  /** More was consumed than was held for it. */
  isOverrun = false
  readonly grant: LimitedGrant
  readonly #returns: Returns
  #plan: Plan
  #gauges: HeldGauge[] = []
  #counts: HeldCount[] = []
  #isOver = false

  constructor(grant: LimitedGrant, plan: Plan, returns: Returns) {
    this.grant = grant
    this.#plan = plan
    this.#returns = returns
  }

  /** What limits it. */
  get plan(): Plan {
    return this.#plan
  }

  get isOver(): boolean {
    return this.#isOver
  }

  /** Of money and model tokens. */
  get budgets(): readonly HeldCount[] {
    return this.#counts.filter(({ counter }) => counter.quantity !== 'calls')
  }

  get hasBudgets(): boolean {
    for (const { counter } of this.#counts) if (counter.quantity !== 'calls') return true
    return false
  }

  /** In all windows together. */
  heldOf(counter: CounterRule): number {
    return this.#counts.reduce((sum, held) => (held.counter.counter === counter.counter ? sum + held.amount : sum), 0)
  }

  /** Of what is held of each budget, what is more than these amounts is given back. */
  lower(to: Readonly<Record<'microDollars' | 'tokens', number>>): void {
    const left = new Map<string, number>()
    // what was held last is what the next is consumed of
    for (let at = this.#counts.length - 1; at >= 0; at--) {
      const held = this.#counts[at] as HeldCount
      const { counter, slice } = held
      if (counter.quantity === 'calls') continue
      const rest = left.get(counter.counter) ?? to[counter.quantity]
      const kept = Math.min(held.amount, rest)
      left.set(counter.counter, rest - kept)
      if (kept < held.amount) this.#returns.settle(slice, held.amount - kept, 0)
      held.amount = kept
    }
  }

  /** Takes what is held of budgets out: the call's end settles it no more. */
  takeBudgets(): readonly HeldCount[] {
    const { budgets } = this
    this.#counts = this.#counts.filter(({ counter }) => counter.quantity === 'calls')
    return budgets
  }

  /** Limits have changed while it was held. What it counts in it goes on counting in; a limit that is no more refuses nothing. */
  measureBy(plan: Plan): void {
    if (plan === this.#plan) return
    this.#plan = plan
    const counters = countersOf(plan)
    for (const held of this.#counts) {
      const { rule, counter } = held
      const now = counters.get(counter.counter) ?? { rule, counter: { ...counter, limit: Number.MAX_SAFE_INTEGER } }
      held.rule = now.rule
      held.counter = now.counter
    }
  }

  addGauge(held: HeldGauge): void {
    held.gauge.open++
    this.#gauges.push(held)
  }

  addCount(held: HeldCount): void {
    // it ended while the store was asked
    if (this.#isOver) {
      this.#returns.settle(held.slice, held.amount, 0)
      return
    }
    const before = this.#counts.find(({ slice }) => slice === held.slice)
    if (before) before.amount += held.amount
    else this.#counts.push(held)
  }

  /** The call happened; `spent`: what it consumed. */
  settle(spent: Spent = {}): void {
    if (this.#isOver) return
    this.#isOver = true
    for (const held of this.#gauges) held.gauge.open--
    this.#counts.forEach((held, index) => {
      this.#settleCount(held, index, spent)
    })
  }

  #settleCount({ slice, counter, amount }: HeldCount, index: number, spent: Spent): void {
    let used = usedOf(counter.quantity, spent) ?? amount
    // more was held in the window that came after: what an earlier one covers is not charged to both
    for (let at = 0; at < this.#counts.length; at++) {
      const other = this.#counts[at] as HeldCount
      if (at === index || other.counter.counter !== counter.counter) continue
      used = at < index ? Math.max(0, used - other.amount) : Math.min(used, amount)
    }
    if (used > amount) this.isOverrun = true
    this.#returns.settle(slice, amount, used)
  }

  /** The call never reached a provider: it gives its place back. */
  release(): void {
    if (this.#isOver) return
    this.#isOver = true
    for (const held of this.#gauges) giveBack(held)
    for (const { slice, amount } of this.#counts) this.#returns.settle(slice, amount, 0)
  }

  /** A part of what the call consumes; the call goes on, with so much less held for it. */
  spend(spent: Spent): void {
    const left = new Map<string, number>()
    this.#counts.forEach((held, index) => {
      const { counter, slice } = held
      const used = left.get(counter.counter) ?? usedOf(counter.quantity, spent) ?? 0
      if (used === 0) return
      // of several windows the earlier pays as far as it goes
      const isLast = !this.#counts.some((other, at) => at > index && other.counter.counter === counter.counter)
      const part = Math.min(used, held.amount)
      if (isLast && used > part) this.isOverrun = true
      left.set(counter.counter, used - part)
      held.amount -= part
      this.#returns.settle(slice, part, isLast ? used : part)
    })
  }

  /** Another key answers instead of `keyId`. `arrived`: the provider saw the call that was made with it. */
  leaveKey(keyId: string, arrived: boolean): void {
    const gauges = this.#gauges.filter(held => held.keyId === keyId)
    const counts = this.#counts.filter(held => held.keyId === keyId)
    if (gauges.length + counts.length === 0) return
    this.#gauges = this.#gauges.filter(held => held.keyId !== keyId)
    this.#counts = this.#counts.filter(held => held.keyId !== keyId)
    for (const held of gauges) {
      if (arrived) held.gauge.open--
      else giveBack(held)
    }
    for (const { slice, amount, counter } of counts)
      this.#returns.settle(slice, amount, arrived && counter.quantity === 'calls' ? amount : 0)
  }
}

function giveBack({ gauge, rule, takenAtMs }: HeldGauge): void {
  gauge.open--
  if (rule.rate && rule.rate.windowMs === gauge.windowMs) gauge.window.giveBack(rule.rate, takenAtMs)
}

function usedOf(quantity: Quantity, spent: Spent): number | undefined {
  return quantity === 'calls' ? undefined : spent[quantity]
}
