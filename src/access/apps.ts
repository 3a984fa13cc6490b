import { SoakpError } from '../errors.js'
import type { AppRecord, AppUserRecord, GrantScope } from '../stores/records.js'
import type { AppPatch, Store } from '../stores/store.js'
import { newCredential, opensApp, type ShownCredential } from './app-credential.js'
import { type CheckScope, checkCount, checkGrant, checkLifetime, checkName, checkRate, checkTerms } from './check-grant.js'
import type { Policy } from './policy.js'

/** What `app create` knows; lists are empty where nothing is limited. */
export interface NewApp {
  readonly name: string
  readonly scope: GrantScope
  readonly tenant?: string
  readonly models?: readonly string[]
  readonly endpoints?: readonly string[]
  readonly origins?: readonly string[]
  readonly addresses?: readonly string[]
  readonly maxOutputTokens?: number
  readonly retry5xx?: boolean
  readonly dpop?: boolean
  readonly maxCallMicroDollars?: number
  readonly clampOutput?: boolean
  readonly shadow?: boolean
  readonly letFinish?: boolean
  /** Of all users together. */
  readonly rate?: string
  readonly concurrency?: number
  readonly quotas?: readonly string[]
  readonly budgets?: readonly string[]
  /** Of each user. */
  readonly userRate?: string
  readonly userConcurrency?: number
  readonly userQuotas?: readonly string[]
  readonly userBudgets?: readonly string[]
  readonly userTtlMs?: number
  readonly sessionMs?: number
  readonly maxUsers?: number
}

export interface AppAndCredential {
  readonly app: AppRecord
  /** `app_…_…`. It is not kept and cannot be shown again. */
  readonly credential: string
}

/** Apps, whose backends vouch for users. */
export interface Apps {
  /** Throws `usage` with what is wrong about a rule, before anything is stored. */
  create(app: NewApp): Promise<AppAndCredential>
  list(): Promise<AppRecord[]>
  /** Throws `app_not_found`. */
  show(id: string): Promise<AppRecord>
  /** Its users' grants as they are kept: without the template's rules. */
  users(id: string): Promise<AppUserRecord[]>
  /** For every user, from the next call on. Throws `app_not_found`, `app_revoked`. */
  set(id: string, patch: AppPatch): Promise<AppRecord>
  /** A new credential; older ones end after `graceMs`. Throws `app_not_found`, `app_revoked`. */
  rotate(id: string, graceMs: number): Promise<AppAndCredential>
  /** Ends the app and every access token of its users: no call whose head arrives after this resolves is accepted. `cutStreams` ends open streams too. */
  revoke(id: string, cutStreams: boolean): Promise<void>
  /** Throws `app_credential_invalid`, and `app_revoked` to who has the right one. */
  authenticate(shown: ShownCredential | undefined): Promise<AppRecord>
}

export interface AppsDeps {
  readonly store: Pick<Store, 'insertApp' | 'getApp' | 'listApps' | 'updateApp' | 'listAppUsers'>
  readonly policy: Pick<Policy, 'refresh' | 'app'>
  readonly checkScope: CheckScope
  readonly now: () => number
}

const defaults = { userTtlMs: 3_600_000, sessionMs: 86_400_000, maxUsers: 100_000 }
const longestUserTtlMs = 7 * 86_400_000
/** Older ones that are still in their grace; more are not needed, and each costs a comparison. */
const maxCredentials = 5

export function createApps({ store, policy, checkScope, now }: AppsDeps): Apps {
  async function existing(id: string): Promise<AppRecord> {
    const app = await store.getApp(id)
    if (!app) throw new SoakpError('app_not_found', id, { hint: '`soakp app list` shows what there is' })
    return app
  }

  async function live(id: string): Promise<AppRecord> {
    const app = await existing(id)
    if (app.revokedAtMs !== null) throw new SoakpError('app_revoked', id)
    return app
  }

  async function check(rules: AppPatch, tenant: string): Promise<void> {
    await checkGrant(rules, tenant, checkScope)
    checkName(rules.name)
    checkRate(rules.userRate)
    checkTerms(rules.userQuotas, rules.userBudgets)
    checkCount('the concurrency of a user', rules.userConcurrency)
    checkCount('the number of users', rules.maxUsers)
    checkLifetime(rules.userTtlMs)
    if ((rules.userTtlMs ?? 0) > longestUserTtlMs) throw new SoakpError('usage', "A user's access token lasts 7d at most.")
    if (rules.sessionMs !== 0) checkLifetime(rules.sessionMs)
  }

  async function update(id: string, patch: AppPatch): Promise<void> {
    if (!(await store.updateApp(id, patch))) throw new SoakpError('app_not_found', id)
  }

  return {
    async create(wanted) {
      const { id, text, record } = newCredential(now())
      const app: AppRecord = {
        id,
        tenant: wanted.tenant ?? 'default',
        name: wanted.name,
        credentials: [record],
        scope: wanted.scope,
        models: wanted.models ?? [],
        endpoints: wanted.endpoints ?? [],
        origins: wanted.origins ?? [],
        addresses: wanted.addresses ?? [],
        maxOutputTokens: wanted.maxOutputTokens ?? null,
        retry5xx: wanted.retry5xx ?? false,
        dpop: wanted.dpop ?? false,
        maxCallMicroDollars: wanted.maxCallMicroDollars ?? null,
        clampOutput: wanted.clampOutput ?? false,
        shadow: wanted.shadow ?? false,
        letFinish: wanted.letFinish ?? false,
        rate: wanted.rate ?? null,
        concurrency: wanted.concurrency ?? null,
        quotas: wanted.quotas ?? [],
        budgets: wanted.budgets ?? [],
        userRate: wanted.userRate ?? null,
        userConcurrency: wanted.userConcurrency ?? null,
        userQuotas: wanted.userQuotas ?? [],
        userBudgets: wanted.userBudgets ?? [],
        userTtlMs: wanted.userTtlMs ?? defaults.userTtlMs,
        sessionMs: wanted.sessionMs ?? defaults.sessionMs,
        maxUsers: wanted.maxUsers ?? defaults.maxUsers,
        createdAtMs: now(),
        revokedAtMs: null,
        cutStreams: false,
      }
      await check(app, app.tenant)
      await store.insertApp(app)
      return { app, credential: text }
    },

    async list() {
      return store.listApps()
    },

    show: existing,

    async users(id) {
      await existing(id)
      return store.listAppUsers(id)
    },

    async set(id, patch) {
      const app = await live(id)
      await check(patch, app.tenant)
      await update(id, patch)
      return { ...app, ...patch }
    },

    async rotate(id, graceMs) {
      const app = await live(id)
      const at = now()
      const ends = at + graceMs
      const older = app.credentials
        .map(credential => ({ ...credential, endsAtMs: Math.min(credential.endsAtMs ?? ends, ends) }))
        .filter(credential => credential.endsAtMs > at)
      const { text, record } = newCredential(at, id)
      const credentials = [record, ...older].slice(0, maxCredentials)
      await update(id, { credentials })
      return { app: { ...app, credentials }, credential: text }
    },

    async revoke(id, cutStreams) {
      const app = await existing(id)
      await update(id, { revokedAtMs: app.revokedAtMs ?? now(), cutStreams: cutStreams || app.cutStreams })
    },

    async authenticate(shown) {
      await policy.refresh()
      const app = shown && (await policy.app(shown.id))
      if (!shown || !app || !opensApp(shown, app, now())) throw new SoakpError('app_credential_invalid')
      if (app.revokedAtMs !== null) throw new SoakpError('app_revoked')
      return app
    },
  }
}
