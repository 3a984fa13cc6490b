import type { MaybePromise } from '../lib/maybe.js'
import type { GrantRecord, GrantScope, TokenRecord } from '../stores/records.js'
import type { GrantAndTokens, GrantPatch } from '../stores/store.js'
import type { TokenClaims } from './access-token.js'

/** What `token create` knows. What is absent is not limited. */
export interface NewGrant {
  readonly scope: GrantScope
  /** 1 to 200 characters. */
  readonly name: string
  /** Whose it is, for reports; the token's `sub`. */
  readonly subject?: string
  /** Default: `default`. */
  readonly tenant?: string
  /** From one second to ten years. */
  readonly lifetimeMs: number
  /** Names, in which `*` stands for anything. */
  readonly models?: readonly string[]
  /** `inference` (the default, which a list replaces), `account`, `all-resources`, `*`, or `[METHOD ]/path`. */
  readonly endpoints?: readonly string[]
  /** Web origins, as browsers send them. */
  readonly origins?: readonly string[]
  /** Addresses or CIDR blocks. */
  readonly addresses?: readonly string[]
  /** `60/m`, over a sliding window. */
  readonly rate?: string
  /** Calls that are open at once, streams included. */
  readonly concurrency?: number
  /** The most model tokens that one call may ask for. */
  readonly maxOutputTokens?: number
  /** Whether a 5xx is tried again with another key, though the work may have been done and billed. */
  readonly retry5xx?: boolean
  /** Thumbprint of the key that its tokens are bound to, or `anyKey`. */
  readonly dpop?: string
  /** `1000/d` */
  readonly quotas?: readonly string[]
  /** `5usd/month`, `1000000tokens/d` */
  readonly budgets?: readonly string[]
  /** What a call whose worst case has no bound is taken to cost at most, in micro-dollars. Without it such a call is refused under a budget. */
  readonly maxCallMicroDollars?: number
  /** A call that asks for more than `maxOutputTokens` is given that much instead of being refused. */
  readonly clampOutput?: boolean
  /** Quotas and budgets refuse nothing; who would have been refused is written down. */
  readonly shadow?: boolean
  /** Streams that pass a budget are not cut. */
  readonly letFinish?: boolean
}

export interface IssuedToken {
  readonly grant: GrantRecord
  /** The access token, a JWT. It is not kept and cannot be shown again. */
  readonly token: string
  readonly expiresAtMs: number
}

/** A grant as it is at this instant, and the token it was reached by. */
export interface LiveGrant {
  readonly record: GrantRecord
  readonly token: TokenRecord
  /** What the token says, verified. */
  readonly claims: TokenClaims
}

/** Grants and their access tokens. Safe to call concurrently; every change has been committed when its promise resolves, and store errors are passed on. */
export interface Access {
  /** Throws `usage` with what is wrong about a rule, before anything is stored. */
  create(grant: NewGrant): Promise<IssuedToken>
  /** Throws `grant_not_found`. Lists are replaced, not added to. */
  set(id: string, patch: GrantPatch): Promise<GrantRecord>
  /** Those that ended or were revoked too. */
  list(): Promise<GrantRecord[]>
  /** Throws `grant_not_found`. */
  show(id: string): Promise<GrantAndTokens>
  /** A new token for the same grant; older ones end after `graceMs`. Throws `grant_not_found`, `token_revoked`. */
  rotate(id: string, graceMs: number): Promise<IssuedToken>
  /**
   * In place of a token that is bound to no key one that is, for as long; older ones end. Of one token once. Throws `session_ended` where the grant asks for no key or the token
   * was bound already: such tokens are not exchanged.
   */
  bind(live: LiveGrant, thumbprint: string | undefined): Promise<IssuedToken>
  /** Ends the token, and of an app's user those that it was exchanged from and for; `everywhere`: every one of the user. Of a grant that the operator made, never more than this token. */
  logout(live: LiveGrant, everywhere: boolean): Promise<void>
  /** Ends the grant for good, of an app's user too: no call whose head arrives after this resolves is accepted. `cutStreams` ends open streams too. Throws `grant_not_found`. */
  revoke(id: string, cutStreams: boolean): Promise<void>
  /**
   * Checks a token and reads its grant's state now. `address`: whose, so that an issuer's signatures are not checked for whoever keeps sending bad ones. Throws `token_invalid`,
   * `token_expired`, `token_revoked`, `too_many_failures`, `store_unavailable`; of an issuer's token also `issuer_token_refused`, `issuer_unavailable`, `user_blocked`, `app_full`.
   */
  authenticate(token: string, address?: string): MaybePromise<LiveGrant>
  /** The public halves of the keys that access tokens are signed with (RFC 7517). */
  jwks(): { readonly keys: readonly Readonly<Record<string, unknown>>[] }
}
