import { SoakpError } from '../errors.js'
import { newId } from '../lib/id.js'
import type { Outbound } from '../lib/outbound.js'
import type { AppRecord, IssuerRecord } from '../stores/records.js'
import type { Store } from '../stores/store.js'
import type { TokenClaims } from './access-token.js'
import { maxTokenLength } from './access-token.js'
import { checkName } from './check-grant.js'
import { checkIssuerUrl, createIssuerKeys, fetchIssuer, type Published } from './issuer-keys.js'
import { checkClaims, peekIssuerToken, type Vouched, verifyIssuerToken } from './issuer-token.js'
import type { Policy } from './policy.js'
import type { UserTokens } from './user-tokens.js'

export interface NewIssuer {
  readonly url: string
  readonly app: string
  readonly name?: string
  readonly audiences?: readonly string[]
  readonly parties?: readonly string[]
  readonly claims?: readonly { readonly name: string; readonly value: string }[]
  readonly jwksUrl?: string
  readonly allowPrivate?: boolean
  readonly direct?: boolean
  readonly once?: boolean
  /** Asks the issuer first; its own spelling of its name is what is stored. */
  readonly check?: boolean
}

/** Issuers whose JWTs stand for a user. */
export interface Issuers {
  /** Throws `usage`, `base_url_refused`, `app_not_found`, `issuer_refused`, `issuer_unavailable`, before anything is stored. */
  add(issuer: NewIssuer): Promise<IssuerRecord>
  list(): Promise<IssuerRecord[]>
  /** Throws `issuer_not_found`. */
  show(id: string): Promise<IssuerRecord>
  /** From the next call on its tokens open nothing, nor do those that were had for them. Throws `issuer_not_found`. */
  remove(id: string): Promise<void>
  /** Asks the issuer now. Throws `issuer_not_found`, `issuer_refused`, `issuer_unavailable`. */
  check(id: string): Promise<Published>
  /** Whom a JWT vouches for. `address`: who sent it. Throws `issuer_token_refused`, `issuer_unavailable`, `too_many_failures`. */
  verify(token: string, address: string | undefined): Promise<Vouched>
  /** The same for a token that opens the relay itself; undefined: it is of no issuer whose tokens do. Makes the user's grant. */
  claimsOf(token: string, address: string | undefined): Promise<TokenClaims | undefined>
}

export interface IssuersDeps {
  readonly store: Pick<Store, 'insertIssuer' | 'listIssuers' | 'removeIssuer' | 'getApp'>
  readonly policy: Pick<Policy, 'refresh' | 'issuers' | 'app'>
  readonly users: Pick<UserTokens, 'keep'>
  readonly outbound: Pick<Outbound, 'pool'>
  readonly mayCheck: (address: string) => boolean
  readonly now: () => number
}

