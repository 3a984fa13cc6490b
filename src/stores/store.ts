import type { MaybePromise } from '../lib/maybe.js'
import type { BatchStore } from './batch-record.js'
import type {
  AliasRecord,
  AppRecord,
  AppUserRecord,
  Entry,
  EntryPage,
  GrantRecord,
  IssuerRecord,
  KeyRecord,
  LimitKind,
  LimitRecord,
  OwnedRecord,
  PriceRecord,
  RestRecord,
  TimeZoneRecord,
  TokenRecord,
  UsageQuery,
  UsageRow,
} from './records.js'
import type { SliceState, SliceStore } from './slices.js'

/** What a change may touch of a record; everything else is fixed when it is made. */
export type KeyPatch = Partial<
  Pick<
    KeyRecord,
    'name' | 'sealed' | 'masterKeyVersion' | 'version' | 'state' | 'weight' | 'rejectedAtMs' | 'spentAtMs' | 'wokenAtMs' | 'rotatedAtMs'
  >
>
export type GrantPatch = Partial<Omit<GrantRecord, 'id' | 'tenant' | 'createdAtMs' | 'app' | 'narrowedTo'>>
export type AppPatch = Partial<Omit<AppRecord, 'id' | 'tenant' | 'createdAtMs'>>
export type AppUserPatch = Partial<Pick<AppUserRecord, 'revokedAtMs' | 'cutStreams'>>

export type OwnedFilter = Partial<Pick<OwnedRecord, 'tenant' | 'provider' | 'kind' | 'keyId' | 'grantId'>> & { readonly limit?: number }

export interface GrantAndTokens {
  readonly grant: GrantRecord
  /** Every token of it that was ever issued and has not been pruned. Of an app's user: only those that were ended before their time. */
  readonly tokens: readonly TokenRecord[]
  /** Of an app's user. */
  readonly epoch?: number
}

export interface AppUserAndTokens {
  readonly user: AppUserRecord
  /** Those that were ended before their time; the others are not kept. `expiresAtMs` is when they were ended. */
  readonly ended: readonly TokenRecord[]
}

/**
 * Where records outlive the process. A store sees ciphertext of secrets only.
 *
 * Every method is safe to call concurrently and from several processes, and a change has been committed (durable as `SOAKP_DURABILITY` says) when it
 * returns or resolves. Methods may answer at once or with a promise; `MaybePromise` lets the relay skip waiting for what is there. "Not there" is a value
 * (`undefined`, `false`), never an error. I/O trouble is a SoakpError: `store_locked`, `store_full`, `store_damaged`, `store_unavailable`, with the
 * driver's error as its cause; after one, nothing of the attempted change is kept.
 */
export interface Store extends SliceStore, BatchStore {
  /**
   * A number that rises with every committed change to keys, grants, tokens, apps, issuers, aliases or prices, by whichever process; but not for `keepAppUser`, `spend`
   * and `pruneApps`, after which nothing that anybody remembers is wrong. Called for the head of every call: it must cost microseconds when nothing changed, and must
   * see every change committed before it was called.
   */
  policyGeneration(): MaybePromise<number>

  insertKey(key: KeyRecord): MaybePromise<void>
  getKey(id: string): MaybePromise<KeyRecord | undefined>
  /** In the order they were made. An absent filter field matches all. */
  listKeys(filter?: { tenant?: string; provider?: string }): MaybePromise<KeyRecord[]>
  /** False: there is no such key. `ifVersion`: change it only while its `version` is this, else false. */
  updateKey(id: string, patch: KeyPatch, ifVersion?: number): MaybePromise<boolean>
  removeKey(id: string): MaybePromise<boolean>

  /** One rest per key and model, the newer one stands. Forgets what was over at `now`. Does not raise the policy generation. */
  putRests(rests: readonly RestRecord[], now: number): MaybePromise<void>
  /** Those that last beyond `now`. */
  listRests(now: number): MaybePromise<RestRecord[]>

  /** Both or neither. */
  insertGrant(grant: GrantRecord, token: TokenRecord): MaybePromise<void>
  getGrant(id: string): MaybePromise<GrantAndTokens | undefined>
  listGrants(): MaybePromise<GrantRecord[]>
  updateGrant(id: string, patch: GrantPatch): MaybePromise<boolean>
  /** Adds `token` and brings every older token's end forward to `oldTokensEndAtMs` if it is later; both or neither. False: no such grant, or revoked. */
  replaceTokens(token: TokenRecord, oldTokensEndAtMs: number): MaybePromise<boolean>

  /** Brings the end of one token forward to `atMs`. False: there is no such token of this grant. */
  endToken(grantId: string, jti: string, atMs: number): MaybePromise<boolean>

  insertApp(app: AppRecord): MaybePromise<void>
  getApp(id: string): MaybePromise<AppRecord | undefined>
  /** In the order they were made. */
  listApps(): MaybePromise<AppRecord[]>
  updateApp(id: string, patch: AppPatch): MaybePromise<boolean>
  /**
   * Adds a user, or, where there is one of this id, only puts its end off to `expiresAtMs` if that is later. `most`: how many the app may have; ended ones make room.
   * False: it has as many already, or there is no such app.
   */
  keepAppUser(user: AppUserRecord, most: number, now: number): MaybePromise<boolean>
  getAppUser(id: string): MaybePromise<AppUserAndTokens | undefined>
  /** In the order they were made. */
  listAppUsers(app: string): MaybePromise<AppUserRecord[]>
  updateAppUser(id: string, patch: AppUserPatch): MaybePromise<boolean>
  /** Raises the user's epoch: to `now`, or by one where that is not later. */
  endAppUserTokens(id: string, now: number): MaybePromise<boolean>
  /** Remembers until `keepUntilMs` that this one token of a user was ended. Harmless the second time. False: no such user. */
  endAppUserToken(token: TokenRecord, keepUntilMs: number): MaybePromise<boolean>
  /** True once for each `id`, until `keepUntilMs`; whoever asks, and from whichever process. */
  spend(id: string, keepUntilMs: number): MaybePromise<boolean>
  /** Forgets users that have ended, unless they are revoked, and what was to be remembered until now. */
  pruneApps(now: number): MaybePromise<void>

