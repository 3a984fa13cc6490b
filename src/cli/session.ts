import type { Logger } from 'pino'
import type { Settings } from '../config/settings.js'
import type { Soakp } from '../soakp.js'
import type { Cli, SettingFlags } from './cli.js'
import type { Terminal } from './terminal.js'

/** The heavy parts, loaded when a command first needs them. */
export interface Parts {
  settings(flags: SettingFlags): Promise<Settings>
  open(settings: Settings, log: Logger | undefined): Promise<Soakp>
  now(): number
}

/** The options that stand before or after any command. */
export interface GlobalOptions {
  readonly home?: string
  readonly json?: boolean
}

/** The `Cli` of one command line. */
export function createSession(terminal: Terminal, globals: () => GlobalOptions, parts: Parts): Cli {
  let read: Promise<Settings> | undefined
  let opened: Promise<Soakp> | undefined
  const settings = (flags: SettingFlags = {}) => {
    read ??= parts.settings({ home: globals().home, ...flags })
    return read
  }
  return {
    get json() {
      return globals().json === true
    },
    interactive: terminal.interactive,
    log: terminal.log,
    settings,
    open: log => {
      opened ??= settings().then(read => parts.open(read, log))
      return opened
    },
    async close() {
      const closing = opened
      opened = undefined
      // what could not be opened has nothing to close
      await (await closing?.catch(() => undefined))?.close()
    },
    readSecret: terminal.readSecret,
    confirm: terminal.confirm,
    result(json, text) {
      if (globals().json) terminal.out(JSON.stringify(json, null, 2))
      else if (text !== '') terminal.out(text)
    },
    write: terminal.write,
    note(text) {
      if (!globals().json) terminal.note(text)
    },
    warn: terminal.note,
    now: parts.now,
  }
}
