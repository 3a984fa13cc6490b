import { SoakpError } from '../errors.js'
import { isPromise, type MaybePromise } from '../lib/maybe.js'
import type { Outage } from '../stores/outage.js'
import type { LimitRecord } from '../stores/records.js'
import type { SliceStore } from '../stores/slices.js'
import { type Calendars, createCalendars } from './calendars.js'
import { Gauges } from './gauges.js'
import { Hold, type Spent } from './hold.js'
import { addBudgets, type CallFacts, rulesFor } from './needs.js'
import { type Parked, parkHold } from './park.js'
import { type RateState, SlidingWindow } from './rate.js'
import { stateOf, tighter, withState } from './rate-state.js'
import { exhausted, tooFast, tooMany } from './refusals.js'
import { type Asks, asksOf, type LimitedGrant, type Need, planOf, quotasOf, type Rule } from './rules.js'
import type { Slice } from './slice.js'
import { type Changes, createSlices } from './slices.js'

export { Hold, type Spent } from './hold.js'
export type { CallFacts } from './needs.js'
export type { Parked } from './park.js'
export { stateOfRefusal } from './rate-state.js'
export type { LimitedGrant } from './rules.js'

export interface Limits {
  /**
   * Reserves what every call of the grant takes, or throws `rate_limited`, `concurrency_limited` or `quota_exhausted` with how long to wait. `limits`: the tenant's, beside the grant's
   * own. Checking and taking are one step: racing calls cannot both have the last place.
   */
  reserve(grant: LimitedGrant, limits?: readonly LimitRecord[]): MaybePromise<Hold>
  /** Reserves the rest: budgets, and what limits the call's model and key. Throws as `reserve`, and `budget_exhausted`, `model_unknown`; what is held so far stays held. */
  admit(hold: Hold, facts: CallFacts): MaybePromise<void>
  /** Another key answers: what limits that one. Throws as `admit`. */
  admitKey(hold: Hold, facts: CallFacts): MaybePromise<void>
  /** Whether `admit` will ask for a model or a cost, so that the body has to be read. */
  asks(hold: Hold, keyIds: readonly string[]): Asks
  /** Holds more where more has been consumed than is held, by the limits of this moment. Resolves with why it cannot go on. */
  cover(hold: Hold, spent: Spent): MaybePromise<SoakpError | undefined>
  /** Holds more, up to these amounts, by the limits of this moment. Throws or rejects as `admit`; what is held so far stays held. */
  raise(hold: Hold, to: Spent): MaybePromise<void>
  /** What is held of budgets goes over to something that outlives this process: the call's end settles it no more. Undefined: nothing is held. */
  park(hold: Hold): Parked | undefined
  /** What is held of budgets is given back, before the call's end. */
  free(hold: Hold): void
  /** The store has changed what others have of these counters. */
  forget(counters: readonly string[]): void
  /** Where the nearest limit stands that counts calls; nothing is taken. Undefined: there is none. */
  look(grant: LimitedGrant, limits?: readonly LimitRecord[]): RateState | undefined
  /** What calls have left of counters, for the commit that holds their entries. */
  takeChanges(): Changes | undefined
  /** To be called when no call is open any more. */
  close(): Promise<void>
}

export interface LimitsDeps {
  readonly store: SliceStore
  readonly outage: Outage
  /** Epoch milliseconds. */
  readonly now: () => number
  /** Unless said otherwise days and months are those of UTC. */
  readonly calendars?: Calendars
  /** What limits a grant's calls at this moment. Unless it is said, what limited a call when it began goes on limiting it. May throw or reject as the store does. */
  readonly current?: (grant: LimitedGrant) => MaybePromise<Limited | undefined>
}

/** A grant, and the tenant's limits beside the grant's own. */
export interface Limited {
  readonly grant: LimitedGrant
  readonly limits: readonly LimitRecord[]
}

const noLimits: readonly LimitRecord[] = []
const noRules: readonly Rule[] = []

