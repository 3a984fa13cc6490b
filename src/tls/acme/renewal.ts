import type { RenewalInfo, RenewalWindow } from './ari.js'

/** What is remembered of a CA's wishes between runs: plain data. */
export interface AriState {
  readonly window: RenewalWindow
  /** The moment drawn from the window, once; it stays while the window does. */
  readonly chosenMs: number
  readonly explanationUrl: string | undefined
  /** The CA is not asked again before. */
  readonly nextCheckMs: number
}

export interface Lifetime {
  readonly notBeforeMs: number
  readonly notAfterMs: number
}

/** Why a certificate is renewed when it is. */
export type RenewalReason =
  /** The moment drawn from the CA's window has come. */
  | 'window'
  /** The CA's window is over already: it was revoked, or it will be. */
  | 'overdue'
  /** No word from the CA: a share of the certificate's own lifetime. */
  | 'lifetime'
  /** So little is left that nobody's wishes count. */
  | 'emergency'
  | 'expired'

export interface RenewalPlan {
  readonly due: boolean
  readonly reason: RenewalReason
  /** When it is due, or was. */
  readonly atMs: number
  /** So close to the end that people have to be told loudly. */
  readonly alarming: boolean
}

const dayMs = 86_400_000
/** Below this a certificate lives so shortly that a third of its life is too little to mend anything in. */
const shortLifeMs = 10 * dayMs
/** Shares of the lifetime that are left. certmagic's: whatever a CA says, this late it is renewed, and this late everybody should know. */
const emergencyShare = 1 / 20
const alarmShare = 1 / 50

/** When a CA is asked again after it gave no answer. */
const retryMs = 3_600_000

/** The state after an answer: a moment is drawn anew only where the window moved. */
export function afterAnswer(before: AriState | undefined, info: RenewalInfo, nowMs: number, random: () => number): AriState {
  const { window, explanationUrl } = info
  const same = before !== undefined && before.window.startMs === window.startMs && before.window.endMs === window.endMs
  const chosenMs = same ? before.chosenMs : Math.floor(window.startMs + (window.endMs - window.startMs) * random())
  return { window, chosenMs, explanationUrl, nextCheckMs: nowMs + info.retryAfterMs }
}

/** The state after no answer: what was known goes on to count. */
export function afterSilence(before: AriState | undefined, nowMs: number, askedToWaitMs = retryMs): AriState | undefined {
  return before === undefined ? undefined : { ...before, nextCheckMs: nowMs + Math.min(Math.max(askedToWaitMs, 60_000), dayMs) }
}

/**
 * When to renew. `nextLookMs` is when somebody looks again: what falls due before that is due now, so that a run twice a day does not come too late for a window of
 * an hour. Never a fixed number of days: lifetimes shrink.
 */
export function planRenewal(life: Lifetime, ari: AriState | undefined, nowMs: number, nextLookMs: number = nowMs): RenewalPlan {
  const wholeMs = life.notAfterMs - life.notBeforeMs
  const leftMs = life.notAfterMs - nowMs
  const alarming = leftMs < wholeMs * alarmShare
  if (leftMs <= 0) return { due: true, reason: 'expired', atMs: life.notAfterMs, alarming }
  const emergencyMs = life.notAfterMs - wholeMs * emergencyShare
  const usualMs = life.notAfterMs - wholeMs * (wholeMs < shortLifeMs ? 1 / 2 : 1 / 3)
  const wanted = ari === undefined ? usualMs : ari.chosenMs
  if (emergencyMs <= wanted) return { due: nextLookMs >= emergencyMs, reason: 'emergency', atMs: emergencyMs, alarming }
  if (nowMs >= emergencyMs) return { due: true, reason: 'emergency', atMs: emergencyMs, alarming }
  const reason = ari === undefined ? 'lifetime' : ari.window.endMs < nowMs ? 'overdue' : 'window'
  return { due: nextLookMs >= wanted, reason, atMs: wanted, alarming }
}
