import type { KeyObject } from 'node:crypto'
import { closeSync, existsSync, openSync } from 'node:fs'
import Database from 'better-sqlite3'
import { SoakpError } from '../../errors.js'
import { driverError } from './driver-errors.js'

export type Connection = Database.Database

/** How long opening waits for another process that holds the file, e.g. one that is migrating it. */
const openTimeoutMs = 3000
/** How long a statement waits: it stops the event loop, so not for long. */
const busyTimeoutMs = 250

export interface ConnectionOptions {
  readonly file: string
  readonly databaseKey: KeyObject
  readonly create: boolean
  readonly durability: 'normal' | 'full'
}

/**
 * Opens an encrypted database in the format of SQLCipher 4 with a raw key: a stock SQLCipher shell opens it by `PRAGMA key = "x'<64 hex digits>'"`.
 * A connection never checkpoints by itself; the checkpointer and the last `close` do.
 */
export function connect({ file, databaseKey, create, durability }: ConnectionOptions): Connection {
  let db: Connection | undefined
  try {
    if (create) touch(file)
    else if (!existsSync(file)) throw missing(file)
    db = new Database(file, { timeout: openTimeoutMs, fileMustExist: true })
    unlock(db, databaseKey)
    // the first statement that reads the file, hence the one that a wrong key fails on
    db.pragma('user_version')
    if (enterWal(db) !== 'wal') {
      throw new SoakpError('store_unavailable', `${file} lies on a file system without shared memory.`, {
        hint: 'keep the home on a local disk',
      })
    }
    db.pragma(`synchronous = ${durability}`)
    db.pragma('foreign_keys = on')
    db.pragma('wal_autocheckpoint = 0')
    db.pragma('temp_store = memory')
    db.pragma(`busy_timeout = ${busyTimeoutMs}`)
    return db
  } catch (error) {
    db?.close()
    throw driverError(error, file)
  }
}

/** SQLite does not wait where two connections change the journal of a new database at once: it says busy to one of them. */
function enterWal(db: Connection): unknown {
  const endsAtMs = performance.now() + openTimeoutMs
  for (;;) {
    try {
      return db.pragma('journal_mode = wal', { simple: true })
    } catch (error) {
      const isBusy = error instanceof Database.SqliteError && error.code.startsWith('SQLITE_BUSY')
      if (!isBusy || performance.now() > endsAtMs) throw error
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 20)
    }
  }
}

/** Gives the key as bytes: a string of it would stay on the JavaScript heap. */
function unlock(db: Connection, databaseKey: KeyObject): void {
  const raw = databaseKey.export()
  const key = Buffer.alloc(4 + raw.length)
  key.write('raw:')
  raw.copy(key, 4)
  try {
    db.pragma("cipher = 'sqlcipher'")
    db.pragma('legacy = 4')
    db.key(key)
  } finally {
    raw.fill(0)
    key.fill(0)
  }
}

/** SQLite would make the file readable by all; the files it adds beside it take over the mode of this one. */
function touch(file: string): void {
  closeSync(openSync(file, 'a', 0o600))
}

function missing(file: string): SoakpError {
  return new SoakpError('store_unavailable', `There is no database at ${file}.`, {
    hint: 'restore a backup with soakp restore FILE, or check SOAKP_DATABASE_URL',
  })
}
