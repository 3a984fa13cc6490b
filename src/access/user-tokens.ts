import { SoakpError } from '../errors.js'
import { compileGlobs } from '../lib/glob.js'
import { derivedId, newId } from '../lib/id.js'
import type { AppRecord, IssuerRecord } from '../stores/records.js'
import type { Store } from '../stores/store.js'
import type { LiveGrant } from './access.js'
import { type SigningKey, signToken, type TokenClaims } from './access-token.js'
import type { Policy } from './policy.js'

/** For whom a token is, and what it is to be narrowed to. */
export interface UserWish {
  /** As the app's backend or the issuer names the user. */
  readonly user: string
  /** Undefined: the app's backend vouched. */
  readonly issuer?: Pick<IssuerRecord, 'id' | 'name'>
  /** Shorter than the template's. */
  readonly ttlMs?: number
  /** Globs; narrower than the template's. */
  readonly models?: readonly string[]
  /** Of the key that it is to be bound to. */
  readonly thumbprint?: string | undefined
  /** Whether it can be exchanged for a new one for as long as the app's session lasts. */
  readonly refreshable: boolean
}

export interface UserToken {
  readonly token: string
  readonly grantId: string
  readonly subject: string
  readonly expiresAtMs: number
  /** Undefined: it cannot be exchanged for a new one. */
  readonly sessionEndsAtMs: number | undefined
  /** Of the key that it is bound to. */
  readonly thumbprint: string | undefined
}

/** Access tokens of an app's users. */
export interface UserTokens {
  /** Throws `usage`, `model_not_allowed`, `user_blocked`, `app_full`, `dpop_missing`. */
  issue(app: AppRecord, wish: UserWish): Promise<UserToken>
  /** The id of the user's grant, which is made if there is none. Throws `usage`, `user_blocked`, `app_full`. */
  keep(app: AppRecord, wish: Pick<UserWish, 'user' | 'issuer'>, neededUntilMs: number): Promise<string>
  /** A new token in place of a live one, until its session ends, bound to the key given, else to the same as before. Throws `session_ended`. */
  refresh(live: LiveGrant, thumbprint?: string): Promise<UserToken>
  /** Ends every access token of a user that the app's backend vouched for. False: there is no such user. */
  logout(app: AppRecord, user: string): Promise<boolean>
  /** A derived id stands for a token that may be used once. */
  spend(id: string, keepUntilMs: number): Promise<boolean>
}

export interface UserTokensDeps {
  readonly store: Pick<Store, 'keepAppUser' | 'endAppUserTokens' | 'spend' | 'pruneApps'>
  readonly policy: Pick<Policy, 'refresh' | 'grant' | 'forgetGrant' | 'app' | 'issuers'>
  readonly instanceId: string
  readonly signingKey: SigningKey
  readonly now: () => number
}

/** How much longer than its tokens a user's record is kept, so that it need not be written for each of them. */
const slackMs = 86_400_000
const pruneEveryMs = 600_000
const maxUserLength = 200
const maxWishes = 20
const maxWishLength = 64

