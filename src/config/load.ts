import { homedir } from 'node:os'
import { join, resolve } from 'node:path'
import { SoakpError } from '../errors.js'
import { closest } from './closest.js'
import { readEnvFile } from './env-file.js'
import { type Setting, schema, settingNames } from './schema.js'
import type { Settings } from './settings.js'
import { Refusal } from './types.js'

/** Settings given on the command line, as text, by their name in `Settings`; an absent one leaves the decision to the environment. */
export type Flags = Partial<Readonly<Record<keyof Settings, string | undefined>>>

export interface LoadOptions {
  /** Default: the environment of the process. A master key is taken out of it. */
  readonly env?: Record<string, string | undefined>
  /** `--home`. Default: `SOAKP_HOME`, else `~/.soakp`. */
  readonly home?: string | undefined
  readonly flags?: Flags
}

/** A value and where it came from: relative paths are relative to `base`. */
interface Given {
  readonly text: string
  readonly source: string
  readonly base: string
}

type Sources = Map<string, Given>

/** Where the home is, without reading anything in it. A relative one is relative to the working directory. */
export function homeOf({ env = process.env, home }: Pick<LoadOptions, 'env' | 'home'> = {}): string {
  return resolve(home || env.SOAKP_HOME || join(homedir(), '.soakp'))
}

/**
 * Every setting: flag, else environment, else the home's `.env`, else default. An empty value is none. The home need not exist. Throws `settings_invalid` naming everything
 * that is wrong at once, without the value of anything hidden; `file_refused` where `.env` cannot be read or others can read it.
 */
export function loadSettings({ env = process.env, home, flags = {} }: LoadOptions = {}): Settings {
  const folder = homeOf({ env, home })
  const problems: string[] = []
  const given: Sources = new Map()
  readFile(join(folder, '.env'), folder, given, problems)
  readEnvironment(env, given, problems)
  for (const name of settingNames) {
    const text = flags[name]
    if (text) given.set(schema[name].env, { text, source: 'on the command line', base: process.cwd() })
  }
  given.set(schema.home.env, { text: folder, source: 'on the command line', base: folder })
  const settings = Object.fromEntries(settingNames.map(name => [name, read(schema[name], given, problems)])) as unknown as Settings
  checkTogether(settings, problems)
  if (problems.length > 0)
    throw new SoakpError('settings_invalid', problems.map(problem => `${problem}.`).join(' '), {
      hint: 'every setting is explained in docs/configuration.md',
    })
  return Object.freeze(settings)
}

function readFile(file: string, folder: string, given: Sources, problems: string[]): void {
  const dotenv = readEnvFile(file)
  problems.push(...dotenv.problems.map(problem => `${file} ${problem}`))
  for (const { name, value } of dotenv.entries) {
    if (name === schema.home.env) problems.push(`${name} in ${file} would move the home it is read from`)
    else if (isOurs(name)) take(name, { text: value, source: `in ${file}`, base: folder }, given, problems)
  }
}

function readEnvironment(env: Record<string, string | undefined>, given: Sources, problems: string[]): void {
  for (const [name, text] of Object.entries(env)) {
    if (text !== undefined && isOurs(name)) take(name, { text, source: 'in the environment', base: process.cwd() }, given, problems)
  }
  // children inherit the environment, and crash reports print it
  delete env[schema.masterKey.env]
}

// what hooks are told stays in the environment of a soakp that a hook calls
const isOurs = (name: string) => name.toUpperCase().startsWith('SOAKP_') && !name.startsWith('SOAKP_HOOK_')
const known = new Set<string>(settingNames.map(name => schema[name].env))

function take(name: string, value: Given, given: Sources, problems: string[]): void {
  if (known.has(name)) {
    if (value.text !== '') given.set(name, value)
    return
  }
  const nearest = closest(name, known)
  problems.push(`${name} ${value.source} is no setting${nearest === undefined ? '' : ` (did you mean ${nearest}?)`}`)
}

function read(setting: Setting<unknown>, given: Sources, problems: string[]): unknown {
  const value = given.get(setting.env)
  try {
    if (value !== undefined) return setting.type.parse(value.text, value.base)
    return setting.byDefault === undefined ? undefined : setting.type.parse(setting.byDefault, '')
  } catch (error) {
    if (!(error instanceof Refusal)) throw error
    problems.push(`${setting.env} ${value?.source ?? 'by default'} ${error.message}`)
    return undefined
  }
}

const isEvery = (host: string) => host === '0.0.0.0' || host === '::'
const loopback = /^(?:localhost|::1|127(?:\.\d{1,3}){3})$/i

/** Rules between settings. A value that was refused is `undefined` here, and counts as not given. */
function checkTogether(settings: Settings, problems: string[]): void {
  if (settings.masterKey !== undefined && settings.masterKeyFile !== undefined) {
    problems.push(`${schema.masterKey.env} and ${schema.masterKeyFile.env} are both set; one of them has to go`)
  }
  if ((settings.tlsCertFile === undefined) !== (settings.tlsKeyFile === undefined)) {
    problems.push(`${schema.tlsCertFile.env} and ${schema.tlsKeyFile.env} go together; only one of them is set`)
  }
  // such a body would never find room, and its client be told to try again
  if (settings.maxInspectedTotalBytes < settings.maxInspectedBytes) {
    problems.push(`${schema.maxInspectedTotalBytes.env} is less than ${schema.maxInspectedBytes.env}, the size that one body may have`)
  }
  const { metricsListen: watched, host, port } = settings
  if (
    watched !== undefined &&
    watched.port !== 0 &&
    watched.port === port &&
    (watched.host === host || isEvery(watched.host) || isEvery(host))
  ) {
    problems.push(`${schema.metricsListen.env} is the address of the daemon itself; it has to have a port of its own`)
  }
  if (settings.http && settings.host !== undefined && !loopback.test(settings.host) && !(settings.trustProxy?.length > 0)) {
    problems.push(
      `${schema.http.env} (--http) off loopback would send access tokens in the clear; set ${schema.trustProxy.env} to the proxy that ends TLS, or leave it out`,
    )
  }
}
