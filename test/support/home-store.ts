import { join } from 'node:path'
import { openStore } from '../../src/stores/index.js'
import type { Store } from '../../src/stores/store.js'
import { openKeyring } from '../../src/vault/keyring.js'
import { readMasterKey } from '../../src/vault/master-key.js'

/** Opens the database of a home as the product does, beside whoever else has it open; closes it afterwards. */
export async function withStore<T>(dir: string, use: (store: Store) => T | Promise<T>): Promise<T> {
  const { databaseKey } = await openKeyring(dir, readMasterKey(join(dir, 'master.key')))
  const store = await openStore(undefined, dir, { databaseKey, durability: 'normal', create: false, now: Date.now })
  try {
    return await use(store)
  } finally {
    await store.close()
  }
}
