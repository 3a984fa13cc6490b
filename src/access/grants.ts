import { SoakpError } from '../errors.js'
import { derivedId, newId } from '../lib/id.js'
import { anyKey, type GrantRecord, type TokenRecord } from '../stores/records.js'
import type { GrantAndTokens, GrantPatch, Store } from '../stores/store.js'
import type { Access, IssuedToken, NewGrant } from './access.js'
import { type SigningKey, signToken } from './access-token.js'
import { type AuthenticateDeps, createAuthenticate } from './authenticate.js'
import { type CheckScope, checkGrant, checkLifetime } from './check-grant.js'
import type { Policy } from './policy.js'

export interface AccessDeps {
  readonly store: Pick<
    Store,
    | 'insertGrant'
    | 'getGrant'
    | 'listGrants'
    | 'updateGrant'
    | 'replaceTokens'
    | 'endToken'
    | 'updateAppUser'
    | 'endAppUserToken'
    | 'endAppUserTokens'
    | 'spend'
  >
  readonly policy: Policy
  readonly instanceId: string
  /** The first one signs; all of them verify. */
  readonly signingKeys: readonly [SigningKey, ...SigningKey[]]
  readonly checkScope: CheckScope
  readonly authenticateOfIssuer?: AuthenticateDeps['ofIssuer']
  readonly now: () => number
}

const makeNew = 'make a new one with `soakp token create`'

/** How far the clocks of those who made a token and of ours may lie apart: 60 s, with what a second is rounded to. */
const clockToleranceMs = 61_000

