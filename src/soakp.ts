import type { Logger } from 'pino'
import type { Access } from './access/access.js'
import type { Settings } from './config/settings.js'
import type { Relay } from './relay/relay.js'
import type { KeyRecord } from './stores/records.js'
import type { Store } from './stores/store.js'
import type { Vault } from './vault/vault.js'

/** What a provider says of a key. `unknown`: it could not be asked, or its answer says nothing. */
export interface KeyVerdict {
  readonly result: 'works' | 'restricted' | 'refused' | 'unknown'
  /** One sentence for people. */
  readonly text: string
}

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