export function createLimits({ store, outage, now, calendars = createCalendars(), current }: LimitsDeps): Limits {
  const gauges = new Gauges()
  const slices = createSlices({ store, outage, now, calendars })

  function takeGauge(hold: Hold, rule: Rule, keyId: string | undefined): void {
    const { rate, concurrency } = rule
    if (!rate && concurrency === null) return
    const at = now()
    const gauge = gauges.of(rule.name, at)
    if (concurrency !== null && gauge.open >= concurrency) throw tooMany(rule)
    if (rate && rate.windowMs !== gauge.windowMs) {
      gauge.window = new SlidingWindow()
      gauge.windowMs = rate.windowMs
    }
    const state = rate && gauge.window.take(rate, at)
    if (state && !state.allowed) {
      hold.rate = state
      throw tooFast(rule, state.resetMs)
    }
    hold.rate = tighter(hold.rate, state)
    hold.addGauge({ gauge, rule, takenAtMs: at, keyId })
  }

  /** One after the other, so that what an earlier one refuses costs a later one nothing. */
  function takeCounts(hold: Hold, needs: readonly Need[], keyId: string | undefined, from = 0): MaybePromise<void> {
    for (let index = from; index < needs.length; index++) {
      const need = needs[index] as Need
      const held = takeCount(hold, need, keyId, need.rule.shadow)
      if (isPromise(held)) return held.then(() => takeCounts(hold, needs, keyId, index + 1))
    }
  }

  function takeCount(hold: Hold, need: Need, keyId: string | undefined, force: boolean): MaybePromise<void> {
    const { rule, counter, amount } = need
    const answer = slices.hold({
      tenant: counter.tenant,
      counter: counter.counter,
      window: counter.window,
      limit: counter.limit,
      amount,
      force,
    })
    const heard = ({ slice, isHeld }: { readonly slice: Slice; readonly isHeld: boolean }) => {
      if (counter.quantity === 'calls') hold.rate = tighter(hold.rate, stateOf(counter, slice, now()))
      if (!isHeld) throw exhausted(need, slice, now())
      hold.addCount({ rule, counter, slice, amount, keyId })
      if (force && slice.taken > counter.limit) hold.wouldRefuse ??= counter.quantity === 'calls' ? 'quota_exhausted' : 'budget_exhausted'
    }
    return isPromise(answer) ? answer.then(heard) : heard(answer)
  }

  function reserve(grant: LimitedGrant, limits: readonly LimitRecord[] = noLimits): MaybePromise<Hold> {
    const plan = planOf(grant, limits)
    const hold = new Hold(grant, plan, slices)
    if (plan.rules.length === 0) return hold
    try {
      for (const rule of plan.rules) takeGauge(hold, rule, undefined)
      if (plan.quotas.length === 0) return hold
      const taken = takeCounts(hold, plan.quotas, undefined)
      if (!isPromise(taken)) return hold
      return taken.then(
        () => hold,
        error => failed(hold, error),
      )
    } catch (error) {
      return failed(hold, error)
    }
  }

  function admit(hold: Hold, facts: CallFacts): MaybePromise<void> {
    const { plan } = hold
    const key = plan.keys.get(facts.keyId)
    if (plan.budgeted.length === 0 && plan.models.length === 0 && !key) return
    const needs: Need[] = []
    const own = rulesFor(hold, plan.models, facts)
    const ofKey = key ? [...key.rules, ...rulesFor(hold, key.models, facts)] : noRules
    for (const rule of own) takeGauge(hold, rule, undefined)
    for (const rule of ofKey) takeGauge(hold, rule, facts.keyId)
    for (const rule of own) needs.push(...quotasOf(rule))
    addBudgets(hold, needs, plan.budgeted, facts)
    addBudgets(hold, needs, own, facts)
    const taken = takeCounts(hold, needs, undefined)
    return isPromise(taken) ? taken.then(() => takeOfKey(hold, ofKey, facts)) : takeOfKey(hold, ofKey, facts)
  }

  function takeOfKey(hold: Hold, rules: readonly Rule[], facts: CallFacts): MaybePromise<void> {
    if (rules.length === 0) return
    const needs: Need[] = rules.flatMap(quotasOf)
    addBudgets(hold, needs, rules, facts)
    return takeCounts(hold, needs, facts.keyId)
  }

  function raise(hold: Hold, to: Spent, needed = lacking): MaybePromise<void> {
    if (needed(hold, to).length === 0) return
    // by a limit that was lowered meanwhile other processes may have drawn what the old one would allow
    const renewed = renew(hold)
    return isPromise(renewed)
      ? renewed.then(() => takeCounts(hold, needed(hold, to), undefined))
      : takeCounts(hold, needed(hold, to), undefined)
  }

  function lacking(hold: Hold, to: Spent): Need[] {
    const needs: Need[] = []
    const budgets = hold.budgets
    budgets.forEach(({ rule, counter }, index) => {
      if (counter.quantity === 'calls' || budgets.findIndex(other => other.counter.counter === counter.counter) !== index) return
      const amount = (to[counter.quantity] ?? 0) - hold.heldOf(counter)
      if (amount > 0) needs.push({ rule, counter, amount })
    })
    return needs
  }

  function more(hold: Hold, to: Spent): Need[] {
    return lacking(hold, to).map(need => ({ ...need, isMore: true }))
  }

  /** Measures it by the limits of this moment. Where they cannot be read, by those that are known. */
  function renew(hold: Hold): MaybePromise<void> {
    const heard = (found: Limited | undefined) => {
      if (found) hold.measureBy(planOf(found.grant, found.limits))
    }
    try {
      const found = current?.(hold.grant)
      return isPromise(found) ? found.then(heard, () => undefined) : heard(found)
    } catch {
      // what is under way is not refused for it
    }
  }

  function cover(hold: Hold, spent: Spent): MaybePromise<SoakpError | undefined> {
    try {
      const raised = raise(hold, spent, more)
      return isPromise(raised) ? raised.then(() => undefined, asRefusal) : undefined
    } catch (error) {
      return asRefusal(error)
    }
  }

  return {
    reserve,
    admit,
    raise,
    cover,

    admitKey(hold, facts) {
      const key = hold.plan.keys.get(facts.keyId)
      if (!key) return
      const rules = [...key.rules, ...rulesFor(hold, key.models, facts)]
      for (const rule of rules) takeGauge(hold, rule, facts.keyId)
      return takeOfKey(hold, rules, facts)
    },

    asks: ({ plan }, keyIds) => asksOf(plan, keyIds),

    look(grant, limits = noLimits) {
      let nearest: RateState | undefined
      for (const rule of planOf(grant, limits).rules) {
        const gauge = gauges.get(rule.name)
        if (rule.rate)
          nearest = tighter(nearest, (gauge?.windowMs === rule.rate.windowMs ? gauge.window : new SlidingWindow()).look(rule.rate, now()))
        for (const counter of rule.quotas) {
          const slice = slices.look(counter.counter)
          if (slice) nearest = tighter(nearest, stateOf(counter, slice, now()))
        }
      }
      return nearest
    },

    park: hold => parkHold(hold, slices.park),
    free(hold) {
      for (const { slice, amount } of hold.takeBudgets()) slices.settle(slice, amount, 0)
    },

    forget: slices.forget,
    takeChanges: slices.takeChanges,
    close: slices.close,
  }
}

function failed(hold: Hold, error: unknown): never {
  hold.release()
  throw error instanceof SoakpError ? withState(error, hold.rate) : error
}

/** A store that fails does not refuse what is under way: what it lacks is held when the store can. */
function asRefusal(error: unknown): SoakpError | undefined {
  return error instanceof SoakpError && error.code === 'budget_exhausted' ? error : undefined
}
