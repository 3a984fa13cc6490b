import { readFileSync, statSync } from 'node:fs'
import { SoakpError } from '../../errors.js'
import { Secret } from '../../lib/secret.js'
import { redact } from './api/redact.js'
import type { DnsProvider, DnsSetting } from './provider.js'

/** Where the values of a provider's settings come from, the first that has one counts: a variable, a variable that names a file, the vault, the default. */
export interface SettingSources {
  /** A variable of the environment; undefined or empty where it is not set. */
  readonly variable: (name: string) => string | undefined
  /** Values kept sealed in the vault, opened, by the setting's first name. */
  readonly sealed?: ReadonlyMap<string, Secret>
}

/** A provider's settings, read and found complete. */
export interface ProviderSettings {
  setting(name: string): string | undefined
  named(...names: readonly string[]): string
  redact(text: string): string
  readonly ttlSeconds: number
  readonly httpTimeoutMs: number
  /** How long a record may take until it is seen, and how often to look. */
  readonly propagationTimeoutMs: number
  readonly pollingIntervalMs: number
  /** Overwrites every hidden value; nothing can be read afterwards. */
  wipe(): void
}

interface Found {
  readonly value: Secret
  readonly hidden: boolean
  /** As the user wrote it. */
  readonly name: string
}

/** Throws `dns_settings_incomplete`, naming everything that is missing; `file_refused` for a file that others can read. */
export function readSettings(provider: DnsProvider, sources: SettingSources): ProviderSettings {
  const found = new Map<string, Found>()
  // a provider may have a setting of its own that is called so: AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE
  const own = new Set(provider.settings.map(({ name }) => name))
  for (const setting of provider.settings) {
    const value = find(setting, sources, own)
    if (value !== undefined) found.set(setting.name, value)
  }
  const missing = whatIsMissing(provider, name => found.get(name)?.name)
  if (missing !== undefined) {
    throw new SoakpError('dns_settings_incomplete', `${provider.title}: ${missing}`, {
      hint: `soakp cert providers ${provider.id} explains its settings`,
    })
  }
  const seconds = (suffix: string, byDefault: number) => readSeconds(provider, suffix, sources) ?? byDefault
  const hidden = [...found.values()].filter(one => one.hidden).map(one => one.value)
  return {
    setting: name => found.get(name)?.value.expose(),
    named: (...names) => sentence(names.map(name => found.get(name)?.name ?? name)),
    redact: text => redact(text, hidden),
    ttlSeconds: Math.max(provider.ttl.minSeconds, seconds('TTL', provider.ttl.defaultSeconds)),
    httpTimeoutMs: seconds('HTTP_TIMEOUT', 30) * 1000,
    propagationTimeoutMs: seconds('PROPAGATION_TIMEOUT', provider.propagation.timeoutSeconds) * 1000,
    pollingIntervalMs: seconds('POLLING_INTERVAL', provider.propagation.intervalSeconds) * 1000,
    wipe() {
      for (const { value } of found.values()) value.wipe()
    },
  }
}

function find(setting: DnsSetting, { variable, sealed }: SettingSources, own: ReadonlySet<string>): Found | undefined {
  const hidden = setting.hidden === true
  for (const name of [setting.name, ...(setting.aliases ?? [])]) {
    const value = variable(name)
    if (value) return { value: new Secret(value), hidden, name }
    const file = own.has(`${name}_FILE`) ? undefined : variable(`${name}_FILE`)
    if (file) return { value: readCredentialFile(file, `${name}_FILE`), hidden, name: `${name}_FILE` }
  }
  const kept = sealed?.get(setting.name)
  if (kept !== undefined) return { value: new Secret(kept.bytes()), hidden, name: `${setting.name} (kept in the vault)` }
  return setting.byDefault === undefined ? undefined : { value: new Secret(setting.byDefault), hidden: false, name: setting.name }
}

/** The content of a file that holds a credential, without the newline at its end. One that others than its owner can read is refused. */
export function readCredentialFile(file: string, named: string): Secret {
  let content: Buffer
  try {
    const { mode } = statSync(file)
    if (process.platform !== 'win32' && (mode & 0o077) !== 0) {
      throw new SoakpError('file_refused', `${file}, named by ${named}, can be read by others than its owner.`, {
        hint: `chmod 600 ${file}`,
      })
    }
    content = readFileSync(file)
  } catch (cause) {
    if (cause instanceof SoakpError) throw cause
    throw new SoakpError('file_refused', `${file}, named by ${named}, cannot be read.`, { cause })
  }
  let end = content.length
  while (end > 0 && (content[end - 1] === 10 || content[end - 1] === 13)) end--
  const secret = new Secret(content.subarray(0, end))
  content.fill(0)
  return secret
}

/** The end of a sentence that begins with the provider's title; undefined where everything is there. */
function whatIsMissing({ settings }: DnsProvider, given: (name: string) => string | undefined): string | undefined {
  const absent = settings.filter(({ required, name }) => required === true && given(name) === undefined).map(({ name }) => name)
  if (absent.length > 0)
    return `${sentence(absent)} ${absent.length > 1 ? 'are' : 'is'} not set, nor with _FILE at the end for a file that holds the value.`
  const ways = new Map<string, string[]>()
  for (const { required, name } of settings) {
    if (typeof required === 'string') ways.set(required, [...(ways.get(required) ?? []), name])
  }
  const all = [...ways.values()]
  if (all.length === 0 || all.some(names => names.every(name => given(name) !== undefined))) return undefined
  const begun = all.find(names => names.some(name => given(name) !== undefined))
  if (begun === undefined) return `set ${all.map(names => sentence(names)).join(', or ')}.`
  const rest = begun.filter(name => given(name) === undefined)
  return `${sentence(rest)} ${rest.length > 1 ? 'are' : 'is'} not set, and belongs to ${sentence(begun.filter(name => given(name) !== undefined))}.`
}

function readSeconds(provider: DnsProvider, suffix: string, { variable }: SettingSources): number | undefined {
  for (const prefix of provider.prefixes) {
    const text = variable(`${prefix}_${suffix}`)
    if (!text) continue
    if (/^\d{1,6}(?:\.\d{1,3})?$/.test(text)) return Number(text)
    throw new SoakpError('dns_settings_incomplete', `${prefix}_${suffix} is no number of seconds.`)
  }
  return undefined
}

const sentence = (names: readonly string[]) =>
  names.length < 2 ? (names[0] ?? '') : `${names.slice(0, -1).join(', ')} and ${names.at(-1)}`
