import type { Logger } from 'pino'
import { SoakpError } from '../errors.js'
import type { Soakp } from '../soakp.js'
import type { Certificates } from '../tls/certificates.js'
import type { Served } from './listen.js'

export interface SessionOptions {
  readonly log: Logger
  readonly served: Served
  readonly soakp: Pick<Soakp, 'close'>
  readonly certificates: Certificates | undefined
  /** SIGHUP says that the terminal is gone, and ends the daemon as SIGTERM does. Else it reads the certificate again. */
  readonly hangupEnds?: boolean
}

/** How long the end may take after something went wrong that nobody foresaw. */
const brokenEndMs = 5_000

/** Exit code of a process that was told twice to end, as shells write an interrupt. */
const impatientExit = 130

/**
 * Keeps the daemon until it is told to end, then ends it in order: no new calls, the ones under way finish, what is cut is recorded, the store is closed. Resolves with
 * the exit code. SIGUSR1 does nothing (Node would open its inspector, which shows all of memory to whoever connects).
 */
export async function untilEnded({ log, served, soakp, certificates, hangupEnds = false }: SessionOptions): Promise<number> {
  refuseDiagnostics()
  const { promise, resolve } = withResolvers<number>()
  let ending = false

  async function end(exit: number): Promise<void> {
    ending = true
    try {
      await served.close()
      await soakp.close()
      log.info({ exit }, 'ended')
      resolve(exit)
    } catch (error) {
      log.error({ err: error }, 'could not end in order')
      resolve(exit === 0 ? 70 : exit)
    }
  }

  function told(signal: NodeJS.Signals): void {
    if (ending) {
      log.warn({ signal }, 'told twice, ending at once')
      process.exit(impatientExit)
    }
    log.info({ signal }, 'ending; a second signal ends at once')
    void end(0)
  }

  function broken(error: unknown): void {
    log.fatal(
      { err: error instanceof Error ? error : new SoakpError('internal', undefined, { cause: error }) },
      'ending: something went wrong that must not happen',
    )
    setTimeout(() => process.exit(70), brokenEndMs).unref()
    if (!ending) void end(70)
  }

  function reload(): void {
    certificates?.reload().catch((error: unknown) => log.error({ err: error }, 'the certificate was not read again'))
  }

  const hangup = hangupEnds ? told : reload
  process.on('SIGTERM', told)
  process.on('SIGINT', told)
  process.on('SIGHUP', hangup)
  process.on('uncaughtException', broken)
  process.on('unhandledRejection', broken)
  return promise.finally(() => {
    process.off('SIGTERM', told)
    process.off('SIGINT', told)
    process.off('SIGHUP', hangup)
    process.off('uncaughtException', broken)
    process.off('unhandledRejection', broken)
  })
}

/** Keeps Node from writing memory anywhere on request or on failure. */
export function refuseDiagnostics(): void {
  if (process.listenerCount('SIGUSR1') === 0) process.on('SIGUSR1', () => {})
  process.report.reportOnSignal = false
  process.report.reportOnFatalError = false
  process.report.reportOnUncaughtException = false
}

function withResolvers<T>(): { promise: Promise<T>; resolve: (value: T) => void } {
  let resolve: (value: T) => void = () => {}
  const promise = new Promise<T>(settle => {
    resolve = settle
  })
  return { promise, resolve }
}
