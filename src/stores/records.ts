export {
  type EntryPage,
  type PriceRecord,
  type UsageDimension,
  type UsageFilter,
  type UsageQuery,
  type UsageRow,
  usageDimensions,
  usageFilters,
} from './usage-records.js'

import type { ModelTokens } from '../lib/model-tokens.js'
import type { AppLimits } from './limit-record.js'

export { type BatchHold, type BatchName, type BatchRecord, batchMethod } from './batch-record.js'
export { type LimitKind, type LimitRecord, limitKinds } from './limit-record.js'
export type { OwnedRecord } from './owned-record.js'
export type { RestRecord } from './rest-record.js'
export type { TimeZoneRecord } from './time-zone-record.js'

/** What the store keeps. Times are epoch milliseconds; `null` is "not so" or "never". Only ciphertext of secrets is ever in here. */

export type KeyState = 'active' | 'disabled'

export interface KeyRecord {
  readonly id: string
  readonly tenant: string
  /** Whose own key it is; `null`: the tenant's. */
  readonly user: string | null
  readonly provider: string
  readonly name: string
  /** Replaces the provider's origin; may carry a path prefix. `null`: the provider's own. */
  readonly baseUrl: string | null
  /** The operator said on this machine that the base URL may lie in a private network. */
  readonly allowPrivate: boolean
  /** `bearer`, `header:NAME`, `query:NAME`; `null`: the provider's own. */
  readonly auth: string | null
  /** Of a custom provider. `null`: the provider's own. */
  readonly dialect: string | null
  readonly organization: string | null
  readonly project: string | null
  /** A compact JWE, as the vault made it. */
  readonly sealed: string
  /** Version of the master key when it was sealed; part of what the seal binds. */
  readonly masterKeyVersion: number
  /** 1, and one more with each rotation of the secret. */
  readonly version: number
  readonly state: KeyState
  /** Its part of the calls among the keys that can answer them; 0: only when no other can. */
  readonly weight: number
  /** When the provider last refused the key, unless it has worked or been woken since. */
  readonly rejectedAtMs: number | null
  /** When the provider last said that what the key may spend is spent, unless it has worked or been woken since. */
  readonly spentAtMs: number | null
  /** When the operator last ended the key's rest. */
  readonly wokenAtMs: number | null
  readonly createdAtMs: number
  readonly rotatedAtMs: number | null
}

/** `GrantRecord.dpop` of a grant whose tokens are each bound to a key of the client's choice. */
export const anyKey = 'any'

/** Which keys a grant may use. */
export type GrantScope =
  | { readonly kind: 'all' }
  | { readonly kind: 'providers'; readonly providers: readonly string[] }
  | { readonly kind: 'keys'; readonly keys: readonly string[] }

