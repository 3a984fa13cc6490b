import { formatDuration } from '../../lib/duration.js'
import type { AppRecord, AppUserRecord } from '../../stores/records.js'
import { facts, printable, time } from '../format.js'
import { scopeText } from './grant.js'
import { maxOutputText, spendingFacts, spendingView } from './limit.js'

export function appState(app: AppRecord): 'active' | 'revoked' {
  return app.revokedAtMs === null ? 'active' : 'revoked'
}

/** What may be shown of an app: not even the hash of a credential. */
export function appView(app: AppRecord): Record<string, unknown> {
  return {
    id: app.id,
    name: app.name,
    tenant: app.tenant,
    state: appState(app),
    all: app.scope.kind === 'all',
    providers: app.scope.kind === 'providers' ? app.scope.providers : [],
    keys: app.scope.kind === 'keys' ? app.scope.keys : [],
    models: app.models,
    endpoints: app.endpoints,
    origins: app.origins,
    addresses: app.addresses,
    maxOutputTokens: app.maxOutputTokens,
    dpop: app.dpop,
    ...spendingView(app),
    rate: app.rate,
    concurrency: app.concurrency,
    quotas: app.quotas,
    budgets: app.budgets,
    userRate: app.userRate,
    userConcurrency: app.userConcurrency,
    userQuotas: app.userQuotas,
    userBudgets: app.userBudgets,
    userTtlSeconds: app.userTtlMs / 1000,
    sessionSeconds: app.sessionMs / 1000,
    maxUsers: app.maxUsers,
    createdAt: time(app.createdAtMs),
    revokedAt: time(app.revokedAtMs),
    credentials: app.credentials.map(({ createdAtMs, endsAtMs }) => ({ createdAt: time(createdAtMs), endsAt: time(endsAtMs) })),
  }
}

export function appText(app: AppRecord): string {
  const any = (list: readonly string[], none: string) => (list.length === 0 ? none : list.join(', '))
  return [
    facts([
      ['id', app.id],
      ['name', app.name],
      ['state', appState(app)],
      ['opens', scopeText(app.scope)],
      ['models', any(app.models, 'any')],
      ['endpoints', any(app.endpoints, 'inference')],
      ['origins', any(app.origins, 'any')],
      ['addresses', any(app.addresses, 'any')],
      ['max output', maxOutputText(app)],
      ...spendingFacts(app),
      ['rate', `${app.rate ?? 'no limit'} for all users together, ${app.userRate ?? 'no limit'} for each`],
      ['concurrency', `${app.concurrency ?? 'no limit'} for all users together, ${app.userConcurrency ?? 'no limit'} for each`],
      ['quotas', `${any(app.quotas, 'none')} for all users together, ${any(app.userQuotas, 'none')} for each`],
      ['budgets', `${any(app.budgets, 'none')} for all users together, ${any(app.userBudgets, 'none')} for each`],
      ['token of a user', `lasts ${formatDuration(app.userTtlMs)}${app.dpop ? ', bound to a key of the client' : ''}`],
      ['session', app.sessionMs === 0 ? 'none: a token cannot be exchanged for a new one' : formatDuration(app.sessionMs)],
      ['users', `at most ${app.maxUsers}`],
      ['created', time(app.createdAtMs)],
      ['revoked', time(app.revokedAtMs)],
    ]),
    ...app.credentials.map(({ createdAtMs, endsAtMs }) =>
      printable(`credential of ${time(createdAtMs)}${endsAtMs === null ? '' : `, ends ${time(endsAtMs)}`}`),
    ),
  ].join('\n')
}

export function appUserView(user: AppUserRecord): Record<string, unknown> {
  return {
    id: user.id,
    user: user.user,
    appId: user.app,
    issuerId: user.issuer,
    state: user.revokedAtMs === null ? 'active' : 'blocked',
    createdAt: time(user.createdAtMs),
    keptUntil: time(user.expiresAtMs),
    revokedAt: time(user.revokedAtMs),
  }
}
