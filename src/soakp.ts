import type { Logger } from 'pino'
import type { Access } from './access/access.js'
import { createAccess } from './access/grants.js'
import { createPolicy } from './access/policy.js'
import { importSigningKey } from './access/signing-key.js'
import type { Settings } from './config/settings.js'
import { SoakpError } from './errors.js'
import { createLedger } from './ledger/ledger.js'
import { createOutbound, type Outbound } from './lib/outbound.js'
import { parseRate } from './lib/rate.js'
import { createGuessing } from './limits/guessing.js'
import { createLimits } from './limits/limits.js'
import { findProvider, providerId } from './providers/index.js'
import { createRelay, type Relay } from './relay/relay.js'
import { createVerdicts, type TellVerdict } from './relay/verdicts.js'
import { type KeyVerdict, verifyKey } from './relay/verify-key.js'
import { openStore } from './stores/index.js'
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
  readonly relay: Relay
  /** Asks the provider; records a refusal or its end on the key. */
  verifyKey(record: KeyRecord): Promise<KeyVerdict>
  close(): Promise<void>
}

export interface SoakpOptions {
  readonly log: Logger
  /** Epoch milliseconds. */
  readonly now?: () => number
}

/** Opens a home and wires its parts; listens to nothing. Throws what is wrong with the home: see errors.ts, "the house". */
export async function createSoakp(settings: Settings, { log, now = Date.now }: SoakpOptions): Promise<Soakp> {
  const keyring = await openHome(settings)
  const { databaseKey, instanceId } = keyring
  const store = await openStore(settings.databaseUrl, settings.home, { databaseKey, durability: settings.durability, create: false, now })
  const [first, ...older] = await Promise.all(keyring.signingKeys.map(importSigningKey))
  if (!first) throw new SoakpError('vault_damaged', 'It holds no signing key.')
  const policy = createPolicy(store)
  const access = createAccess({ store, policy, instanceId, signingKeys: [first, ...older], checkScope: scopeCheck(store), now })
  const vault = createVault({ store, keyring, now })
  const outbound = createOutbound(settings)
  const ledger = createLedger({ store, log })
  const tellVerdict = createVerdicts({ store, log, now })
  const guessing = createGuessing(parseRate(settings.authFailureRate) ?? { count: 30, windowMs: 60_000 }, now)
  const relay = createRelay({
    access,
    policy,
    limits: createLimits(now),
    guessing,
    vault,
    ledger,
    outbound,
    tellVerdict,
    store,
    settings,
    log,
    now,
  })
  return {
    settings,
    instanceId,
    store,
    vault,
    access,
    relay,
    verifyKey: record => askProvider(record, vault, outbound, tellVerdict),
    async close() {
      await outbound.close()
      await store.close()
    },
  }
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
        if (key?.tenant !== tenant) throw new SoakpError('key_not_found', id, { hint: 'soakp key list shows them' })
      }
    }
    if (scope.kind === 'providers') {
      for (const provider of scope.providers) {
        if (findProvider(providerId(provider))) continue
        if ((await store.listKeys({ tenant, provider })).length === 0) {
          throw new SoakpError('unknown_provider', provider, {
            hint: 'store a key for it first: soakp key add, with --base-url for a provider of your own',
          })
        }
      }
    }
  }
}