export function createAccess(deps: AccessDeps): Access {
  const { store, policy, instanceId, signingKeys, now } = deps

  async function existing(id: string): Promise<GrantAndTokens> {
    await policy.refresh()
    const found = await policy.grant(id)
    if (!found) throw new SoakpError('grant_not_found', id, { hint: '`soakp token list` shows what there is' })
    return found
  }

  /** One that the operator made and may change. */
  async function made(id: string): Promise<GrantAndTokens> {
    const found = await existing(id)
    if (found.grant.app) {
      throw new SoakpError('usage', `${id} is the grant of one user of the app ${found.grant.app.id}.`, {
        hint: `soakp app set ${found.grant.app.id} changes what its users may do; soakp token revoke blocks this one`,
      })
    }
    return found
  }

  async function issue(grant: GrantRecord, token: TokenRecord, thumbprint = keyOf(grant)): Promise<IssuedToken> {
    const claims = {
      jti: token.jti,
      grantId: grant.id,
      subject: grant.subject ?? grant.id,
      issuedAtMs: token.issuedAtMs,
      expiresAtMs: token.expiresAtMs,
      thumbprint,
    }
    return { grant, token: await signToken(claims, instanceId, signingKeys[0]), expiresAtMs: token.expiresAtMs }
  }

  const check = (rules: Partial<GrantRecord>, tenant: string) => checkGrant(rules, tenant, deps.checkScope)

  return {
    async create(wanted) {
      checkLifetime(wanted.lifetimeMs)
      const grant = makeGrant(wanted, now())
      await check(grant, grant.tenant)
      const token = { jti: newId('tok'), grantId: grant.id, issuedAtMs: grant.createdAtMs, expiresAtMs: grant.expiresAtMs }
      const issued = await issue(grant, token)
      await store.insertGrant(grant, token)
      return issued
    },

    async set(id, patch: GrantPatch) {
      const { grant } = await made(id)
      if (grant.revokedAtMs !== null) throw new SoakpError('token_revoked', id, { hint: makeNew })
      await check(patch, grant.tenant)
      // an end that has passed is one, too
      if (patch.expiresAtMs !== undefined) checkLifetime(Math.max(1000, patch.expiresAtMs - now()))
      if (!(await store.updateGrant(id, patch))) throw new SoakpError('grant_not_found', id)
      return { ...grant, ...patch }
    },

    async list() {
      return store.listGrants()
    },

    show: existing,

    async rotate(id, graceMs) {
      const { grant } = await made(id)
      if (grant.revokedAtMs !== null) throw new SoakpError('token_revoked', id, { hint: makeNew })
      const at = now()
      if (grant.expiresAtMs <= at) throw new SoakpError('token_expired', id, { hint: makeNew })
      const token = { jti: newId('tok'), grantId: id, issuedAtMs: at, expiresAtMs: grant.expiresAtMs }
      const issued = await issue(grant, token)
      if (!(await store.replaceTokens(token, at + graceMs))) throw new SoakpError('token_revoked', id)
      return issued
    },

    async bind({ record, token, claims }, thumbprint) {
      const mayBind = record.dpop !== null && claims.thumbprint === undefined && thumbprint !== undefined
      if (!mayBind || record.app) throw new SoakpError('session_ended', 'It was made to end when it ends.')
      if (!(await store.spend(derivedId('tok', ['bound', token.jti]), claims.expiresAtMs))) throw new SoakpError('token_revoked')
      const bound = { jti: newId('tok'), grantId: record.id, issuedAtMs: now(), expiresAtMs: token.expiresAtMs }
      const issued = await issue(record, bound, thumbprint)
      if (!(await store.replaceTokens(bound, now()))) throw new SoakpError('token_revoked')
      return issued
    },

    async revoke(id, cutStreams) {
      const { grant } = await existing(id)
      const patch = { revokedAtMs: grant.revokedAtMs ?? now(), cutStreams: cutStreams || grant.cutStreams }
      const done = await (grant.app ? store.updateAppUser(id, patch) : store.updateGrant(id, patch))
      if (!done) throw new SoakpError('grant_not_found', id)
    },

    async logout({ record, token, claims }, everywhere) {
      const at = now()
      if (!record.app) await store.endToken(record.id, token.jti, at)
      else if (everywhere) await store.endAppUserTokens(record.id, at)
      else {
        const { jti, sessionId = jti, expiresAtMs, sessionEndsAtMs = expiresAtMs } = claims
        const keepUntilMs = Math.max(expiresAtMs, sessionEndsAtMs) + clockToleranceMs
        await store.endAppUserToken({ ...token, jti: sessionId, expiresAtMs: at }, keepUntilMs)
      }
    },

    authenticate: createAuthenticate({
      policy,
      instanceId,
      signingKeys,
      now,
      ofIssuer: deps.authenticateOfIssuer,
    }),

    jwks() {
      return { keys: signingKeys.map(key => key.publicJwk) }
    },
  }
}

/** The one key that tokens of the grant are bound to when they are made. */
function keyOf({ dpop }: GrantRecord): string | undefined {
  return dpop === null || dpop === anyKey ? undefined : dpop
}

function makeGrant(wanted: NewGrant, now: number): GrantRecord {
  return {
    id: newId('grt'),
    tenant: wanted.tenant ?? 'default',
    name: wanted.name,
    subject: wanted.subject ?? null,
    scope: wanted.scope,
    models: wanted.models ?? [],
    endpoints: wanted.endpoints ?? [],
    origins: wanted.origins ?? [],
    addresses: wanted.addresses ?? [],
    rate: wanted.rate ?? null,
    concurrency: wanted.concurrency ?? null,
    maxOutputTokens: wanted.maxOutputTokens ?? null,
    retry5xx: wanted.retry5xx ?? false,
    dpop: wanted.dpop ?? null,
    quotas: wanted.quotas ?? [],
    budgets: wanted.budgets ?? [],
    maxCallMicroDollars: wanted.maxCallMicroDollars ?? null,
    clampOutput: wanted.clampOutput ?? false,
    shadow: wanted.shadow ?? false,
    letFinish: wanted.letFinish ?? false,
    createdAtMs: now,
    // a JWT counts in whole seconds
    expiresAtMs: Math.floor((now + wanted.lifetimeMs) / 1000) * 1000,
    revokedAtMs: null,
    cutStreams: false,
  }
}
