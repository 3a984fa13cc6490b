import type { MaybePromise } from '../lib/maybe.js'
import type { GrantRecord, GrantScope, TokenRecord } from '../stores/records.js'
import type { GrantAndTokens, GrantPatch } from '../stores/store.js'
import type { TokenClaims } from './access-token.js'

/** What `token create` knows; lists are empty where nothing is limited. */
export interface NewGrant {
  readonly scope: GrantScope
  readonly name: string
  readonly subject?: string
  readonly tenant?: string
  readonly lifetimeMs: number
  readonly models?: readonly string[]
  readonly endpoints?: readonly string[]
  readonly origins?: readonly string[]
  readonly addresses?: readonly string[]
  readonly rate?: string
  readonly concurrency?: number
  readonly maxOutputTokens?: number
  readonly retry5xx?: boolean
  /** Thumbprint of the key that its tokens are bound to, or `anyKey`. */
  readonly dpop?: string
  readonly quotas?: readonly string[]
  readonly budgets?: readonly string[]
  readonly maxCallMicroDollars?: number
  readonly clampOutput?: boolean
  readonly shadow?: boolean
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

/** Grants and their access tokens. */
export interface Access {
  /** Throws `usage` with what is wrong about a rule, before anything is stored. */
  create(grant: NewGrant): Promise<IssuedToken>
  /** Throws `grant_not_found`. Lists are replaced, not added to. */
  set(id: string, patch: GrantPatch): Promise<GrantRecord>
  list(): Promise<GrantRecord[]>
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
