import { SoakpError } from '../errors.js'
import { BoundedMap } from '../lib/bounded-map.js'
import { parseRate, type Rate } from '../lib/rate.js'
import type { GrantRecord } from '../stores/records.js'
import { type RateState, SlidingWindow } from './rate.js'

/** What is reserved of a grant's limits before a call leaves. Exactly one of the two endings counts; later ones do nothing. */
export interface Hold {
  /** Where the grant's rate stands, if it has one. */
  readonly rate: RateState | undefined
  /** The call happened. */
  settle(): void
  /** The call never reached a provider: it gives its place back. */
  release(): void
}

export interface Limits {
  /** Reserves, or throws `rate_limited` or `concurrency_limited` with how long to wait. Checking and taking are one step: racing calls cannot both have the last place. */
  reserve(grant: LimitedGrant): Hold
  /** Where its rate stands; nothing is taken. Undefined: it has none. */
  look(grant: LimitedGrant): RateState | undefined
}

/** A grant has its limits; that of an app's user has the app's above them, which all its users share. */
type LimitedGrant = Pick<GrantRecord, 'id' | 'rate' | 'concurrency' | 'app'>
type Limited = Pick<GrantRecord, 'id' | 'rate' | 'concurrency'>

interface GrantState {
  window: SlidingWindow
  /** Its slots are fractions of this; a rate over another length counts anew. */
  windowMs: number
  open: number
  /** Held or used since then; a state that nothing refers to any more is dropped. */
  usedAtMs: number
}

const sweepEvery = 10_000

export function createLimits(now: () => number): Limits {
  const states = new Map<string, GrantState>()
  const rates = new BoundedMap<string, Rate>(1000)
  let sinceSweep = 0

  function rateOf(text: string): Rate {
    const known = rates.get(text)
    if (known) return known
    const rate = parseRate(text)
    // a rule that cannot be read refuses, it does not open
    if (!rate) throw new SoakpError('internal', `The rate ${text} cannot be read.`)
    rates.set(text, rate)
    return rate
  }

  function stateOf(grantId: string, at: number): GrantState {
    let state = states.get(grantId)
    if (!state) {
      if (++sinceSweep >= sweepEvery) sweep(at)
      state = { window: new SlidingWindow(), windowMs: 0, open: 0, usedAtMs: at }
      states.set(grantId, state)
    }
    state.usedAtMs = at
    return state
  }

  /** Only states that no window can still need are dropped: the longest window is a day. */
  function sweep(at: number): void {
    sinceSweep = 0
    for (const [id, state] of states) if (state.open === 0 && at - state.usedAtMs > 2 * 86_400_000) states.delete(id)
  }

  function take({ id, rate: text, concurrency }: Limited, whose: string): Hold {
    if (text === null && concurrency === null) return unlimited
    const at = now()
    const state = stateOf(id, at)
    if (concurrency !== null && state.open >= concurrency) {
      throw new SoakpError('concurrency_limited', `${whose} allows ${concurrency}.`, { retryAfterSeconds: 1 })
    }
    const rate = text === null ? undefined : rateOf(text)
    if (rate && rate.windowMs !== state.windowMs) {
      state.window = new SlidingWindow()
      state.windowMs = rate.windowMs
    }
    const { window } = state
    const taken = rate && window.take(rate, at)
    if (taken && !taken.allowed) {
      throw new SoakpError('rate_limited', `${whose} allows ${text}.`, { retryAfterSeconds: Math.max(1, Math.ceil(taken.resetMs / 1000)) })
    }
    state.open++
    let held = true
    return {
      rate: taken,
      settle() {
        if (held) state.open--
        held = false
      },
      release() {
        if (!held) return
        held = false
        state.open--
        if (rate) window.giveBack(rate, at)
      },
    }
  }

  function look({ id, rate: text }: Limited): RateState | undefined {
    const rate = text === null ? undefined : rateOf(text)
    const state = states.get(id)
    return rate && (state?.windowMs === rate.windowMs ? state.window : new SlidingWindow()).look(rate, now())
  }

  return {
    reserve(grant) {
      const own = take(grant, 'It')
      const { app } = grant
      if (!app || (app.rate === null && app.concurrency === null)) return own
      try {
        return both(own, take(app, 'For all its users together, the app'))
      } catch (error) {
        own.release()
        throw error
      }
    },

    look(grant) {
      return tighter(look(grant), grant.app && look(grant.app))
    },
  }
}

/** A user's and the app's: a call needs a place in either. */
function both(own: Hold, above: Hold): Hold {
  return {
    rate: tighter(own.rate, above.rate),
    settle() {
      own.settle()
      above.settle()
    },
    release() {
      own.release()
      above.release()
    },
  }
}

function tighter(a: RateState | undefined, b: RateState | undefined): RateState | undefined {
  return a && b ? (b.remaining < a.remaining ? b : a) : (a ?? b)
}

const unlimited: Hold = { rate: undefined, settle() {}, release() {} }
