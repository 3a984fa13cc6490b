import { join } from 'node:path'
import type { Settings } from '../config/settings.js'
import { SoakpError } from '../errors.js'
import type { Keeper } from '../keeper.js'
import type { Cli } from './cli.js'

/** The settings of a home that is there. Throws `home_missing`. */
export async function homeSettings(cli: Cli): Promise<Settings> {
  const settings = await cli.settings()
  const { homeIsThere } = await import('../home.js')
  if (!homeIsThere(settings)) throw new SoakpError('home_missing', settings.home, { hint: 'make one with `soakp init`' })
  return settings
}

/** The same, for a command that writes into the home. Throws `home_of_another` too. */
export async function homeToWrite(cli: Cli): Promise<Settings> {
  const settings = await homeSettings(cli)
  const { refuseForeignRoot } = await import('../home.js')
  refuseForeignRoot(settings)
  return settings
}

export async function certsDirOf(cli: Cli): Promise<string> {
  return join((await homeSettings(cli)).home, 'certs')
}

export async function certsDirToWrite(cli: Cli): Promise<string> {
  return join((await homeToWrite(cli)).home, 'certs')
}

export interface KeeperRun {
  /** Says nothing on the way. */
  readonly quiet?: boolean | undefined
  /** Waited before anything is done, so that not every machine asks at the same moment; ends early when the process is told to end. */
  readonly waitMs?: number | undefined
}

/** Work on certificates that a signal stops in order: what was begun lies on disk, and the next run goes on with it. */
export async function withKeeper<T>(cli: Cli, { quiet = false, waitMs = 0 }: KeeperRun, work: (keeper: Keeper) => Promise<T>): Promise<T> {
  const settings = await homeToWrite(cli)
  const [{ openKeeper }, { pause }] = await Promise.all([import('../keeper.js'), import('../tls/acme/patience.js')])
  const stop = new AbortController()
  const told = () => stop.abort()
  process.on('SIGTERM', told).on('SIGINT', told)
  try {
    if (waitMs > 0) await pause(waitMs, stop.signal)
    const run = { now: cli.now, signal: stop.signal, tell: (line: string) => (quiet ? undefined : cli.note(line)) }
    const keeper = await openKeeper(settings, { ...run, attended: cli.interactive })
    try {
      return await work(keeper)
    } finally {
      keeper.close()
    }
  } finally {
    process.off('SIGTERM', told).off('SIGINT', told)
  }
}

/** A yes from a terminal, or `--yes`. */
export async function agreed(cli: Cli, yes: boolean | undefined, question: string, what: string): Promise<void> {
  if (yes || (await cli.confirm(question))) return
  if (cli.interactive) throw new SoakpError('cancelled')
  throw new SoakpError('usage', `${what} has to be confirmed, and there is no terminal to ask.`, { hint: 'add --yes' })
}
