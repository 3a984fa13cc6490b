import type { Logger } from 'pino'
import type { Access } from './access/access.js'
import type { SigningKey } from './access/access-token.js'
import { type Apps, createApps } from './access/apps.js'
import { createProofs, type Proofs } from './access/dpop.js'
import { createAccess } from './access/grants.js'
import { createIssuers, type Issuers } from './access/issuers.js'
import { createPolicy, type Policy } from './access/policy.js'
import { importSigningKey } from './access/signing-key.js'
import { createUserTokens, type UserTokens } from './access/user-tokens.js'
import type { Settings } from './config/settings.js'
import { SoakpError } from './errors.js'
import { createLedger, type Ledger } from './ledger/ledger.js'
import { createTally, type Tally } from './ledger/tally.js'
import { createUpkeep, type Upkeep } from './ledger/upkeep.js'
import { createOutbound, type Outbound } from './lib/outbound.js'
import { parseRate } from './lib/rate.js'
import { silentLog } from './lib/silent-log.js'
import { createCalendars } from './limits/calendars.js'
import { createGuessing, type Guessing } from './limits/guessing.js'
import { createLimits, type Limits } from './limits/limits.js'
import { createPrices, type Prices } from './prices/prices.js'
import { findProvider, providerId, providers } from './providers/index.js'
import { type BatchPoller, createBatchPoller } from './relay/batches/poll.js'
import { createVerdicts, type TellVerdict } from './relay/keys/verdicts.js'
import { type KeyVerdict, verifyKey } from './relay/keys/verify-key.js'
import { keepLater } from './relay/owned/owned-later.js'
import { createRelay, type Relay } from './relay/relay.js'
import { unifiedName } from './relay/unified.js'
import { createOutage, type Outage, openStore } from './stores/index.js'
import type { GrantScope, KeyRecord } from './stores/records.js'
import type { Store } from './stores/store.js'
import { openHome } from './vault/rotation.js'
import { createVault, type Vault } from './vault/vault.js'

export type { KeyVerdict }

/** Everything of one home, wired. */
export interface Soakp {
  readonly settings: Settings
  readonly instanceId: string
  readonly store: Store
  readonly vault: Vault
  readonly access: Access
  readonly apps: Apps
  readonly issuers: Issuers
  readonly users: UserTokens
  readonly proofs: Proofs
  readonly policy: Policy
  readonly limits: Limits
  readonly prices: Prices
  readonly guessing: Guessing
  readonly relay: Relay
  readonly ledger: Pick<Ledger, 'healthy' | 'waiting' | 'oldestWaitingMs'>
  readonly tally: Tally
  /** Of the ledger; begun by whoever serves. */
  readonly upkeep: Upkeep
  readonly outage: Outage
  /** Looks after work that providers do later; begun by whoever serves. */
  readonly batches: BatchPoller
  /** Asks the provider; records a refusal or its end on the key. */
  verifyKey(record: KeyRecord): Promise<KeyVerdict>
  /** Gives back what is held of limits and closes the store. Whoever serves closes that first: it waits for the last entry. */
  close(): Promise<void>
}

export interface SoakpOptions {
  /** Default: none. */
  readonly log?: Logger | undefined
  /** Epoch milliseconds. */
  readonly now?: () => number
}

/**
 * Opens a home and wires its parts; listens to nothing. Several processes may have the same home open. Throws what is wrong with it: `home_missing`, `master_key_missing`,
 * `master_key_wrong`, `vault_damaged`, and those of the store.
 */
