import { type BatchName, type BatchRecord, type BatchStore, batchInstance, batchSlices } from '../batch-record.js'
import { lifeOf, processName } from '../process-name.js'
import type { Entry } from '../records.js'
import type { Connection } from './connection.js'
import type { SliceQueries } from './slices.js'
import type { Transactions } from './transactions.js'

const columns = [
  'keyId',
  'id',
  'tenant',
  'provider',
  'callId',
  'path',
  'endpoint',
  'grantId',
  'tokenId',
  'subject',
  'app',
  'address',
  'models',
  'requests',
  'holds',
  'createdAtMs',
  'nextPollAtMs',
  'polls',
  'misses',
  'settledAtMs',
] as const satisfies readonly (keyof BatchRecord)[]

type BatchRow = Omit<BatchRecord, 'models' | 'holds'> & { readonly models: string; readonly holds: string }
type LeasedRow = BatchRow & {
  readonly leaseHolder: string | null
  readonly leaseProcess: string | null
  readonly leaseEndsAtMs: number | null
}

export interface BatchDeps {
  readonly slices: Pick<SliceQueries, 'put' | 'close'>
  /** Adds entries, inside a transaction; `undo` where that was undone. */
  readonly entries: { append(entries: readonly Entry[]): void; undo(): void }
  readonly committed: () => void
}

export function batchQueries(db: Connection, { read, write }: Transactions, { slices, entries, committed }: BatchDeps): BatchStore {
  const add = db.prepare(
    `INSERT INTO batches (${columns.join(', ')}) VALUES (${columns.map(column => `@${column}`).join(', ')}) ON CONFLICT DO NOTHING`,
  )
  const due = db.prepare<[number], LeasedRow>(
    'SELECT * FROM batches WHERE settledAtMs IS NULL AND nextPollAtMs <= ? ORDER BY nextPollAtMs LIMIT 1000',
  )
  const lease = db.prepare('UPDATE batches SET leaseHolder = ?, leaseProcess = ?, leaseEndsAtMs = ? WHERE keyId = ? AND id = ?')
  const putOff = db.prepare(
    `UPDATE batches SET nextPollAtMs = ?, polls = ?, misses = ?, leaseHolder = NULL, leaseProcess = NULL, leaseEndsAtMs = NULL
     WHERE keyId = ? AND id = ? AND leaseHolder = ? AND settledAtMs IS NULL`,
  )
  const settle = db.prepare<[number, string, string, string], BatchRow>(
    `UPDATE batches SET settledAtMs = ?, leaseHolder = NULL, leaseProcess = NULL, leaseEndsAtMs = NULL
     WHERE keyId = ? AND id = ? AND leaseHolder = ? AND settledAtMs IS NULL RETURNING *`,
  )
  const list = db.prepare<[number, string | null, number], BatchRow>(
    'SELECT * FROM batches WHERE (settledAtMs IS NULL OR ?) AND id = ifnull(?, id) ORDER BY createdAtMs DESC, id LIMIT ?',
  )
  const hurry = db.prepare('UPDATE batches SET nextPollAtMs = min(nextPollAtMs, ?) WHERE settledAtMs IS NULL AND id = ifnull(?, id)')
  const prune = db.prepare(
    `DELETE FROM batches WHERE (keyId, id) IN
       (SELECT keyId, id FROM batches WHERE settledAtMs < ? ORDER BY settledAtMs LIMIT ?)`,
  )
  const own = processName()

  const isFree = ({ leaseHolder, leaseProcess, leaseEndsAtMs }: LeasedRow, now: number): boolean =>
    leaseHolder === null ||
    (leaseEndsAtMs ?? 0) <= now ||
    (leaseProcess !== null && leaseProcess !== own && lifeOf(leaseProcess) === 'dead')

  return {
    keepBatch: (batch, from) =>
      write(() => {
        const row = { ...batch, models: JSON.stringify(batch.models), holds: JSON.stringify(batch.holds) }
        if (add.run(row).changes === 0) return false
        if (from) slices.put(from.instance, from.states)
        slices.put(batchInstance(batch), batchSlices(batch))
        return true
      }),
    leaseBatches: (holder, now, untilMs, most) => {
      // nearly always there is none, and reading costs others nothing
      if (read(() => due.all(now)).length === 0) return []
      return write(() => {
        const free = due
          .all(now)
          .filter(row => isFree(row, now))
          .slice(0, most)
        for (const { keyId, id } of free) lease.run(holder, own, untilMs, keyId, id)
        return free.map(toRecord)
      })
    },
    putBatchOff: ({ keyId, id }, holder, { nextPollAtMs, polls, misses }) =>
      write(() => putOff.run(nextPollAtMs, polls, misses, keyId, id, holder).changes > 0),
    settleBatch: (name, holder, added, used, now) => {
      const settled = settleOne(name, holder, added, used, now)
      if (settled) committed()
      return settled
    },
    listBatches: ({ open, id, limit }) => read(() => list.all(open ? 0 : 1, id ?? null, limit ?? -1).map(toRecord)),
    hurryBatches: (now, id) => write(() => hurry.run(now, id ?? null).changes),
    pruneBatches: (settledBeforeMs, most) => write(() => prune.run(settledBeforeMs, most).changes),
  }

  function settleOne(name: BatchName, holder: string, added: readonly Entry[], used: readonly number[], now: number): boolean {
    try {
      return write(() => {
        const row = settle.get(now, name.keyId, name.id, holder)
        if (!row) return false
        const instance = batchInstance(name)
        slices.put(instance, batchSlices(toRecord(row), used))
        slices.close(instance)
        entries.append(added)
        return true
      })
    } catch (error) {
      entries.undo()
      throw error
    }
  }
}

function toRecord(row: BatchRow): BatchRecord {
  const record = Object.fromEntries(columns.map(column => [column, row[column]])) as unknown as BatchRow
  return { ...record, models: JSON.parse(row.models), holds: JSON.parse(row.holds) }
}
