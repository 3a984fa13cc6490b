import type { Logger } from 'pino'
import type { Settings } from '../config/settings.js'
import type { Secret } from '../lib/secret.js'
import type { Soakp } from '../soakp.js'
import type { LogSink } from './terminal.js'

/** Settings given as flags, as text, by their names in `Settings`. They win over the environment and the home's `.env`. */
export type SettingFlags = Partial<Readonly<Record<keyof Settings, string | undefined>>>

/** Where a secret is read from; neither: a hidden prompt. Both at once is a usage error. */
export interface SecretSource {
  /** Name of an environment variable. */
  readonly fromEnv?: string | undefined
  readonly stdin?: boolean | undefined
  /** A password may hold blanks and letters of any language; a key is visible ASCII. Its flags are `--password-env` and `--password-stdin`. */
  readonly isPassword?: boolean | undefined
}

/** What a command may do to the outside: read settings, open the home, ask, print. */
export interface Cli {
  /** `--json`: one JSON document on stdout, and nothing else there. */
  readonly json: boolean
  /** Whether a person reads stderr. */
  readonly interactive: boolean
  /** Where the daemon's log goes. */
  readonly log: LogSink
  /** Read once: the flags of the first call count. */
  settings(flags?: SettingFlags): Promise<Settings>
  /** Opens the home, once; `main` closes it when the command is done. Without a log, what is not an error of the command is told to nobody. */
  open(log?: Logger): Promise<Soakp>
  /** Closes it earlier. */
  close(): Promise<void>
  /** Without its trailing newline. Throws `usage` when it is empty or holds what it cannot hold: `isPassword`. */
  readSecret(label: string, source: SecretSource): Promise<Secret>
  /** Asks yes or no on a terminal; without one the answer is no. */
  confirm(question: string): Promise<boolean>
  /** The outcome, on stdout: the JSON document under `--json`, else the text, where there is any. Called once. */
  result(json: unknown, text: string): void
  /** A piece of an outcome that is too large to be held, on stdout as it is: instead of `result`. Resolves when there is room for more, with false where nobody reads any longer. */
  write(text: string): Promise<boolean>
  /** A line for people, on stderr; left out under `--json`. */
  note(text: string): void
  /** A line for people that matters under `--json` too, on stderr. */
  warn(text: string): void
  /** Epoch milliseconds. */
  now(): number
}