export async function createSoakp(settings: Settings, options: SoakpOptions = {}): Promise<Soakp> {
  const { log = await silentLog(), now = Date.now } = options
  const keyring = await openHome(settings)
  const { databaseKey, instanceId } = keyring
  const store = await openStore(settings.databaseUrl, settings.home, { databaseKey, durability: settings.durability, create: false, now })
  const prices = createPrices({ overrides: () => store.listPrices() })
  const calendars = createCalendars({ zones: tenant => store.listTimeZones(tenant) })
  await calendars.load('default')
  const goesOn = settings.whenStoreFails === 'go-on'
  const outage = createOutage({ goesOn, probe: () => store.probe(), log, now })
  const onChange = () => {
    prices.forget()
    calendars.forget()
  }
  const policy = createPolicy(store, { onChange, goesOn })
  const vault = createVault({ store, keyring, now })
  const outbound = createOutbound(settings)
  const tally = createTally([...providers.map(({ id }) => id), unifiedName])
  const upkeep = createUpkeep({ store, keepEntriesMs: settings.keepEntriesMs, log, tally, now })
  const limits = createLimits({ store, outage, now, calendars, current: grant => policy.limited(grant.id) })
  const relayStore = goesOn ? { ...store, ...keepLater(store, outage, log) } : store
  const ledger = createLedger({ store, log, outage, takeChanges: limits.takeChanges, tally })
  const tellVerdict = createVerdicts({ store, log, now })
  const guessing = createGuessing(parseRate(settings.authFailureRate) ?? { count: 30, windowMs: 60_000 }, now)
  const signingKeys = await Promise.all(keyring.signingKeys.map(importSigningKey))
  const opening = wireAccess({ store, policy, outbound, guessing, instanceId, signingKeys, now })
  const { access, proofs } = opening
  const relay = createRelay({
    access,
    proofs,
    policy,
    limits,
    prices,
    guessing,
    vault,
    ledger,
    tally,
    outbound,
    tellVerdict,
    store: relayStore,
    settings,
    log,
    now,
  })
  const batches = createBatchPoller({ store, vault, outbound, prices, limits, log, now })
  return {
    settings,
    instanceId,
    store,
    vault,
    ...opening,
    batches,
    policy,
    limits,
    prices,
    guessing,
    relay,
    ledger,
    tally,
    upkeep,
    outage,
    verifyKey: record => askProvider(record, vault, outbound, tellVerdict),
    async close() {
      await outbound.close()
      outage.stop()
      await limits.close().catch(error => log.error({ err: error }, 'what is left of limits was not given back; the next start does it'))
      await store.close()
    },
  }
}

interface AccessParts {
  readonly store: Store
  readonly policy: Policy
  readonly outbound: Outbound
  readonly guessing: Guessing
  readonly instanceId: string
  readonly signingKeys: readonly SigningKey[]
  readonly now: () => number
}

/** Whoever lets a client in: grants of the operator, apps and their users, issuers. */
function wireAccess({ store, policy, outbound, guessing, instanceId, signingKeys, now }: AccessParts) {
  const [first, ...older] = signingKeys
  if (!first) throw new SoakpError('vault_damaged', 'It holds no signing key.')
  const checkScope = scopeCheck(store)
  const mayCheck = (address: string) => guessing.mayTry(address)
  const apps = createApps({ store, policy, checkScope, now })
  const users = createUserTokens({ store, policy, instanceId, signingKey: first, now })
  const issuers = createIssuers({ store, policy, users, outbound, mayCheck, now })
  const access = createAccess({
    store,
    policy,
    instanceId,
    signingKeys: [first, ...older],
    checkScope,
    authenticateOfIssuer: (token, address) => issuers.claimsOf(token, address),
    now,
  })
  const proofs = createProofs({ spend: users.spend, now })
  return { access, apps, users, issuers, proofs }
}

async function askProvider(record: KeyRecord, vault: Vault, outbound: Outbound, tellVerdict: TellVerdict): Promise<KeyVerdict> {
  const verdict = await verifyKey(record, vault, outbound)
  if (verdict.result === 'refused') tellVerdict(record, 'refused')
  // that it can be asked says nothing of what it may still spend
  else if (verdict.result === 'works') tellVerdict({ ...record, spentAtMs: null }, 'works')
  return verdict
}

/** Refuses a scope that names what is not there: a grant for a misspelt provider would only fail later, and a key added later must not be opened by it. */
function scopeCheck(store: Pick<Store, 'getKey' | 'listKeys'>): (scope: GrantScope, tenant: string) => Promise<void> {
  return async (scope, tenant) => {
    if (scope.kind === 'keys') {
      for (const id of scope.keys) {
        const key = await store.getKey(id)
        if (key?.tenant !== tenant) throw new SoakpError('key_not_found', id, { hint: '`soakp key list` shows what there is' })
      }
    }
    if (scope.kind === 'providers') {
      for (const provider of scope.providers) {
        if (findProvider(providerId(provider))) continue
        if ((await store.listKeys({ tenant, provider })).length === 0) {
          throw new SoakpError('unknown_provider', provider, {
            hint: 'store a key for it first: `soakp key add`, with --base-url for a provider of your own',
          })
        }
      }
    }
  }
}