export interface GrantRecord {
  readonly id: string
  readonly tenant: string
  readonly name: string
  /** For whom it is, in the operator's words. */
  readonly subject: string | null
  readonly scope: GrantScope
  /** Globs; empty: any model. */
  readonly models: readonly string[]
  /** `inference`, `account`, `all-resources`, `*`, or `[METHOD ]PATTERN`; empty: inference. */
  readonly endpoints: readonly string[]
  /** Web origins; empty: any, and calls without one. */
  readonly origins: readonly string[]
  /** Addresses and CIDR blocks; empty: any. */
  readonly addresses: readonly string[]
  /** As written: `60/m`. */
  readonly rate: string | null
  readonly concurrency: number | null
  /** Most model tokens one call may ask for. */
  readonly maxOutputTokens: number | null
  /** A call that the provider failed (5xx, no answer) may be sent again with another key, though the work may be done and billed already. */
  readonly retry5xx: boolean
  /** Its tokens open nothing without a proof of a key that the client holds (RFC 9449): of the key with this thumbprint, or, `anyKey`, of the one that each is bound to. `null`: none is asked for. */
  readonly dpop: string | null
  /** Calls in calendar windows: `1000/day`. */
  readonly quotas: readonly string[]
  /** Money or model tokens in calendar windows: `5.00usd/month`, `1000000tokens/day`. */
  readonly budgets: readonly string[]
  /** What is held for a call whose worst cost has no bound; `null`: such a call is refused under a budget. */
  readonly maxCallMicroDollars: number | null
  /** A call that asks for more output than `maxOutputTokens`, or does not say how much, is given as much as that instead of being refused. */
  readonly clampOutput: boolean
  /** Quotas and budgets refuse nothing; who would have been refused is written down. */
  readonly shadow: boolean
  /** A stream that passes a budget midway goes on to its end. */
  readonly letFinish: boolean
  readonly createdAtMs: number
  readonly expiresAtMs: number
  readonly revokedAtMs: number | null
  /** Streams open at the revocation are to be cut too. */
  readonly cutStreams: boolean
  /** Of an app's user: whose app, and its own limits, which stand above the user's. Never stored: such a grant is put together from `AppRecord` and `AppUserRecord`. */
  readonly app?: AppLimits & { readonly id: string }
  /** Globs that an access token narrowed itself to, beside `models`. Never stored. */
  readonly narrowedTo?: readonly string[]
}

/** A model's name of the operator's own, for the unified endpoint. */
export interface AliasRecord {
  readonly tenant: string
  readonly name: string
  /** `PROVIDER/MODEL`. */
  readonly target: string
  readonly createdAtMs: number
}

/** One access token of a grant. The token itself is not kept. */
export interface TokenRecord {
  readonly jti: string
  readonly grantId: string
  readonly issuedAtMs: number
  /** Not accepted from here on; brought forward when the token is replaced. */
  readonly expiresAtMs: number
}

/** What an app's backend shows to get access tokens for the app's users. Only its hash is kept. */
export interface AppCredentialRecord {
  /** SHA-256 of the secret part, in hex. */
  readonly hash: string
  readonly createdAtMs: number
  /** Not accepted from here on; `null`: until the app ends. */
  readonly endsAtMs: number | null
}

/** An app, and the template that its users' grants are made by. A change of it is a change for all of them. */
export interface AppRecord {
  readonly id: string
  readonly tenant: string
  readonly name: string
  /** The newest first. */
  readonly credentials: readonly AppCredentialRecord[]
  // what each user may do: as in a grant
  readonly scope: GrantScope
  readonly models: readonly string[]
  readonly endpoints: readonly string[]
  readonly origins: readonly string[]
  readonly addresses: readonly string[]
  readonly maxOutputTokens: number | null
  readonly retry5xx: boolean
  /** Every access token is bound to a key that the user's client holds. */
  readonly dpop: boolean
  readonly maxCallMicroDollars: number | null
  readonly clampOutput: boolean
  readonly shadow: boolean
  readonly letFinish: boolean
  /** Of all users together. */
  readonly rate: string | null
  readonly concurrency: number | null
  readonly quotas: readonly string[]
  readonly budgets: readonly string[]
  /** Of each user. */
  readonly userRate: string | null
  readonly userConcurrency: number | null
  readonly userQuotas: readonly string[]
  readonly userBudgets: readonly string[]
  /** How long a user's access token lasts, at most. */
  readonly userTtlMs: number
  /** How long one can be exchanged for a new one, counted from when the backend vouched for the user; 0: never. */
  readonly sessionMs: number
  /** How many users may have a grant at once. */
  readonly maxUsers: number
  readonly createdAtMs: number
  readonly revokedAtMs: number | null
  readonly cutStreams: boolean
}

