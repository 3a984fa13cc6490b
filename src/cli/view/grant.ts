import { anyKey, type GrantRecord, type GrantScope } from '../../stores/records.js'
import type { GrantAndTokens } from '../../stores/store.js'
import { facts, printable, time } from '../format.js'
import { maxOutputText, spendingFacts, spendingView } from './limit.js'

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
