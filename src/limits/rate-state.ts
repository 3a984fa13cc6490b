import type { SoakpError } from '../errors.js'
import type { RateState } from './rate.js'
import type { CounterRule } from './rules.js'

/** Where a quota stands. */
export function stateOf(
  { limit }: CounterRule,
  { taken, windowEndMs }: { readonly taken: number; readonly windowEndMs: number },
  now: number,
): RateState {
  const remaining = Math.max(0, limit - taken)
  return { allowed: remaining > 0, limit, remaining, resetMs: Math.max(0, windowEndMs - now) }
}

/** The one that leaves less. */
export function tighter(a: RateState | undefined, b: RateState | undefined): RateState | undefined {
  return a && b ? (b.remaining < a.remaining ? b : a) : (a ?? b)
}

const statesOfRefusals = new WeakMap<SoakpError, RateState>()

/** Keeps with a refusal where the limit stood. */
export function withState(error: SoakpError, rate: RateState | undefined): SoakpError {
  if (rate) statesOfRefusals.set(error, rate)
  return error
}

/** Where the limit stood that refused the call. */
export function stateOfRefusal(error: SoakpError): RateState | undefined {
  return statesOfRefusals.get(error)
}
