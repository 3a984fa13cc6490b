import { SoakpError } from '../errors.js'
import { newId } from '../lib/id.js'
import { parseRate } from '../lib/rate.js'
import type { GrantRecord, GrantScope, TokenRecord } from '../stores/records.js'
import type { GrantAndTokens, GrantPatch, Store } from '../stores/store.js'
import type { Access, IssuedToken, NewGrant } from './access.js'
import { type SigningKey, signToken } from './access-token.js'
import { createAuthenticate } from './authenticate.js'
import type { Policy } from './policy.js'
import { checkRules } from './rules.js'

export interface AccessDeps {
  readonly store: Pick<Store, 'insertGrant' | 'getGrant' | 'listGrants' | 'updateGrant' | 'replaceTokens'>
  readonly policy: Policy
  readonly instanceId: string
  /** The first one signs; all of them verify. */
  readonly signingKeys: readonly [SigningKey, ...SigningKey[]]
  /** Throws `usage` when the scope names a provider or key that is not there. */
  readonly checkScope: (scope: GrantScope, tenant: string) => Promise<void>
  readonly now: () => number
}

const longestLifetimeMs = 10 * 366 * 86_400_000

export function createAccess(deps: AccessDeps): Access {
  const { store, policy, instanceId, signingKeys, now } = deps

  async function existing(id: string): Promise<GrantAndTokens> {
    const found = await store.getGrant(id)
    if (!found) throw new SoakpError('grant_not_found', id, { hint: 'soakp token list shows them' })
    return found
  }

  async function issue(grant: GrantRecord, token: TokenRecord): Promise<IssuedToken> {
    const claims = {
      jti: token.jti,
      grantId: grant.id,
      subject: grant.subject ?? grant.id,
      issuedAtMs: token.issuedAtMs,
      expiresAtMs: token.expiresAtMs,
    }
    return { grant, token: await signToken(claims, instanceId, signingKeys[0]), expiresAtMs: token.expiresAtMs }
  }

  async function check(rules: Partial<GrantRecord>, tenant: string): Promise<void> {
    checkRules(rules)
    if (typeof rules.rate === 'string' && !parseRate(rules.rate))
      throw new SoakpError('usage', `${JSON.stringify(rules.rate)} is not a rate such as 60/m.`)
    checkCount('concurrency', rules.concurrency)
    checkCount('the output limit', rules.maxOutputTokens)
    if (rules.name !== undefined && (rules.name.length === 0 || rules.name.length > 200))
      throw new SoakpError('usage', 'A name has 1 to 200 characters.')
    if (rules.scope) {
      checkSize(rules.scope)
      await deps.checkScope(rules.scope, tenant)
    }
  }

  return {
    async create(wanted) {
      if (!(wanted.lifetimeMs >= 1000 && wanted.lifetimeMs <= longestLifetimeMs))
        throw new SoakpError('usage', 'A lifetime is between one second and ten years.')
      const grant = makeGrant(wanted, now())
      await check(grant, grant.tenant)
      const token = { jti: newId('tok'), grantId: grant.id, issuedAtMs: grant.createdAtMs, expiresAtMs: grant.expiresAtMs }
      const issued = await issue(grant, token)
      await store.insertGrant(grant, token)
      return issued
    },

    async set(id, patch: GrantPatch) {
      const { grant } = await existing(id)
      if (grant.revokedAtMs !== null) throw new SoakpError('token_revoked', id)
      await check(patch, grant.tenant)
      if (!(await store.updateGrant(id, patch))) throw new SoakpError('grant_not_found', id)
      return { ...grant, ...patch }
    },

    async list() {
      return store.listGrants()
    },

    show: existing,

    async rotate(id, graceMs) {
      const { grant } = await existing(id)
      if (grant.revokedAtMs !== null) throw new SoakpError('token_revoked', id)
      const at = now()
      if (grant.expiresAtMs <= at) throw new SoakpError('token_expired', id, { hint: 'make a new one with soakp token create' })
      const token = { jti: newId('tok'), grantId: id, issuedAtMs: at, expiresAtMs: grant.expiresAtMs }
      const issued = await issue(grant, token)
      if (!(await store.replaceTokens(token, at + graceMs))) throw new SoakpError('token_revoked', id)
      return issued
    },

    async revoke(id, cutStreams) {
      const { grant } = await existing(id)
      const patch = { revokedAtMs: grant.revokedAtMs ?? now(), cutStreams: cutStreams || grant.cutStreams }
      if (!(await store.updateGrant(id, patch))) throw new SoakpError('grant_not_found', id)
    },

    authenticate: createAuthenticate({ policy, instanceId, signingKeys, now }),

    jwks() {
      return { keys: signingKeys.map(key => key.publicJwk) }
    },
  }
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
    createdAtMs: now,
    // a JWT counts in whole seconds
    expiresAtMs: Math.floor((now + wanted.lifetimeMs) / 1000) * 1000,
    revokedAtMs: null,
    cutStreams: false,
  }
}

function checkCount(what: string, count: number | null | undefined): void {
  if (count === null || count === undefined) return
  if (!Number.isSafeInteger(count) || count < 1) throw new SoakpError('usage', `For ${what} a whole number of at least 1 is needed.`)
}

function checkSize(scope: GrantScope): void {
  const names = scope.kind === 'providers' ? scope.providers : scope.kind === 'keys' ? scope.keys : ['all']
  if (names.length === 0) throw new SoakpError('usage', 'A grant needs a provider, a key, or --all.')
  if (names.length > 200) throw new SoakpError('usage', 'At most 200 providers or keys fit into a grant.')
}
