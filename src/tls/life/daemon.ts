import { setTimeout as sleep } from 'node:timers/promises'
import type { Logger } from 'pino'
import { SoakpError } from '../../errors.js'
import type { Run } from '../acme/patience.js'
import type { KeeperDeps } from './keeper.js'
import { listRecords } from './record.js'
import type { Renewal } from './renew.js'

export interface WatchOptions {
  readonly certsDir: string
  readonly log: Pick<Logger, 'info' | 'warn' | 'error' | 'debug'>
  readonly now: () => number
  /** How often it is looked whether anything is due. */
  readonly everyMs: number
  /** Opened for each look and closed after it, so that credentials are in memory no longer than they are used. */
  open(run: Run): Promise<KeeperDeps & { close(): void }>
}

export interface Watch {
  /** Stops what is under way; another process, or the next start, goes on with it. May be called again. */
  close(): Promise<void>
}

/** Not all daemons that were started by one power failure are to ask at the same second. */
const firstLookMs = 60_000
/** How long the daemon waits at its end for what is being cleaned up. */
const longestEndMs = 15_000

/** Renews certificates while the daemon runs: the same engine, lock and memory as `soakp cert renew`. */
export function watchCertificates({ certsDir, log, now, everyMs, open }: WatchOptions): Watch {
  const stop = new AbortController()
  const { signal } = stop

  async function look(): Promise<void> {
    // no record: nothing is loaded, opened or locked
    if (
      listRecords(certsDir, (error, name) => log.error({ err: error, name }, 'the settings of a certificate cannot be read')).length === 0
    )
      return
    // most daemons never come here: the engine is loaded by those that do
    const { renew } = await import('./renew.js')
    const run: Run = { now, signal, tell: line => log.debug({ line }, 'certificates') }
    const keeper = await open(run)
    try {
      const { renewals, hookFailures } = await renew(keeper)
      for (const renewal of renewals) tell(log, renewal)
      for (const { hook, why } of hookFailures) log.error({ hook, why }, 'a hook failed')
    } finally {
      keeper.close()
    }
  }

  async function watch(): Promise<void> {
    for (let waitMs = Math.random() * Math.min(everyMs, firstLookMs); ; waitMs = everyMs * (0.9 + Math.random() / 10)) {
      try {
        await sleep(waitMs, undefined, { signal, ref: false })
        await look()
      } catch (error) {
        if (signal.aborted) return
        const busy = error instanceof SoakpError && error.code === 'certificate_busy'
        if (busy) log.debug({ err: error }, 'another process works on the certificates')
        else log.error({ err: error }, 'certificates could not be looked after')
      }
    }
  }

  const watching = watch()
  return {
    async close() {
      stop.abort()
      const enough = new AbortController()
      // values in the DNS that are not removed by then are in the journal
      await Promise.race([watching, sleep(longestEndMs, undefined, { signal: enough.signal, ref: false }).catch(() => undefined)])
      enough.abort()
    },
  }
}

function tell(log: WatchOptions['log'], { name, names, outcome, notAfterMs, error, alarming, explanationUrl, atMs }: Renewal): void {
  const validUntil = notAfterMs === undefined ? undefined : new Date(notAfterMs).toISOString()
  const about = { name, names, validUntil }
  if (outcome === 'renewed') log.info(about, 'a certificate was renewed')
  if (outcome === 'failed') {
    const nextAttempt = atMs === undefined ? undefined : new Date(atMs).toISOString()
    log.error({ ...about, err: error, hint: error?.hint, nextAttempt }, 'a certificate was not renewed')
  }
  if (explanationUrl !== undefined && outcome !== 'renewed')
    log.warn({ ...about, explanationUrl }, 'the CA wants a certificate renewed early')
  if (alarming && outcome !== 'renewed') log.error(about, 'a certificate is about to end and was not renewed')
}
