import { SoakpError } from '../../errors.js'
import { accountFiles } from '../acme/account-files.js'
import { certId, fetchRenewalInfo } from '../acme/ari.js'
import { newKey } from '../acme/keys.js'
import { type AriState, afterAnswer, afterSilence, planRenewal, type RenewalReason } from '../acme/renewal.js'
import { openSession } from '../acme/session.js'
import type { KeeperDeps } from './keeper.js'
import { type LiveCertificate, liveCertificate } from './live.js'
import type { CertificateRecord } from './record.js'

/** Whether a certificate is to be renewed now, and why, or when and why. */
export interface Due {
  readonly due: boolean
  readonly reason: RenewalReason | 'missing' | 'names' | 'revoked' | 'unusable'
  readonly atMs: number
  /** So little is left of its life that everybody should know. */
  readonly alarming: boolean
}

const halfDayMs = 43_200_000
/** How long a CA may take to say when; a renewal that is due does not wait for it. */
const askMs = 10_000

/** By what is on disk alone; asks nobody. */
export function dueOf(certsDir: string, { name, wishes, state }: CertificateRecord, nowMs: number): Due {
  const live = liveCertificate(certsDir, name)
  if (live === undefined) return { due: true, reason: 'missing', atMs: nowMs, alarming: false }
  const plan = planRenewal(live, ariOf(state.ari, state.issuedBy, live), nowMs, nextLook(live, state.ari, nowMs))
  const now = { due: true, atMs: nowMs, alarming: plan.alarming }
  if (state.revoked?.fingerprint === live.fingerprint) return { ...now, reason: 'revoked' }
  if (live.keyFits === false) return { ...now, reason: 'unusable' }
  if (!sameNames(live.names, wishes.names)) return { ...now, reason: 'names' }
  return plan
}

/** What a CA said about one certificate says nothing of another. */
function ariOf(ari: AriState | undefined, issuedBy: CertificateRecord['state']['issuedBy'], live: LiveCertificate): AriState | undefined {
  return issuedBy?.fingerprint === live.fingerprint ? ari : undefined
}

/**
 * Whoever looks twice a day must not come too late for a window of an hour: within a window that is open, or closes before the next look, what is due soon is due now. A
 * window that has not begun is not anticipated, because a CA lifts its limits within it only.
 */
function nextLook({ notBeforeMs, notAfterMs }: LiveCertificate, ari: AriState | undefined, nowMs: number): number {
  if (ari === undefined || ari.window.startMs > nowMs) return nowMs
  return nowMs + Math.min(halfDayMs, (notAfterMs - notBeforeMs) / 20)
}

function sameNames(a: readonly string[], b: readonly string[]): boolean {
  const [left, right] = [new Set(a), new Set(b)]
  return left.size === right.size && [...left].every(name => right.has(name))
}

/** Asks the CA when it wishes the renewal, where it is time to ask. Answers what is known afterwards; no answer changes nothing and stops nothing. */
export async function askWhen(deps: KeeperDeps, { name, state }: CertificateRecord): Promise<AriState | undefined> {
  const { run, certsDir, transport } = deps
  const live = liveCertificate(certsDir, name)
  const { ari, issuedBy } = state
  if (live === undefined || issuedBy === undefined || issuedBy.fingerprint !== live.fingerprint) return undefined
  if (ari !== undefined && ari.nextCheckMs > run.now()) return ari
  const id = certId(live.fullchain)
  if (id === undefined) return undefined
  const signal = AbortSignal.any([run.signal, AbortSignal.timeout(askMs)])
  try {
    const { directoryUrl } = issuedBy
    // the question is not signed; a session wants some key
    const accountKey = accountFiles(certsDir, directoryUrl).key() ?? (await newKey('p256'))
    const session = await openSession({ directoryUrl, accountKey, transport, run: { ...run, signal, tell: () => {}, maxWaitMs: 2_000 } })
    const info = await fetchRenewalInfo(session, id, run.now())
    return info === undefined ? undefined : afterAnswer(ari, info, run.now(), run.random ?? Math.random)
  } catch (error) {
    if (!(error instanceof SoakpError) || run.signal.aborted) throw error
    run.tell(`${name}: the CA does not say when to renew (${error.code}); going by what is known`)
    return afterSilence(ari, run.now(), error.retryAfterSeconds === undefined ? undefined : error.retryAfterSeconds * 1000)
  }
}
