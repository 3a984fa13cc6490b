import { existsSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { SoakpError } from '../../errors.js'
import { type KeyType, keyTypes } from '../acme/keys.js'
import { isRecord } from '../acme/problem.js'
import type { AriState } from '../acme/renewal.js'
import { type RevocationReason, revocationReasons } from '../acme/revoke.js'
import { makeDirectory, replaceFile } from '../files.js'
import { checkLineageName, isLineageName } from '../lineage.js'

/** How the names of a certificate are proved. */
export type Proof =
  | {
      readonly type: 'dns-01'
      readonly provider: string /** `HOST[:PORT]`; none: those of the settings. */
      readonly resolvers: readonly string[]
    }
  | { readonly type: 'http-01'; readonly port: number }

/** Programs to run around a renewal, each as program and arguments; there is no shell. */
export interface Hooks {
  readonly pre?: readonly string[] | undefined
  readonly deploy?: readonly string[] | undefined
  readonly post?: readonly string[] | undefined
}

/** What the user asked for, so that a renewal needs to ask nobody. Nothing of it is secret. */
export interface CertificateWishes {
  /** As a CA wants them: lower case, punycode. */
  readonly names: readonly string[]
  /** Ids or directory URLs of CAs, in the order in which they are asked. */
  readonly authorities: readonly string[]
  readonly email: string | undefined
  readonly agreesToTerms: boolean
  /** Where an account has to be opened anew: the key id, and the file that holds the HMAC key. */
  readonly externalAccount: { readonly kid: string; readonly hmacKeyFile: string } | undefined
  readonly proof: Proof
  readonly keyType: KeyType
  readonly reuseKey: boolean
  readonly profile: { readonly name: string; readonly required: boolean } | undefined
  readonly preferredChain: string | undefined
  readonly hooks: Hooks
}

/** What is remembered between runs. */
export interface CertificateState {
  readonly ari: AriState | undefined
  /** Failures in a row. */
  readonly attempts: number
  /** No attempt before this moment: back-off, or what the CA asked for. */
  readonly notBeforeMs: number | undefined
  readonly lastError: { readonly type: string; readonly detail: string; readonly atMs: number } | undefined
  readonly lastRenewalMs: number | undefined
  /** Where which certificate came from: no other CA is told that it is replaced. */
  readonly issuedBy: { readonly directoryUrl: string; readonly fingerprint: string; readonly profile: string | undefined } | undefined
  /** The deploy hooks have run for the certificate that is in service. */
  readonly deployed: boolean
  /** It was revoked here, and is renewed whatever its dates say. */
  readonly revoked: { readonly fingerprint: string; readonly reason: RevocationReason } | undefined
}

/** `certs/renewal/NAME.json`: how a certificate was made, and how it goes on. */
export interface CertificateRecord {
  readonly name: string
  readonly createdAtMs: number
  readonly wishes: CertificateWishes
  readonly state: CertificateState
}

export const freshState: CertificateState = {
  ari: undefined,
  attempts: 0,
  notBeforeMs: undefined,
  lastError: undefined,
  lastRenewalMs: undefined,
  issuedBy: undefined,
  deployed: true,
  revoked: undefined,
}

const folderOf = (certsDir: string) => join(certsDir, 'renewal')
const fileOf = (certsDir: string, name: string) => join(folderOf(certsDir), `${name}.json`)

/** Every record, by name; what cannot be read is told and left out, so that one bad file does not stop the others. */
export function listRecords(certsDir: string, bad: (error: SoakpError, name: string) => void = () => {}): CertificateRecord[] {
  const folder = folderOf(certsDir)
  if (!existsSync(folder)) return []
  let files: string[]
  try {
    files = readdirSync(folder)
  } catch (cause) {
    throw new SoakpError('file_refused', folder, { cause })
  }
  const names = files.flatMap(file => (file.endsWith('.json') ? [file.slice(0, -'.json'.length)] : []))
  // what editors and file managers leave beside a record has a name that none can have
  const ours = names.filter(isLineageName)
  return ours.sort().flatMap(name => {
    try {
      return readRecord(certsDir, name) ?? []
    } catch (error) {
      if (!(error instanceof SoakpError)) throw error
      bad(error, name)
      return []
    }
  })
}

const moveAway = 'Move it away and run `soakp cert issue` for the same names again: the certificate itself stays as it is.'

/** Throws `file_refused` for a file that is not what soakp wrote. */
export function readRecord(certsDir: string, name: string): CertificateRecord | undefined {
  checkLineageName(name)
  const file = fileOf(certsDir, name)
  let text: string
  try {
    text = readFileSync(file, 'utf8')
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw new SoakpError('file_refused', file, { cause, hint: moveAway })
  }
  const record = parse(text, name)
  if (record !== undefined) return record
  throw new SoakpError('file_refused', `${file} is not what soakp wrote.`, {
    hint: moveAway,
  })
}

/** Writes it whole or not at all, 0600. */
export async function writeRecord(certsDir: string, record: CertificateRecord): Promise<void> {
  checkLineageName(record.name)
  await makeDirectory(folderOf(certsDir))
  const text = `${JSON.stringify({ version: 1, ...record }, undefined, 2)}\n`
  replaceFile(fileOf(certsDir, record.name), Buffer.from(text), 0o600)
}

export function removeRecord(certsDir: string, name: string): void {
  checkLineageName(name)
  rmSync(fileOf(certsDir, name), { force: true })
}

function parse(text: string, name: string): CertificateRecord | undefined {
  let data: unknown
  try {
    data = JSON.parse(text)
  } catch {
    return undefined
  }
  if (!isRecord(data) || data.version !== 1 || data.name !== name) return undefined
  const wishes = readWishes(data.wishes)
  if (wishes === undefined) return undefined
  return { name, createdAtMs: number(data.createdAtMs) ?? 0, wishes, state: readState(data.state) }
}

function readWishes(data: unknown): CertificateWishes | undefined {
  if (!isRecord(data)) return undefined
  const proof = readProof(data.proof)
  const [names, authorities] = [texts(data.names), texts(data.authorities)]
  const keyType = keyTypes.find(each => each === data.keyType)
  if (proof === undefined || names.length === 0 || authorities.length === 0 || keyType === undefined) return undefined
  const { externalAccount: eab, profile, hooks } = data
  const hook = (kind: string) => (isRecord(hooks) && texts(hooks[kind]).length > 0 ? texts(hooks[kind]) : undefined)
  return {
    names,
    authorities,
    email: text(data.email),
    agreesToTerms: data.agreesToTerms === true,
    externalAccount:
      isRecord(eab) && typeof eab.kid === 'string' && typeof eab.hmacKeyFile === 'string'
        ? { kid: eab.kid, hmacKeyFile: eab.hmacKeyFile }
        : undefined,
    proof,
    keyType,
    reuseKey: data.reuseKey === true,
    profile:
      isRecord(profile) && typeof profile.name === 'string' ? { name: profile.name, required: profile.required === true } : undefined,
    preferredChain: text(data.preferredChain),
    hooks: { pre: hook('pre'), deploy: hook('deploy'), post: hook('post') },
  }
}

function readProof(data: unknown): Proof | undefined {
  if (!isRecord(data)) return undefined
  if (data.type === 'http-01') return { type: 'http-01', port: number(data.port) ?? 80 }
  if (data.type !== 'dns-01' || typeof data.provider !== 'string') return undefined
  return { type: 'dns-01', provider: data.provider, resolvers: texts(data.resolvers) }
}

/** What is missing or of another kind counts as not remembered. */
function readState(data: unknown): CertificateState {
  if (!isRecord(data)) return freshState
  const { lastError: error, issuedBy: by, revoked } = data
  const reason = isRecord(revoked) ? text(revoked.reason) : undefined
  return {
    ari: readAri(data.ari),
    attempts: number(data.attempts) ?? 0,
    notBeforeMs: number(data.notBeforeMs),
    lastError: isRecord(error)
      ? { type: text(error.type) ?? 'unknown', detail: text(error.detail) ?? '', atMs: number(error.atMs) ?? 0 }
      : undefined,
    lastRenewalMs: number(data.lastRenewalMs),
    issuedBy:
      isRecord(by) && typeof by.directoryUrl === 'string' && typeof by.fingerprint === 'string'
        ? { directoryUrl: by.directoryUrl, fingerprint: by.fingerprint, profile: text(by.profile) }
        : undefined,
    deployed: data.deployed !== false,
    revoked:
      isRecord(revoked) && typeof revoked.fingerprint === 'string' && isReason(reason)
        ? { fingerprint: revoked.fingerprint, reason }
        : undefined,
  }
}

export function isReason(text: string | undefined): text is RevocationReason {
  return text !== undefined && Object.hasOwn(revocationReasons, text)
}

function readAri(data: unknown): AriState | undefined {
  if (!isRecord(data) || !isRecord(data.window)) return undefined
  const [startMs, endMs] = [number(data.window.startMs), number(data.window.endMs)]
  const [chosenMs, nextCheckMs] = [number(data.chosenMs), number(data.nextCheckMs)]
  if (startMs === undefined || endMs === undefined || chosenMs === undefined || nextCheckMs === undefined) return undefined
  return { window: { startMs, endMs }, chosenMs, explanationUrl: text(data.explanationUrl), nextCheckMs }
}

const text = (value: unknown): string | undefined => (typeof value === 'string' && value !== '' ? value : undefined)
const number = (value: unknown): number | undefined => (typeof value === 'number' && Number.isFinite(value) ? value : undefined)
const texts = (value: unknown): string[] => (Array.isArray(value) ? value.filter(each => typeof each === 'string') : [])