export function createIssuers({ store, policy, users, outbound, mayCheck, now }: IssuersDeps): Issuers {
  const cache = createIssuerKeys(outbound, now)

  async function existing(id: string): Promise<IssuerRecord> {
    const found = (await store.listIssuers()).find(issuer => issuer.id === id)
    if (!found) throw new SoakpError('issuer_not_found', id, { hint: '`soakp issuer list` shows what there is' })
    return found
  }

  async function verify(
    token: string,
    address: string | undefined,
    among: (issuer: IssuerRecord) => boolean,
  ): Promise<Vouched | undefined> {
    const claimed = peekIssuerToken(token)
    if (!claimed) return undefined
    await policy.refresh()
    const candidates = (await policy.issuers()).filter(issuer => issuer.url === claimed.payload.iss && among(issuer))
    const issuer = meant(candidates, claimed, now())
    if (!issuer) return undefined
    if (address !== undefined && !mayCheck(address)) throw new SoakpError('too_many_failures', undefined, { retryAfterSeconds: 1 })
    const keys = await cache.keys(issuer, claimed.kid)
    try {
      return await verifyIssuerToken(token, issuer, keys, now())
    } catch (error) {
      const newer = await cache.keys(issuer, claimed.kid, keys)
      if (newer === keys) throw error
      return verifyIssuerToken(token, issuer, newer, now())
    }
  }

  return {
    async add(wanted) {
      const issuer = makeIssuer(wanted, now())
      checkIssuer(issuer)
      const app = await store.getApp(issuer.app)
      if (!app) throw new SoakpError('app_not_found', issuer.app, { hint: '`soakp app list` shows what there is' })
      if (app.revokedAtMs !== null) throw new SoakpError('app_revoked', issuer.app)
      if ((await store.listIssuers()).some(other => other.name === issuer.name))
        throw new SoakpError('usage', `There is an issuer ${issuer.name} already: give this one another --name.`)
      const found = wanted.check === false ? undefined : await fetchIssuer(issuer, outbound)
      const record = { ...issuer, tenant: app.tenant, url: found?.url ?? issuer.url }
      await store.insertIssuer(record)
      return record
    },

    async list() {
      return store.listIssuers()
    },

    show: existing,

    async remove(id) {
      if (!(await store.removeIssuer(id))) await existing(id)
    },

    async check(id) {
      return fetchIssuer(await existing(id), outbound)
    },

    async verify(token, address) {
      const vouched = await verify(token, address, () => true)
      if (!vouched) throw new SoakpError('issuer_token_refused', 'No issuer that is trusted here made it.')
      return vouched
    },

    async claimsOf(token, address) {
      if (token.length > maxTokenLength || !(await policy.issuers()).some(({ direct }) => direct)) return undefined
      const vouched = await verify(token, address, issuer => issuer.direct)
      if (!vouched) return undefined
      const app: AppRecord | undefined = await policy.app(vouched.issuer.app)
      if (!app) return undefined
      const { id, issuer, user, issuedAtMs, expiresAtMs, thumbprint } = vouched
      const grantId = await users.keep(app, { user, issuer }, expiresAtMs)
      return { jti: id, grantId, subject: `${issuer.name}:${user}`, issuedAtMs, expiresAtMs, thumbprint, issuer: issuer.id }
    },
  }
}

/** Of several records for one issuer, the one whose rules the token fulfils; where none is, the first one says why. */
function meant(candidates: readonly IssuerRecord[], claimed: Parameters<typeof checkClaims>[0], now: number): IssuerRecord | undefined {
  let why: unknown
  for (const issuer of candidates) {
    try {
      checkClaims(claimed, issuer, now)
      return issuer
    } catch (error) {
      why ??= error
    }
  }
  if (why !== undefined) throw why
  return undefined
}

function makeIssuer(wanted: NewIssuer, now: number): IssuerRecord {
  const url = URL.canParse(wanted.url) ? new URL(wanted.url) : undefined
  return {
    id: newId('iss'),
    tenant: 'default',
    name: wanted.name ?? url?.hostname ?? '',
    url: wanted.url,
    app: wanted.app,
    audiences: wanted.audiences ?? [],
    parties: wanted.parties ?? [],
    claims: wanted.claims ?? [],
    jwksUrl: wanted.jwksUrl ?? null,
    allowPrivate: wanted.allowPrivate ?? false,
    direct: wanted.direct ?? false,
    once: wanted.once ?? false,
    createdAtMs: now,
  }
}

function checkIssuer({ name, url, jwksUrl, allowPrivate, audiences, parties, claims, direct, once }: IssuerRecord): void {
  checkIssuerUrl(url, allowPrivate)
  if (jwksUrl !== null) checkIssuerUrl(jwksUrl, allowPrivate)
  checkName(name)
  if (!/^[\w.-]{1,100}$/.test(name))
    throw new SoakpError('usage', 'The name of an issuer has letters, digits, dots, dashes and underscores.')
  if (audiences.length === 0 && parties.length === 0) {
    throw new SoakpError('usage', 'A token made for somebody else would open this too.', {
      hint: 'say --audience, or --azp where the issuer writes no audience (Clerk)',
    })
  }
  if (audiences.length > 20 || parties.length > 20 || claims.length > 20)
    throw new SoakpError('usage', 'At most 20 of each fit into an issuer.')
  if (direct && once)
    throw new SoakpError('usage', '--direct and --once exclude each other: a token that opens the relay itself is used with every call.')
}
