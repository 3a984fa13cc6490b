import type { SoakpError } from '../../errors.js'
import { AcmeError, clean } from '../acme/problem.js'
import type { CertificateState } from './record.js'

const minuteMs = 60_000
const dayMs = 24 * 60 * minuteMs

/** Minutes between attempts, as Let's Encrypt's integration guide asks: 1, 10, 100, then daily. */
const steps = [1, 10, 100]

/** The state after a failure: when to try again, remembered by whoever tries next. A CA that asks to wait longer is heard. */
export function afterFailure(state: CertificateState, error: SoakpError, nowMs: number): CertificateState {
  const stepMs = (steps[state.attempts] ?? dayMs / minuteMs) * minuteMs
  const askedMs = (error.retryAfterSeconds ?? 0) * 1000
  return {
    ...state,
    attempts: state.attempts + 1,
    notBeforeMs: nowMs + Math.max(stepMs, askedMs),
    lastError: {
      type: error instanceof AcmeError ? error.problem.type : error.code,
      detail: clean(error.message),
      atMs: nowMs,
    },
  }
}
