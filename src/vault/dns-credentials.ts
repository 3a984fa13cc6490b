import { createCipheriv, createDecipheriv, hkdfSync, randomBytes } from 'node:crypto'
import { readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { SoakpError } from '../errors.js'
import { writeFileAtomic } from '../lib/atomic-file.js'
import { withFileLock } from '../lib/file-lock.js'
import { Secret } from '../lib/secret.js'
import { defaultTenant, type Keyring } from './keyring.js'

/** Sealed values by provider and variable. */
type Sealed = Readonly<Record<string, Readonly<Record<string, string>>>>

/** What is kept, by name; never a value. */
export interface KeptCredentials {
  readonly provider: string
  readonly variables: readonly string[]
}

const ivBytes = 12
const tagBytes = 16

/** `dns-credentials.json` in the home, 0600: credentials of DNS providers, each sealed to its provider and variable under a key of its own purpose. */
function credentialsPath(home: string): string {
  return join(home, 'dns-credentials.json')
}

/** Keeps a value; one that is there is replaced. */
export async function keepCredential(home: string, keyring: Keyring, provider: string, variable: string, value: Secret): Promise<void> {
  await change(home, sealed => ({ ...sealed, [provider]: { ...sealed[provider], [variable]: seal(keyring, provider, variable, value) } }))
}

/** Forgets one value of a provider, or all. Throws `not_found`. */
export async function forgetCredentials(home: string, provider: string, variable?: string): Promise<void> {
  await change(home, sealed => {
    const { [provider]: kept, ...others } = sealed
    if (kept === undefined || (variable !== undefined && !(variable in kept))) {
      throw new SoakpError('not_found', `Nothing${variable === undefined ? '' : ` named ${variable}`} is kept for ${provider}.`, {
        hint: '`soakp cert credentials list` shows what is kept',
      })
    }
    const rest = Object.entries(kept).filter(([name]) => variable !== undefined && name !== variable)
    return rest.length === 0 ? others : { ...others, [provider]: Object.fromEntries(rest) }
  })
}

export function listCredentials(home: string): KeptCredentials[] {
  return Object.entries(read(home)).map(([provider, values]) => ({ provider, variables: Object.keys(values).sort() }))
}

/** Every value that is kept, opened, by variable; for the caller to wipe. `keyring` is asked for only where there are any. */
export async function openCredentials(home: string, keyring: () => Promise<Keyring>): Promise<Map<string, Secret>> {
  const sealed = Object.entries(read(home))
  if (sealed.length === 0) return new Map()
  const keys = await keyring()
  return new Map(
    sealed.flatMap(([provider, values]) => Object.entries(values).map(([name, text]) => [name, open(keys, provider, name, text)] as const)),
  )
}

function sealingKey(keyring: Keyring): Buffer {
  const kek = keyring.kek(defaultTenant)
  if (kek === undefined) throw new SoakpError('vault_damaged', 'It holds no key of the tenant default.')
  return Buffer.from(hkdfSync('sha256', kek, Buffer.alloc(0), 'soakp/v1/seal/dns-credentials', 32))
}

const bound = (keyring: Keyring, provider: string, variable: string) =>
  Buffer.from(JSON.stringify(['soakp/v1', 'dns-credentials', provider, variable, keyring.instanceId]))

function seal(keyring: Keyring, provider: string, variable: string, value: Secret): string {
  const key = sealingKey(keyring)
  try {
    const iv = randomBytes(ivBytes)
    const cipher = createCipheriv('aes-256-gcm', key, iv).setAAD(bound(keyring, provider, variable))
    return Buffer.concat([iv, cipher.update(value.bytes()), cipher.final(), cipher.getAuthTag()]).toString('base64url')
  } finally {
    key.fill(0)
  }
}

function open(keyring: Keyring, provider: string, variable: string, text: string): Secret {
  const bytes = Buffer.from(text, 'base64url')
  const key = sealingKey(keyring)
  try {
    const decipher = createDecipheriv('aes-256-gcm', key, bytes.subarray(0, ivBytes), { authTagLength: tagBytes })
    decipher.setAAD(bound(keyring, provider, variable)).setAuthTag(bytes.subarray(-tagBytes))
    const plaintext = decipher.update(bytes.subarray(ivBytes, -tagBytes))
    try {
      decipher.final()
      return new Secret(plaintext)
    } finally {
      plaintext.fill(0)
    }
  } catch (cause) {
    throw new SoakpError('key_unreadable', `${variable} of ${provider}`, {
      cause,
      hint: `put it in again: soakp cert credentials set ${provider} ${variable}`,
    })
  } finally {
    key.fill(0)
  }
}

async function change(home: string, how: (sealed: Sealed) => Sealed): Promise<void> {
  const file = credentialsPath(home)
  const done = await withFileLock(`${file}.lock`, async () => {
    writeFileAtomic(file, `${JSON.stringify({ version: 1, providers: how(read(home)) }, undefined, 2)}\n`)
    return true
  }).catch(cause => {
    throw cause instanceof SoakpError ? cause : new SoakpError('file_refused', file, { cause })
  })
  if (done === undefined) throw new SoakpError('store_locked', `${file} is being changed by another process.`)
  rmSync(`${file}.lock`, { force: true })
}

function read(home: string): Sealed {
  const file = credentialsPath(home)
  let text: string
  try {
    text = readFileSync(file, 'utf8')
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === 'ENOENT') return {}
    throw new SoakpError('file_refused', file, { cause })
  }
  try {
    const data: unknown = JSON.parse(text)
    if (isSealed(data)) return data.providers
  } catch {
    // told below
  }
  throw new SoakpError('file_refused', `${file} is not what soakp wrote.`, { hint: 'Move it away, and put the credentials in again.' })
}

function isSealed(data: unknown): data is { readonly providers: Sealed } {
  if (typeof data !== 'object' || data === null || !('providers' in data)) return false
  const { providers } = data
  const isObject = (value: unknown): value is object => typeof value === 'object' && value !== null
  if (!isObject(providers)) return false
  return Object.values(providers).every(values => isObject(values) && Object.values(values).every(each => typeof each === 'string'))
}
