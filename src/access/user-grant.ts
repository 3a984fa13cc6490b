import { type AppRecord, anyKey, type IssuerRecord } from '../stores/records.js'
import type { AppUserAndTokens, GrantAndTokens } from '../stores/store.js'

/** The grant of an app's user: the app's template as it is now, so that a change of it, or its end, is one for every user at once. */
export function userGrant(app: AppRecord, { user, ended }: AppUserAndTokens, issuers: readonly IssuerRecord[]): GrantAndTokens {
  const vouched = user.issuer === null || issuers.some(issuer => issuer.id === user.issuer && issuer.app === app.id)
  return {
    epoch: user.epoch,
    tokens: ended,
    grant: {
      id: user.id,
      tenant: app.tenant,
      name: app.name,
      subject: user.user,
      scope: app.scope,
      models: app.models,
      endpoints: app.endpoints,
      origins: app.origins,
      addresses: app.addresses,
      rate: app.userRate,
      concurrency: app.userConcurrency,
      maxOutputTokens: app.maxOutputTokens,
      retry5xx: app.retry5xx,
      dpop: app.dpop ? anyKey : null,
      quotas: app.userQuotas,
      budgets: app.userBudgets,
      maxCallMicroDollars: app.maxCallMicroDollars,
      clampOutput: app.clampOutput,
      shadow: app.shadow,
      letFinish: app.letFinish,
      createdAtMs: user.createdAtMs,
      expiresAtMs: user.expiresAtMs,
      // an issuer that is not trusted any more vouches for nobody
      revokedAtMs: user.revokedAtMs ?? app.revokedAtMs ?? (vouched ? null : user.createdAtMs),
      cutStreams: user.cutStreams || app.cutStreams,
      app: { id: app.id, rate: app.rate, concurrency: app.concurrency, quotas: app.quotas, budgets: app.budgets },
    },
  }
}
