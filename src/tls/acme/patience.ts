import { setTimeout as sleep } from 'node:timers/promises'
import { SoakpError } from '../../errors.js'
import { AcmeError } from './problem.js'
import { isUntrusted } from './transport.js'

/** What every part of the engine gets from outside. */
export interface Run {
  readonly now: () => number
  /** Ends what is under way; what was reached is on disk, and a later run goes on from there. */
  readonly signal: AbortSignal
  /** One line for a person who waits. Never a secret. */
  readonly tell: (line: string) => void
  /** Between 0 and 1; `Math.random` unless told. */
  readonly random?: () => number
  /** The longest that is waited for a CA that asks for it, before its error is passed on. 60 s unless told. */
  readonly maxWaitMs?: number
}

const defaultMaxWaitMs = 60_000
const usualAttempts = 5

/** Waits; rejects with `cancelled` when the run is stopped. */
export async function pause(ms: number, signal: AbortSignal): Promise<void> {
  try {
    await sleep(ms, undefined, { signal })
  } catch {
    throw new SoakpError('cancelled')
  }
}

/**
 * Does `work`, again where it failed for a reason that passes: no answer, 5xx, or a CA that asks to wait no longer than we are ready to. Five times unless told.
 */
export async function patiently<T>(
  run: Run,
  work: () => Promise<T>,
  isWorthRetrying: (error: AcmeError) => boolean = passes,
  attempts: number = usualAttempts,
): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await work()
    } catch (error) {
      if (!(error instanceof AcmeError) || attempt === attempts || !isWorthRetrying(error)) throw error
      const waitMs = waitFor(error, attempt, run)
      if (waitMs === undefined) throw error
      run.tell(`${error.detail ?? error.message} Trying again in ${Math.ceil(waitMs / 1000)} s`)
      await pause(waitMs, run.signal)
    }
  }
}

/** Whether the reason may be gone a moment later. */
export function passes(error: AcmeError): boolean {
  return error.code !== 'acme_refused' && !isUntrusted(error)
}

function waitFor(error: AcmeError, attempt: number, { random = Math.random, maxWaitMs = defaultMaxWaitMs }: Run): number | undefined {
  const asked = error.problem.retryAfterSeconds
  // a little later than asked, not all at the same moment
  if (asked !== undefined) return asked * 1000 > maxWaitMs ? undefined : asked * 1000 + random() * 500
  if (error.code === 'acme_rate_limited') return undefined
  return Math.min(1000 * 2 ** (attempt - 1) * (0.5 + random() / 2), maxWaitMs)
}

/**
 * Looks until `look` answers something else than undefined: soon at first, then every few seconds, or as the CA's `Retry-After` says. Throws what
 * `late` makes when the time is over.
 */
export async function poll<T>(
  run: Run,
  timeoutMs: number,
  look: () => Promise<{ readonly done: T } | { readonly retryAfterSeconds: number | undefined }>,
  late: () => Error,
): Promise<T> {
  const deadline = run.now() + timeoutMs
  for (let waitMs = 200; ; waitMs = Math.min(waitMs * 1.6, 5_000)) {
    const seen = await look()
    if ('done' in seen) return seen.done
    const askedMs = Math.min((seen.retryAfterSeconds ?? 0) * 1000, 30_000)
    const nextMs = Math.max(waitMs, askedMs)
    if (run.now() + nextMs > deadline) throw late()
    await pause(nextMs, run.signal)
  }
}
