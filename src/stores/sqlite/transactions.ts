import { statSync } from 'node:fs'
import { SoakpError } from '../../errors.js'
import type { Connection } from './connection.js'
import { driverError } from './driver-errors.js'
import { openWalIndex } from './wal-index.js'

/** How statements run: in a transaction where they write, with the driver's errors in soakp's words. */
export interface Transactions {
  /** Statements that only read. */
  read<T>(work: () => T): T
  /** One transaction: committed when it returns, undone when it throws. */
  write<T>(work: () => T): T
  /** A write that raises the policy generation, unless `work` returns false: then nothing was changed. */
  change<T>(work: () => T): T
  /** Rises with every committed change by any process; sees every change committed before the call. */
  generation(): number
  /** After the connection is closed. */
  close(): void
}

/** A file that was moved or removed is written on as if it were there; so often it is looked whether it still is. */
const lookEveryMs = 200

export function transactions(db: Connection, file: string): Transactions {
  const begin = db.prepare('BEGIN IMMEDIATE')
  const commit = db.prepare('COMMIT')
  const rollback = db.prepare('ROLLBACK')
  const raise = db.prepare<[], number>('UPDATE policy SET generation = generation + 1 RETURNING generation').pluck()
  const readGeneration = db.prepare<[], number>('SELECT generation FROM policy').pluck()
  // moves whenever another connection has committed anything
  const dataVersion = db.prepare<[], number>('PRAGMA data_version').pluck()
  const walIndex = openWalIndex(file)
  const opened = statSync(file)
  let lookedAt = performance.now()
  let seenDataVersion = -1
  let generation = 0

  function guard<T>(work: () => T): T {
    try {
      return work()
    } catch (error) {
      throw driverError(error, file)
    }
  }

  function checkPlace(): void {
    const at = performance.now()
    if (at - lookedAt < lookEveryMs) return
    const found = statSync(file, { throwIfNoEntry: false })
    if (found?.ino !== opened.ino || found.dev !== opened.dev) throw moved(file)
    lookedAt = at
  }

  function write<T>(work: () => T): T {
    try {
      checkPlace()
      begin.run()
      const result = work()
      commit.run()
      return result
    } catch (error) {
      // a full disk ends the transaction by itself
      if (db.inTransaction) rollback.run()
      throw driverError(error, file)
    }
  }

  return {
    read: guard,
    write,
    change: work => {
      let raised: number | undefined
      const result = write(() => {
        const done = work()
        if (done !== false) raised = raise.get()
        return done
      })
      if (raised !== undefined) generation = raised
      return result
    },
    generation: () => {
      try {
        if (!walIndex.moved()) return generation
        const now = dataVersion.get() as number
        if (now !== seenDataVersion) {
          generation = readGeneration.get() as number
          seenDataVersion = now
        }
        return generation
      } catch (error) {
        walIndex.forget()
        throw driverError(error, file)
      }
    },
    close: walIndex.close,
  }
}

function moved(file: string): SoakpError {
  return new SoakpError('store_unavailable', `${file} was moved or removed.`, {
    hint: 'put it back where it was; to go on with another one, stop soakp first',
    retryAfterSeconds: 5,
  })
}
