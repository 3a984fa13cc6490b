import type { Settings } from '../config/settings.js'
import { SoakpError } from '../errors.js'
import type { Soakp } from '../soakp.js'
import type { Cli, SettingFlags } from './cli.js'
import type { Terminal } from './terminal.js'

/** The heavy parts, loaded when a command first needs them. */
export interface Parts {
  settings(flags: SettingFlags): Promise<Settings>
  open(settings: Settings): Promise<Soakp>
  now(): number
}

/** The options that stand before or after any command. */
export interface GlobalOptions {
  readonly home?: string
  readonly json?: boolean
}

/** The `Cli` of one command line, and its end. */
export interface Session extends Cli {
  close(): Promise<void>
}

export function createSession(terminal: Terminal, globals: () => GlobalOptions, parts: Parts): Session {
  let opened: Promise<Soakp> | undefined
  const settings = (flags: SettingFlags = {}) => parts.settings({ home: globals().home, ...flags })
  return {
    get json() {
      return globals().json === true
    },
    settings,
    open: flags => {
      opened ??= settings(flags).then(parts.open)
      return opened
    },
    readSecret: terminal.readSecret,
    confirm: terminal.confirm,
    result(json, text) {
      if (globals().json) terminal.out(JSON.stringify(json, null, 2))
      else if (text !== '') terminal.out(text)
    },
    note(text) {
      if (!globals().json) terminal.note(text)
    },
    warn: terminal.note,
    now: parts.now,
    async close() {
      // what could not be opened has nothing to close
      const soakp = await opened?.catch(() => undefined)
      await soakp?.close()
    },
  }
}

/** For commands whose option has no effect together with another. */
export function exclude(first: unknown, firstName: string, second: unknown, secondName: string): void {
  if (first !== undefined && first !== false && second !== undefined && second !== false) {
    throw new SoakpError('usage', `${firstName} and ${secondName} exclude each other.`)
  }
}
