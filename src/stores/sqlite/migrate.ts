import { closeSync, fsyncSync, openSync, renameSync, rmSync } from 'node:fs'
import { dirname } from 'node:path'
import { SoakpError } from '../../errors.js'
import { syncFolder } from '../../lib/atomic-file.js'
import type { Connection } from './connection.js'
import type { Migration } from './migrations.js'

/**
 * Brings the database to the newest schema. One that holds records is copied to `<file>.before-v<N>` first, encrypted like itself; a step that fails
 * leaves the version before it. Several processes may try at once.
 */
export function migrate(db: Connection, file: string, migrations: readonly Migration[]): void {
  const found = version(db)
  if (found > migrations.length) {
    throw new SoakpError('store_newer', `${file} has version ${found}; this program knows versions up to ${migrations.length}.`, {
      hint: 'use the newer soakp, or restore a backup made with this one',
    })
  }
  if (found === migrations.length) return
  if (found > 0) copyAside(db, `${file}.before-v${migrations.length}`)
  migrations.forEach((migration, index) => {
    step(db, migration, index + 1)
  })
}

/** Whether no schema was ever made in it. */
export function isEmpty(db: Connection): boolean {
  return version(db) === 0
}

function step(db: Connection, migration: Migration, to: number): void {
  db.exec('BEGIN IMMEDIATE')
  try {
    // read again under the lock: another process may have been faster
    if (version(db) < to) {
      db.exec(migration)
      db.pragma(`user_version = ${to}`)
    }
    db.exec('COMMIT')
  } catch (error) {
    if (db.inTransaction) db.exec('ROLLBACK')
    throw error
  }
}

function copyAside(db: Connection, target: string): void {
  const partial = `${target}.${process.pid}.partial`
  copyTo(db, partial)
  renameSync(partial, target)
}

/** A consistent copy, encrypted with the same key, mode 0600. `target` must not exist; it is removed again if the copy fails. */
export function copyTo(db: Connection, target: string): void {
  // VACUUM INTO takes an empty file that is there, and so its mode
  closeSync(openSync(target, 'wx', 0o600))
  try {
    db.prepare('VACUUM INTO ?').run(target)
    sync(target)
    syncFolder(dirname(target))
  } catch (error) {
    rmSync(target, { force: true })
    throw error
  }
}

/** SQLite leaves that to the caller. */
function sync(file: string): void {
  const fd = openSync(file, 'r+')
  try {
    fsyncSync(fd)
  } finally {
    closeSync(fd)
  }
}

function version(db: Connection): number {
  return db.pragma('user_version', { simple: true }) as number
}