/** A user of an app: one record however many access tokens there are of it. */
export interface AppUserRecord {
  /** `grt_…`, made of app, issuer and user, so that a user who comes back is the same one to every limit. */
  readonly id: string
  readonly tenant: string
  readonly app: string
  /** Id of the issuer that vouched; `null`: the app's backend did. */
  readonly issuer: string | null
  /** As the backend or the issuer names it. */
  readonly user: string
  /** An access token of another epoch than this is not accepted, nor an issuer's of before: when all of them were last ended, or 1. */
  readonly epoch: number
  readonly createdAtMs: number
  /** No access token of it can be alive from here on: the record may go. */
  readonly expiresAtMs: number
  readonly revokedAtMs: number | null
  readonly cutStreams: boolean
}

/** Whose JWTs are taken in place of a backend's word (OpenID Connect). */
export interface IssuerRecord {
  readonly id: string
  readonly tenant: string
  readonly name: string
  /** Exactly what its tokens carry as `iss`. */
  readonly url: string
  /** The app whose template its users get. */
  readonly app: string
  /** One of them has to be in `aud`; empty: a token must not have an `aud`. */
  readonly audiences: readonly string[]
  /** One of them has to be `azp`; empty: it is not looked at. */
  readonly parties: readonly string[]
  /** Each has to be so. */
  readonly claims: readonly { readonly name: string; readonly value: string }[]
  /** Where its keys are; `null`: discovery tells. */
  readonly jwksUrl: string | null
  readonly allowPrivate: boolean
  /** Its tokens open the relay themselves. */
  readonly direct: boolean
  /** Each of its tokens is exchanged at most once. */
  readonly once: boolean
  readonly createdAtMs: number
}

/**
 * How a call ended. `ok`: the reply went out whole, whatever its status; `refused`: by us; `failed`: no whole reply from the provider;
 * `client_gone`: the client left first; `cut`: ended by us midway (revoked, shutting down).
 */
export type Outcome = 'ok' | 'refused' | 'failed' | 'client_gone' | 'cut'

/** Where the counts come from. `none`: the call had no model tokens to count. */
export type UsageSource = 'provider' | 'estimated' | 'none'

/** What is billed where it is not model tokens; whole numbers. */
export const usageUnits = ['characters', 'audioSeconds', 'images', 'pages', 'searchUnits', 'computeSeconds', 'credits'] as const
export type UsageUnit = (typeof usageUnits)[number]

/** One line of the ledger: one attempt of one call. Never a body, never a secret, never the value of a query parameter. */
export interface Entry extends ModelTokens {
  /** The call's id, also its `x-request-id`. */
  readonly id: string
  readonly attempt: number
  /** This attempt's outcome is the call's; every call has one such line, its last. */
  readonly final: boolean
  readonly startedAtMs: number
  readonly tenant: string
  readonly grantId: string
  readonly tokenId: string
  readonly subject: string | null
  /** The app of whose users this is one. */
  readonly app: string | null
  readonly keyId: string | null
  readonly provider: string
  readonly method: string
  /** The endpoint's pattern, or the path where no row matched. */
  readonly endpoint: string
  readonly model: string | null
  /** What the client was answered; 499 where it had gone. Of an attempt that was not the last: what the provider answered, or what its failure is called in our words. */
  readonly status: number
  readonly outcome: Outcome
  /** A code of errors.ts, where we refused or failed. With the outcome `ok`: which limit would have refused it if it were not only watched, or `budget_overrun`. */
  readonly errorCode: string | null
  readonly usageSource: UsageSource
  /** How many of `unit`; 0 where that is null. */
  readonly units: number
  /** What the provider bills this call by, where it is not model tokens. */
  readonly unit: UsageUnit | null
  /** `null`: unpriced. */
  readonly costMicroDollars: number | null
  /** Version of the price it was reckoned by; `null` where that is. */
  readonly price: string | null
  readonly bytesIn: number
  readonly bytesOut: number
  readonly durationMs: number
  /** From the call's head to the reply's first byte. */
  readonly firstByteMs: number | null
  readonly address: string
  readonly upstreamRequestId: string | null
}
