import { restsFrom } from '../relay/keys/rests.js'
import { type AliasRecord, anyKey, type GrantRecord, type GrantScope, type KeyRecord, type RestRecord } from '../stores/records.js'
import type { GrantAndTokens, KeyPatch } from '../stores/store.js'
import { facts, minute, printable, time } from './format.js'
import { maxOutputText, spendingFacts, spendingView } from './limit-views.js'

/** What may be shown of a key: the list is closed, the sealed secret is not on it. `rests`: of all keys, where they were asked for. */
export function keyView(key: KeyRecord, rests?: readonly RestRecord[]): Record<string, unknown> {
  return {
    id: key.id,
    provider: key.provider,
    name: key.name,
    tenant: key.tenant,
    user: key.user,
    state: key.state,
    weight: key.weight,
    baseUrl: key.baseUrl,
    allowPrivate: key.allowPrivate,
    auth: key.auth,
    dialect: key.dialect,
    organization: key.organization,
    project: key.project,
    version: key.version,
    createdAt: time(key.createdAtMs),
    rotatedAt: time(key.rotatedAtMs),
    rejectedAt: time(key.rejectedAtMs),
    spentAt: time(key.spentAtMs),
    wokenAt: time(key.wokenAtMs),
    ...(rests && { rests: restsOf(key, rests).map(restView) }),
  }
}

function restView({ model, sinceMs, untilMs, status }: RestRecord): Record<string, unknown> {
  return { model: model === '' ? null : model, since: time(sinceMs), until: time(untilMs), status: status === 0 ? null : status }
}

function restsOf(key: KeyRecord, rests: readonly RestRecord[]): RestRecord[] {
  return rests.filter(rest => rest.keyId === key.id && rest.sinceMs > restsFrom(key))
}

/** Ends whatever a key rests for. */
export function wakingPatch(now: number): KeyPatch {
  return { wokenAtMs: now, spentAtMs: null, rejectedAtMs: null }
}

export function keyText(key: KeyRecord, rests: readonly RestRecord[] = []): string {
  return facts([
    ['id', key.id],
    ['provider', key.provider],
    ['name', key.name],
    ['tenant', key.tenant],
    ['user', key.user],
    ['state', keyState(key)],
    ...restsOf(key, rests).map(rest => ['rests', restText(rest)] as const),
    ['weight', key.weight === 0 ? '0 (only when no other key can)' : key.weight],
    ['base URL', key.baseUrl === null ? null : `${key.baseUrl}${key.allowPrivate ? ' (private networks allowed)' : ''}`],
    ['auth', key.auth],
    ['dialect', key.dialect],
    ['organization', key.organization],
    ['project', key.project],
    ['version', key.version],
    ['created', time(key.createdAtMs)],
    ['rotated', time(key.rotatedAtMs)],
  ])
}

/** With the reason why calls pass the key over, if they do. */
export function keyState(key: KeyRecord, rests: readonly RestRecord[] = []): string {
  if (key.rejectedAtMs !== null) return `${key.state}, refused by the provider on ${minute(key.rejectedAtMs)}`
  if (key.spentAtMs !== null) return `${key.state}, quota spent on ${minute(key.spentAtMs)}`
  const own = restsOf(key, rests)
  if (own.length > 1) return `${key.state}, rests for ${own.length} models`
  return own[0] === undefined ? key.state : `${key.state}, rests ${restText(own[0])}`
}

function restText({ model, untilMs, status }: RestRecord): string {
  const why = status === 0 ? 'not reached' : String(status)
  return `until ${time(untilMs).slice(0, 19).replace('T', ' ')} (${model === '' ? why : `${model}, ${why}`})`
}

export function aliasView({ name, target, createdAtMs }: AliasRecord): Record<string, unknown> {
  return { name, target, createdAt: time(createdAtMs) }
}

export type GrantState = 'active' | 'expired' | 'revoked'

export function grantState(grant: GrantRecord, now: number): GrantState {
  if (grant.revokedAtMs !== null) return 'revoked'
  return grant.expiresAtMs <= now ? 'expired' : 'active'
}

/** What may be shown of a grant; never a token, which is not kept. */
export function grantView(grant: GrantRecord, now: number): Record<string, unknown> {
  return {
    id: grant.id,
    name: grant.name,
    subject: grant.subject,
    tenant: grant.tenant,
    state: grantState(grant, now),
    all: grant.scope.kind === 'all',
    providers: grant.scope.kind === 'providers' ? grant.scope.providers : [],
    keys: grant.scope.kind === 'keys' ? grant.scope.keys : [],
    models: grant.models,
    endpoints: grant.endpoints,
    origins: grant.origins,
    addresses: grant.addresses,
    rate: grant.rate,
    concurrency: grant.concurrency,
    quotas: grant.quotas,
    budgets: grant.budgets,
    maxOutputTokens: grant.maxOutputTokens,
    ...spendingView(grant),
    retry5xx: grant.retry5xx,
    dpop: grant.dpop,
    createdAt: time(grant.createdAtMs),
    expiresAt: time(grant.expiresAtMs),
    revokedAt: time(grant.revokedAtMs),
  }
}

export function tokensView({ tokens }: GrantAndTokens): Record<string, unknown>[] {
  return tokens.map(token => ({ jti: token.jti, issuedAt: time(token.issuedAtMs), expiresAt: time(token.expiresAtMs) }))
}

export function grantText({ grant, tokens }: GrantAndTokens, now: number): string {
  const any = (list: readonly string[], none: string) => (list.length === 0 ? none : list.join(', '))
  return [
    facts([
      ['id', grant.id],
      ['name', grant.name],
      ['subject', grant.subject],
      ['state', grantState(grant, now)],
      ['opens', scopeText(grant.scope)],
      ['models', any(grant.models, 'any')],
      ['endpoints', any(grant.endpoints, 'inference')],
      ['origins', any(grant.origins, 'any')],
      ['addresses', any(grant.addresses, 'any')],
      ['rate', grant.rate ?? 'no limit'],
      ['concurrency', grant.concurrency ?? 'no limit'],
      ['quotas', any(grant.quotas, 'none')],
      ['budgets', any(grant.budgets, 'none')],
      ['max output', maxOutputText(grant)],
      ...spendingFacts(grant),
      ['failures', grant.retry5xx ? 'tried again with another key' : 'passed on'],
      ['key of the client', grant.dpop === null ? 'not asked for' : grant.dpop === anyKey ? 'proved with every call' : grant.dpop],
      ['created', time(grant.createdAtMs)],
      ['expires', time(grant.expiresAtMs)],
      ['revoked', time(grant.revokedAtMs)],
    ]),
    ...tokens.map(token => printable(`token ${token.jti} issued ${time(token.issuedAtMs)}, ends ${time(token.expiresAtMs)}`)),
  ].join('\n')
}

export function scopeText(scope: GrantScope): string {
  if (scope.kind === 'all') return 'every provider'
  return scope.kind === 'providers' ? scope.providers.join(', ') : scope.keys.join(', ')
}
