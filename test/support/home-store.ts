import { join } from 'node:path'
import { pino } from 'pino'
import { loadSettings } from '../../src/config/load.js'
import { createSoakp, type Soakp } from '../../src/soakp.js'
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

/** All parts of a home, wired as the product does, in this process; closed afterwards. For what would take a process each on the command line. */
export async function withSoakp<T>(dir: string, use: (soakp: Soakp) => T | Promise<T>): Promise<T> {
  const soakp = await createSoakp(loadSettings({ home: dir, env: {} }), { log: pino({ level: 'silent' }) })
  try {
    return await use(soakp)
  } finally {
    await soakp.close()
  }
}