  insertIssuer(issuer: IssuerRecord): MaybePromise<void>
  /** In the order they were made. */
  listIssuers(): MaybePromise<IssuerRecord[]>
  removeIssuer(id: string): MaybePromise<boolean>
  /** Makes it, or points the one of that tenant and name elsewhere. */
  putAlias(alias: AliasRecord): MaybePromise<void>
  /** By name. */
  listAliases(tenant: string): MaybePromise<AliasRecord[]>
  removeAlias(tenant: string, name: string): MaybePromise<boolean>

  /** Makes it, or replaces the one on the same thing and models. */
  putLimit(limit: LimitRecord): MaybePromise<void>
  /** By what they are on and their models. */
  listLimits(tenant: string): MaybePromise<LimitRecord[]>
  removeLimit(tenant: string, kind: LimitKind, subject: string, model: string): MaybePromise<boolean>

  /** Fails where there is one from that moment on already. */
  addTimeZone(zone: TimeZoneRecord): MaybePromise<void>
  /** Oldest first. */
  listTimeZones(tenant: string): MaybePromise<TimeZoneRecord[]>

  /** All of them in one commit. What is known already, made with the same key, stays whose it is. Raises no policy generation, as the four below. */
  keepOwned(records: readonly OwnedRecord[]): MaybePromise<void>
  /** One for each key that made something of this id; nearly always one or none. */
  findOwned(name: Pick<OwnedRecord, 'tenant' | 'provider' | 'kind' | 'id'>): MaybePromise<readonly OwnedRecord[]>
  /** The newest first. An absent filter field matches all. */
  listOwned(filter: OwnedFilter): MaybePromise<OwnedRecord[]>
  /** False: it was not known. */
  forgetOwned(name: Pick<OwnedRecord, 'tenant' | 'provider' | 'kind' | 'id' | 'keyId'>): MaybePromise<boolean>
  /** Forgets what ended before `now`, and what was made with keys that are gone; at most `most` of each. Returns how many. */
  pruneOwned(now: number, most: number): MaybePromise<number>

  /** All of them in one commit, in this order, and with them what they leave of an instance's slices; none if it fails. */
  appendEntries(
    entries: readonly Entry[],
    slices?: { readonly instance: string; readonly states: readonly SliceState[] },
  ): MaybePromise<void>
  /** Oldest first. */
  listEntries(filter: { sinceMs?: number; id?: string; limit?: number }): MaybePromise<Entry[]>
  /** As `listEntries`, at most `limit` at a time, from behind `after` on: for any number of them. */
  pageEntries(filter: { sinceMs?: number; untilMs?: number; after?: number; limit: number }): MaybePromise<EntryPage>
  /**
   * Sums, from the roll-ups and from entries that are in none yet: it costs what the roll-ups of the time asked for cost, however many entries there are. Largest cost
   * first, then largest number of calls; by time where the first dimension is `day` or `hour`.
   */
  usage(query: UsageQuery): MaybePromise<UsageRow[]>
  /**
   * Adds entries that are in no roll-up yet to those of their hour and day, at most `limit` of them, in one commit; tells how many. Whichever process does it, each
   * entry is added once. 0: none is left.
   */
  rollUp(limit: number): MaybePromise<number>
  /** Forgets entries that were started before `beforeMs`, at most `limit`, oldest first, and none that is in no roll-up; tells how many. Roll-ups stay. */
  pruneEntries(beforeMs: number, limit: number): MaybePromise<number>

  /** Adds them, each in place of the one of its provider, model and time: all in one commit, or none of them. */
  putPrices(prices: readonly PriceRecord[]): MaybePromise<void>
  /** Oldest first. */
  listPrices(): MaybePromise<PriceRecord[]>
  /** All of that provider and model, whenever they begin. False: there is none. */
  removePrice(provider: string, model: string): MaybePromise<boolean>

  /** Whether a write could be committed now; throws as a write would. */
  probe(): MaybePromise<void>
  /** A consistent copy of everything, made while others go on, encrypted as the original. The file must not exist. */
  backupTo(file: string): MaybePromise<void>
  /** Reads the whole store and reports what is wrong with it; empty when sound. */
  verify(): MaybePromise<string[]>
  close(): MaybePromise<void>
}

/** What a store's module exports to the registry. */
export interface StoreKind {
  /** Scheme of `SOAKP_DATABASE_URL`: `sqlite`, `memory`. */
  readonly scheme: string
  readonly title: string
  open(options: StoreOptions): MaybePromise<Store>
}

export interface StoreOptions {
  /** What follows the scheme: a path, a host. */
  readonly location: string
  /** 32 bytes, as a secret KeyObject. */
  readonly databaseKey: import('node:crypto').KeyObject
  /** `full`: a commit survives power loss; `normal`: it survives the end of the process. */
  readonly durability: 'normal' | 'full'
  /** Whether a database that is not there is made. */
  readonly create: boolean
  /** For records a store makes itself and for pruning. */
  readonly now: () => number
}
