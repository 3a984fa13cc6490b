import { existsSync, statSync } from 'node:fs'
import { SoakpError } from '../../errors.js'
import type { Store, StoreKind, StoreOptions } from '../store.js'
import { aliasQueries } from './aliases.js'
import { appUserQueries } from './app-users.js'
import { appQueries } from './apps.js'
import { batchQueries } from './batches.js'
import { type Checkpointer, createCheckpointer } from './checkpointer.js'
import { type Connection, connect } from './connection.js'
import { driverError } from './driver-errors.js'
import { entryQueries } from './entries.js'
import { grantQueries } from './grants.js'
import { issuerQueries } from './issuers.js'
import { keyQueries } from './keys.js'
import { limitQueries } from './limits.js'
import { copyTo, isEmpty, migrate } from './migrate.js'
import { type Migration, migrations } from './migrations.js'
import { ownedQueries } from './owned.js'
import { priceQueries } from './prices.js'
import { restQueries } from './rests.js'
import { rollupQueries } from './rollups.js'
import { sliceQueries } from './slices.js'
import { timeZoneQueries } from './time-zones.js'
import { transactions } from './transactions.js'
import { usageQueries } from './usage.js'

/** One encrypted file on this machine, shared by the daemon and the CLI. */
export const sqlite: StoreKind = {
  scheme: 'sqlite',
  title: 'an encrypted SQLite file (SQLCipher 4 format)',
  open: options => openSqlite(options, migrations),
}

/** `steps` stands in for the released migrations where an upgrade is tried out. */
export function openSqlite(options: StoreOptions, steps: readonly Migration[]): Store {
  const wasEmpty = options.create && !holdsAnything(options.location)
  try {
    return openFile(options, steps)
  } catch (error) {
    // the salt is drawn by whoever first writes the file: one who saw it empty just before cannot read it, and can once it opens it again
    if (wasEmpty && error instanceof SoakpError && error.code === 'store_damaged') return openFile(options, steps)
    throw error
  }
}

function openFile(options: StoreOptions, steps: readonly Migration[]): Store {
  const { location: file, databaseKey, durability, now } = options
  const db = connect({ file, databaseKey, create: options.create, durability })
  try {
    if (!options.create && isEmpty(db)) throw emptied(file)
    migrate(db, file, steps)
    const checkpointer = createCheckpointer(db, { file, databaseKey, durability, restartFrames: maxLogFrames })
    return store(db, file, now, checkpointer)
  } catch (error) {
    db.close()
    throw driverError(error, file)
  }
}

function holdsAnything(file: string): boolean {
  return existsSync(file) && statSync(file).size > 0
}

/** Made into a new database it would look as if there had never been a key. */
function emptied(file: string): SoakpError {
  return new SoakpError('store_damaged', `${file} is empty.`, {
    hint: 'restore a backup with soakp restore FILE; after an interrupted soakp init, run it again',
  })
}

/** 64 MB of log: what a checkpoint lets pile up before writers are made to wait for it. */
const maxLogFrames = 16_384

function store(db: Connection, file: string, now: () => number, checkpointer: Checkpointer): Store {
  const running = transactions(db, file)
  const touch = db.prepare('UPDATE probe SET atMs = ?')
  const slices = sliceQueries(db, running)
  const entries = entryQueries(db, running, { slices, committed: checkpointer.committed, now })
  return {
    policyGeneration: running.generation,
    ...keyQueries(db, running),
    ...restQueries(db, running),
    ...grantQueries(db, running),
    ...appQueries(db, running),
    ...appUserQueries(db, running),
    ...issuerQueries(db, running),
    ...aliasQueries(db, running),
    ...ownedQueries(db, running),
    ...rollupQueries(db, running, checkpointer.committed),
    ...usageQueries(db, running),
    ...priceQueries(db, running),
    ...limitQueries(db, running),
    ...timeZoneQueries(db, running),
    ...slices.queries,
    ...entries.queries,
    ...batchQueries(db, running, { slices, entries, committed: checkpointer.committed }),
    probe: () =>
      running.write(() => {
        touch.run(now())
      }),
    backupTo: target => {
      try {
        copyTo(db, target)
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code === 'EEXIST') throw new SoakpError('file_exists', target, { cause: error })
        throw driverError(error, target)
      }
    },
    verify: () => {
      try {
        const found = db.pragma('integrity_check', { simple: false }) as { integrity_check: string }[]
        return found.map(row => row.integrity_check).filter(line => line !== 'ok')
      } catch (error) {
        const mapped = driverError(error, file)
        if (mapped instanceof SoakpError && mapped.code === 'store_damaged') return [mapped.message]
        throw mapped
      }
    },
    close: async () => {
      await checkpointer.close()
      // the last connection to close copies the log into the database and removes it
      db.close()
      running.close()
    },
  }
}
