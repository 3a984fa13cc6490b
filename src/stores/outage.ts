import { SoakpError } from '../errors.js'
import type { MaybePromise } from '../lib/maybe.js'

/**
 * Whether the store can be written, as far as is known. One for all who write in a process: a store that fails is tried now and then by one of them and not by every call, because each try of a
 * locked one stops the event loop while it waits.
 */
export interface Outage {
  /** From a failed write until all that waited for the store is written. */
  readonly isOn: boolean
  /** When the last one began, in epoch milliseconds. */
  readonly sinceMs: number
  /** The operator's choice: calls go on meanwhile, counted in memory. */
  readonly goesOn: boolean
  /** What calls are refused with meanwhile. */
  readonly refusal: SoakpError
  begin(error: unknown): void
  /** What has to succeed for it to be over, in the order that it was added; tried again from the first one on when one fails. */
  endsWith(step: () => MaybePromise<void>): void
  /** Tries now, rather than when it is time again. Never rejects; `isOn` tells. */
  tryAgain(): Promise<void>
  /** No more tries. */
  stop(): void
}

export interface OutageDeps {
  readonly goesOn: boolean
  /** Throws or rejects while nothing can be written. */
  readonly probe: () => MaybePromise<void>
  readonly log: OutageLog
  /** Epoch milliseconds. */
  readonly now: () => number
}

interface OutageLog {
  error(facts: object, message: string): void
  info(facts: object, message: string): void
}

const firstTryMs = 100
const longestTryMs = 5000

export function createOutage({ goesOn, probe, log, now }: OutageDeps): Outage {
  const steps: (() => MaybePromise<void>)[] = [probe]
  let isOn = false
  let sinceMs = 0
  let cause: unknown
  let waitMs = firstTryMs
  let timer: NodeJS.Timeout | undefined
  let isTrying = false
  let isStopped = false

  function schedule(): void {
    if (isStopped) return
    timer = setTimeout(tryAgain, waitMs)
    timer.unref()
  }

  async function tryAgain(): Promise<void> {
    clearTimeout(timer)
    if (!isOn || isTrying) return
    isTrying = true
    try {
      for (const step of steps) await step()
    } catch (error) {
      cause = error
      waitMs = Math.min(waitMs * 2, longestTryMs)
      schedule()
      return
    } finally {
      isTrying = false
    }
    isOn = false
    log.info({ seconds: Math.round((now() - sinceMs) / 1000) }, 'the store is written again; nothing was lost')
  }

  return {
    get isOn() {
      return isOn
    },
    get sinceMs() {
      return sinceMs
    },
    goesOn,
    get refusal() {
      const code = cause instanceof SoakpError && cause.code.startsWith('store_') ? cause.code : 'store_unavailable'
      return new SoakpError(code, undefined, { retryAfterSeconds: 1, cause })
    },
    begin(error) {
      if (isOn) return
      isOn = true
      sinceMs = now()
      cause = error
      waitMs = firstTryMs
      log.error(
        { err: error },
        goesOn
          ? 'the store cannot be written; calls go on, counted in memory, until it can'
          : 'the store cannot be written; new calls are refused until it can',
      )
      schedule()
    },
    endsWith(step) {
      steps.push(step)
    },
    tryAgain,
    stop() {
      isStopped = true
      clearTimeout(timer)
    },
  }
}

/** The store's trouble, not a mistake in what it was asked. */
export function isStoreTrouble(error: unknown): boolean {
  return !(error instanceof SoakpError) || error.code.startsWith('store_')
}