export function createUserTokens({ store, policy, instanceId, signingKey, now }: UserTokensDeps): UserTokens {
  let prunedAtMs = now()

  async function prune(): Promise<void> {
    const at = now()
    if (at - prunedAtMs < pruneEveryMs) return
    prunedAtMs = at
    await store.pruneApps(at)
  }

  async function keep(app: AppRecord, { user, issuer }: Pick<UserWish, 'user' | 'issuer'>, neededUntilMs: number): Promise<string> {
    checkUser(user)
    if (app.revokedAtMs !== null) throw new SoakpError('app_revoked')
    const id = userGrantId(app, user, issuer?.id)
    await policy.refresh()
    const found = (await policy.grant(id))?.grant
    if (found && found.revokedAtMs !== null) throw new SoakpError('user_blocked')
    if (found && found.expiresAtMs >= neededUntilMs) return id
    await prune()
    const kept = await store.keepAppUser(
      {
        id,
        tenant: app.tenant,
        app: app.id,
        issuer: issuer?.id ?? null,
        user: issuer ? `${issuer.name}:${user}` : user,
        epoch: 1,
        createdAtMs: now(),
        expiresAtMs: neededUntilMs + slackMs,
        revokedAtMs: null,
        cutStreams: false,
      },
      app.maxUsers,
      now(),
    )
    if (!kept) throw new SoakpError('app_full', `It may have ${app.maxUsers}.`, { retryAfterSeconds: 60 })
    policy.forgetGrant(id)
    return id
  }

  /** Keys and usage go by the name: whom an issuer vouches for, no backend can name. */
  async function checkNamespace({ tenant }: AppRecord, user: string): Promise<void> {
    await policy.refresh()
    const issuer = (await policy.issuers()).find(other => other.tenant === tenant && user.startsWith(`${other.name}:`))
    if (issuer) throw new SoakpError('usage', `The userId begins with ${issuer.name}:, as those of the trusted issuer do.`)
  }

  async function sign(
    grantId: string,
    claims: Pick<TokenClaims, 'expiresAtMs' | 'sessionId' | 'sessionEndsAtMs' | 'models' | 'thumbprint'>,
  ): Promise<UserToken> {
    const found = await policy.grant(grantId)
    if (!found || found.grant.revokedAtMs !== null) throw new SoakpError('user_blocked')
    const subject = found.grant.subject ?? grantId
    const jti = newId('tok')
    const token = await signToken(
      { ...claims, jti, sessionId: claims.sessionId ?? jti, grantId, subject, issuedAtMs: now(), epoch: found.epoch },
      instanceId,
      signingKey,
    )
    const { expiresAtMs, sessionEndsAtMs, thumbprint } = claims
    return { token, grantId, subject, expiresAtMs, sessionEndsAtMs, thumbprint }
  }

  return {
    keep,

    async issue(app, wish) {
      const { ttlMs, models, thumbprint } = wish
      if (app.dpop && thumbprint === undefined) throw new SoakpError('dpop_missing', 'The app binds every access token to a key.')
      if (wish.issuer === undefined) await checkNamespace(app, wish.user)
      if (models) checkModels(models, app)
      if (ttlMs !== undefined && !(ttlMs >= 1000)) throw new SoakpError('usage', 'A lifetime is at least one second.')
      const at = now()
      const expiresAtMs = wholeSeconds(at + Math.min(ttlMs ?? app.userTtlMs, app.userTtlMs))
      const sessionEndsAtMs = wish.refreshable && app.sessionMs > 0 ? wholeSeconds(at + app.sessionMs) : undefined
      const id = await keep(app, wish, expiresAtMs)
      return sign(id, { expiresAtMs, sessionEndsAtMs, models, thumbprint })
    },

    async refresh({ record, claims }, thumbprint = claims.thumbprint) {
      const { models } = claims
      const at = now()
      if (!record.app || claims.sessionEndsAtMs === undefined) throw new SoakpError('session_ended', 'It was made to end when it ends.')
      const app = await policy.app(record.app.id)
      // the template may have been made shorter since
      const sessionEndsAtMs = Math.min(claims.sessionEndsAtMs, claims.issuedAtMs + (app?.sessionMs ?? 0))
      if (sessionEndsAtMs - at < 1000 || !app) throw new SoakpError('session_ended')
      // never longer than the token it replaces: the backend may have asked for a short one
      const lifetimeMs = Math.min(app.userTtlMs, claims.expiresAtMs - claims.issuedAtMs)
      const expiresAtMs = wholeSeconds(Math.min(at + lifetimeMs, sessionEndsAtMs))
      if (record.expiresAtMs < expiresAtMs) await store.keepAppUser(prolonged(record, record.app.id, expiresAtMs), app.maxUsers, at)
      return sign(record.id, { expiresAtMs, sessionId: claims.sessionId, sessionEndsAtMs, models, thumbprint })
    },

    async logout(app, user) {
      checkUser(user)
      return store.endAppUserTokens(userGrantId(app, user, undefined), now())
    },

    async spend(id, keepUntilMs) {
      await prune()
      return store.spend(id, keepUntilMs)
    },
  }
}

/** Only `id` and `expiresAtMs` count where there is such a user already, and there is: its token is alive. */
function prolonged(record: LiveGrant['record'], app: string, expiresAtMs: number) {
  return {
    id: record.id,
    tenant: record.tenant,
    app,
    issuer: null,
    user: record.subject ?? '',
    epoch: 1,
    createdAtMs: record.createdAtMs,
    expiresAtMs: expiresAtMs + slackMs,
    revokedAtMs: null,
    cutStreams: false,
  }
}

/** The same for the same user, whoever asks and however often, so that every limit knows who comes back. */
function userGrantId(app: Pick<AppRecord, 'tenant' | 'id'>, user: string, issuerId: string | undefined): string {
  return derivedId('grt', [app.tenant, app.id, issuerId ?? '', user])
}

/** The grant of a user as an app's backend names it, whether or not he has come yet. Throws `usage` for what cannot be a name. */
export function grantOfUser(app: Pick<AppRecord, 'tenant' | 'id'>, user: string): string {
  checkUser(user)
  return userGrantId(app, user, undefined)
}

/** A JWT counts in whole seconds. */
function wholeSeconds(atMs: number): number {
  return Math.floor(atMs / 1000) * 1000
}

/** Names are compared byte by byte: what a person cannot see must not make two of one. */
function checkUser(user: string): void {
  const fault =
    user === ''
      ? 'is empty'
      : user.length > maxUserLength
        ? `is longer than ${maxUserLength} characters`
        : /\p{Cs}/u.test(user)
          ? 'is no valid Unicode'
          : /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/u.test(user)
            ? 'holds characters that cannot be seen'
            : user.trim() !== user
              ? 'begins or ends with a space'
              : undefined
  if (fault !== undefined) throw new SoakpError('usage', `The userId ${fault}.`)
}

/** A wish that the template does not open is told at once, rather than with every call. */
function checkModels(models: readonly string[], app: AppRecord): void {
  if (models.length === 0 || models.length > maxWishes) throw new SoakpError('usage', `1 to ${maxWishes} models can be named.`)
  const bad = models.find(model => model.length > maxWishLength || !/^[\x21-\x7e]+$/.test(model))
  if (bad !== undefined)
    throw new SoakpError('usage', `${JSON.stringify(bad.slice(0, maxWishLength))} is not a model's name, in which * stands for anything.`)
  const allowed = compileGlobs(app.models)
  const closed = app.models.length > 0 && models.find(model => !model.includes('*') && !allowed(model))
  if (closed) throw new SoakpError('model_not_allowed', `The app does not open ${closed}.`)
}
