import { closeSync, openSync } from 'node:fs'
import Database from 'better-sqlite3'

/**
 * Holds a file for this process while `work` runs; answers `undefined` without running it where another process holds the file. The kernel takes
 * the lock back when the process dies, however it dies: SQLite locks files so, Node itself cannot. The file is made if it is not there and stays, empty.
 */
export async function withFileLock<T>(file: string, work: () => Promise<T>): Promise<T | undefined> {
  closeSync(openSync(file, 'a', 0o600))
  const lock = new Database(file, { timeout: 0 })
  try {
    try {
      lock.exec('BEGIN EXCLUSIVE')
    } catch (error) {
      if (error instanceof Database.SqliteError && error.code.startsWith('SQLITE_BUSY')) return undefined
      throw error
    }
    return await work()
  } finally {
    lock.close()
  }
}
