import { AcmeError, type AcmeProblem, clean, isRecord, protocolProblem, readProblem } from './problem.js'

/** What a CA has and demands: RFC 8555 section 7.1.1, with RFC 9773 and profiles. */
export interface Directory {
  readonly newNonce: string
  readonly newAccount: string
  readonly newOrder: string
  readonly revokeCert: string
  readonly keyChange: string
  /** Where to ask when to renew; undefined where the CA does not say. */
  readonly renewalInfo: string | undefined
  readonly termsOfService: string | undefined
  /** Names that CAA records may call this CA by. */
  readonly caaIdentities: readonly string[]
  readonly externalAccountRequired: boolean
  /** Name of each profile and where it is described. Empty: the CA has none. */
  readonly profiles: ReadonlyMap<string, string>
}

export interface Identifier {
  readonly type: 'dns' | 'ip'
  readonly value: string
}

export type OrderStatus = 'pending' | 'ready' | 'processing' | 'valid' | 'invalid'

export interface Order {
  readonly url: string
  readonly status: OrderStatus
  readonly identifiers: readonly Identifier[]
  readonly authorizations: readonly string[]
  readonly finalize: string
  readonly certificate: string | undefined
  readonly expiresMs: number | undefined
  readonly profile: string | undefined
  readonly error: AcmeProblem | undefined
}

/** A challenge as the CA offers it; `type` may be one that nobody here has heard of, and then there may be no token. */
export interface OfferedChallenge {
  readonly type: string
  readonly url: string
  readonly status: string
  readonly token: string | undefined
  readonly error: AcmeProblem | undefined
}

export interface Authorization {
  readonly url: string
  readonly status: string
  readonly identifier: Identifier
  readonly wildcard: boolean
  readonly challenges: readonly OfferedChallenge[]
}

export interface Account {
  readonly status: string
  readonly contact: readonly string[]
  /** Where the account's orders are listed; Let's Encrypt has none. */
  readonly orders: string | undefined
}

export function readDirectory(data: unknown, url: string): Directory {
  if (!isRecord(data)) throw strange(url, 'no ACME directory')
  const meta = isRecord(data.meta) ? data.meta : {}
  const profiles = Object.entries(isRecord(meta.profiles) ? meta.profiles : {})
  return {
    newNonce: link(data, 'newNonce', url),
    newAccount: link(data, 'newAccount', url),
    newOrder: link(data, 'newOrder', url),
    revokeCert: link(data, 'revokeCert', url),
    keyChange: link(data, 'keyChange', url),
    renewalInfo: optional(data.renewalInfo),
    termsOfService: optional(clean(meta.termsOfService)),
    caaIdentities: texts(meta.caaIdentities).map(name => name.toLowerCase()),
    externalAccountRequired: meta.externalAccountRequired === true,
    profiles: new Map(profiles.map(([name, about]) => [clean(name), clean(about)])),
  }
}

const statuses: readonly string[] = ['pending', 'ready', 'processing', 'valid', 'invalid'] satisfies OrderStatus[]

export function readOrder(data: unknown, url: string): Order {
  if (!isRecord(data) || !isOrderStatus(data.status)) throw strange(url, 'no order')
  return {
    url,
    status: data.status,
    identifiers: list(data.identifiers).map(each => readIdentifier(each, url)),
    authorizations: texts(data.authorizations),
    finalize: link(data, 'finalize', url),
    certificate: optional(data.certificate),
    expiresMs: time(data.expires),
    profile: optional(data.profile),
    error: readProblem(data.error),
  }
}

function isOrderStatus(status: unknown): status is OrderStatus {
  return typeof status === 'string' && statuses.includes(status)
}

export function readAuthorization(data: unknown, url: string): Authorization {
  if (!isRecord(data) || typeof data.status !== 'string') throw strange(url, 'no authorization')
  return {
    url,
    status: data.status,
    identifier: readIdentifier(data.identifier, url),
    wildcard: data.wildcard === true,
    challenges: list(data.challenges).filter(isRecord).map(readChallenge),
  }
}

function readChallenge(data: Record<string, unknown>): OfferedChallenge {
  return {
    type: clean(data.type),
    url: optional(data.url) ?? '',
    status: clean(data.status),
    // base64url, so that it can stand in a path and a file name
    token: typeof data.token === 'string' && /^[\w-]{1,256}$/.test(data.token) ? data.token : undefined,
    error: readProblem(data.error),
  }
}

export function readAccount(data: unknown, url: string): Account {
  if (!isRecord(data)) throw strange(url, 'no account')
  return { status: clean(data.status), contact: texts(data.contact), orders: optional(data.orders) }
}

/** URLs of an account's orders. */
export function readOrderList(data: unknown): readonly string[] {
  return isRecord(data) ? texts(data.orders) : []
}

function readIdentifier(data: unknown, url: string): Identifier {
  if (!isRecord(data) || typeof data.value !== 'string') throw strange(url, 'an identifier without a value')
  return { type: data.type === 'ip' ? 'ip' : 'dns', value: data.value.toLowerCase().replace(/\.$/, '') }
}

function link(data: Record<string, unknown>, field: string, url: string): string {
  const value = optional(data[field])
  if (value === undefined) throw strange(url, `nothing named ${field}`)
  return value
}

function optional(value: unknown): string | undefined {
  return typeof value === 'string' && value !== '' ? value : undefined
}

function list(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : []
}

function texts(value: unknown): string[] {
  return list(value).filter(each => typeof each === 'string')
}

function time(value: unknown): number | undefined {
  const ms = typeof value === 'string' ? Date.parse(value) : Number.NaN
  return Number.isNaN(ms) ? undefined : ms
}

function strange(url: string, what: string): AcmeError {
  return new AcmeError(url, protocolProblem(`the answer holds ${what}. Is this the URL of an ACME directory?`))
}
