import { SoakpError } from '../errors.js'
import { formatAmount } from '../lib/terms.js'
import type { Need, Rule } from './rules.js'
import type { Slice } from './slice.js'

/** A client's own retries within this time can help; for longer ones it is told to leave it. */
const longestRetrySeconds = 60

/** Why a quota or a budget lets a call not go: which limit it is, what of it is left, and when it opens again. */
export function exhausted({ rule: { whose }, counter, amount, isMore }: Need, slice: Slice, now: number): SoakpError {
  const { quantity, text, window, limit } = counter
  const code = quantity === 'calls' ? 'quota_exhausted' : 'budget_exhausted'
  const spent = slice.others + slice.used
  const allows = `${whose} has ${text}`
  if (amount > limit && !isMore) {
    return new SoakpError(code, `${allows}; this call alone could take ${formatAmount(quantity, amount)}.`, {
      isRetryable: false,
      ...(quantity === 'calls' ? {} : { hint: 'ask for less output, or send less input' }),
    })
  }
  const state = `${allows}: ${formatAmount(quantity, spent)} used, ${formatAmount(quantity, slice.held)} held by open calls`
  const asked = quantity === 'calls' || isMore ? '' : `, and this call could take ${formatAmount(quantity, amount)}`
  // open calls give back what they do not use
  if (spent + amount <= limit && !isMore)
    return new SoakpError(code, `${state}${asked}. Some may be free again when those end.`, { retryAfterSeconds: 1 })
  if (window === 'total') return new SoakpError(code, `${state}${asked}. It does not open again by itself.`, { isRetryable: false })
  const seconds = Math.max(1, Math.ceil((slice.windowEndMs - now) / 1000))
  return new SoakpError(code, `${state}${asked}. It opens again at ${new Date(slice.windowEndMs).toISOString().slice(0, 16)}Z.`, {
    retryAfterSeconds: seconds,
    isRetryable: seconds <= longestRetrySeconds,
  })
}

export function tooFast({ whose, rateText }: Rule, resetMs: number): SoakpError {
  return new SoakpError('rate_limited', `${whose} allows ${rateText}.`, { retryAfterSeconds: Math.max(1, Math.ceil(resetMs / 1000)) })
}

export function tooMany({ whose, concurrency }: Rule): SoakpError {
  return new SoakpError('concurrency_limited', `${whose} allows ${concurrency}.`, { retryAfterSeconds: 1 })
}
