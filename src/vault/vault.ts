import { SoakpError } from '../errors.js'
import { newId } from '../lib/id.js'
import type { MaybePromise } from '../lib/maybe.js'
import { Secret } from '../lib/secret.js'
import type { KeyRecord } from '../stores/records.js'
import type { Store } from '../stores/store.js'
import { importSealingKey, type SealingKey, seal, unseal } from './envelope.js'
import { defaultTenant, type Keyring } from './keyring.js'
import { createOpenKeys } from './open-keys.js'

/** What `key add` knows. Absent fields are the provider's own. */
export interface NewKey {
  readonly provider: string
  readonly name: string
  readonly secret: Secret
  /** Default: `default`. */
  readonly tenant?: string
  /** Whose own key it is: theirs are chosen before the tenant's. */
  readonly user?: string
  /** In place of the provider's origin; may carry a path prefix. */
  readonly baseUrl?: string
  /** Whether `baseUrl` may lead into a private network. */
  readonly allowPrivate?: boolean
  /** `bearer`, `basic`, `header:NAME`, `header:NAME:WORD`, `query:NAME` or `none`. */
  readonly auth?: string
  /** Of a provider that is not built in. */
  readonly dialect?: string
  /** Sent where the provider's row says how. */
  readonly organization?: string
  readonly project?: string
  /** Its part of the calls among several keys; 1 unless said otherwise, 0: only when no other can. */
  readonly weight?: number
}

/** Looks at a record that is about to be stored, such as by asking its provider; throws to prevent it. */
export type Accept = (record: KeyRecord) => Promise<void>

/** Seals and opens keys. The plaintext of a key is a `Secret`, and leaves only through `open`. */
export interface Vault {
  /** `accept` sees the sealed record before it is stored; what it throws is passed on, and nothing was stored. */
  put(key: NewKey, accept?: Accept): Promise<KeyRecord>
  /** Replaces the secret, if `accept` lets it; calls under way go on with the old one. Throws `key_not_found`. */
  rotate(id: string, secret: Secret, accept?: Accept): Promise<KeyRecord>
  /**
   * The key of this record, for one call: the caller wipes it. Answers at once when the key was opened before (it is kept sealed in memory under a key made
   * at start). Throws `key_unreadable` when record and seal disagree in any bound field.
   */
  open(record: KeyRecord): MaybePromise<Secret>
}

export interface VaultDeps {
  readonly store: Pick<Store, 'insertKey' | 'getKey' | 'updateKey'>
  readonly keyring: Pick<Keyring, 'kek' | 'masterKeyVersion'>
  /** Epoch milliseconds. */
  readonly now: () => number
}

/** About 500 bytes each. */
const maxOpenKeys = 10_000

export function createVault({ store, keyring, now }: VaultDeps): Vault {
  const opened = createOpenKeys(maxOpenKeys)
  const sealingKeys = new Map<string, Promise<SealingKey>>()

  function sealingKey(tenant: string): Promise<SealingKey> {
    let key = sealingKeys.get(tenant)
    if (key === undefined) {
      const kek = keyring.kek(tenant)
      if (kek === undefined) throw new SoakpError('key_unreadable', `There is no tenant ${tenant} in keys.json.`)
      key = importSealingKey(kek)
      sealingKeys.set(tenant, key)
    }
    return key
  }

  async function openSealed(record: KeyRecord): Promise<Secret> {
    const plaintext = await unseal(await sealingKey(record.tenant), record.sealed, record)
    try {
      opened.set(record, plaintext)
      return new Secret(plaintext)
    } finally {
      plaintext.fill(0)
    }
  }

  return {
    put: async (key, accept) => {
      refuseEmpty(key.secret)
      const record = newRecord(key, keyring.masterKeyVersion, now())
      const sealed = await seal(await sealingKey(record.tenant), key.secret.bytes(), record)
      await accept?.({ ...record, sealed })
      await store.insertKey({ ...record, sealed })
      return { ...record, sealed }
    },
    rotate: async (id, secret, accept) => {
      refuseEmpty(secret)
      // until no other rotation came between reading and writing
      for (;;) {
        const record = await store.getKey(id)
        if (record === undefined) throw new SoakpError('key_not_found', id)
        const { masterKeyVersion } = keyring
        const next = { ...record, masterKeyVersion, version: record.version + 1, rejectedAtMs: null, spentAtMs: null, rotatedAtMs: now() }
        const sealed = await seal(await sealingKey(record.tenant), secret.bytes(), next)
        const { version, rejectedAtMs, spentAtMs, rotatedAtMs } = next
        const patch = { sealed, masterKeyVersion, version, rejectedAtMs, spentAtMs, rotatedAtMs }
        await accept?.({ ...next, sealed })
        if (await store.updateKey(id, patch, record.version)) return { ...next, sealed }
      }
    },
    open: record => opened.get(record) ?? openSealed(record),
  }
}

function newRecord(key: NewKey, masterKeyVersion: number, createdAtMs: number): KeyRecord {
  return {
    id: newId('key'),
    tenant: key.tenant ?? defaultTenant,
    user: key.user ?? null,
    provider: key.provider,
    name: key.name,
    baseUrl: key.baseUrl ?? null,
    allowPrivate: key.allowPrivate ?? false,
    auth: key.auth ?? null,
    dialect: key.dialect ?? null,
    organization: key.organization ?? null,
    project: key.project ?? null,
    sealed: '',
    masterKeyVersion,
    version: 1,
    state: 'active',
    weight: key.weight ?? 1,
    rejectedAtMs: null,
    spentAtMs: null,
    wokenAtMs: null,
    createdAtMs,
    rotatedAtMs: null,
  }
}

function refuseEmpty(secret: Secret): void {
  if (secret.bytes().length === 0) throw new SoakpError('usage', 'The key is empty.')
}
