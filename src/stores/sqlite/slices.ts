import { lifeOf, processName } from '../process-name.js'
import { type CounterTotal, leastRememberedMs, type SliceState, type SliceStore } from '../slices.js'
import type { Connection } from './connection.js'
import type { Transactions } from './transactions.js'

export interface SliceQueries {
  readonly queries: SliceStore
  /** Inside a transaction. */
  put(instance: string, states: readonly SliceState[]): void
  /** What an instance used stays used, the rest of what it drew is given back. Inside a transaction. */
  close(instance: string): void
}

interface InstanceRow {
  readonly instance: string
  readonly process: string
  /** Negative: it was overdue then, and its slices were closed. */
  readonly expiresAtMs: number
}

/** What is left of an instance that ended: its calls' part, and what its open calls may have held, in the row of all that ended. */
const close = `
  INSERT INTO slices (counter, windowStartMs, instance, windowEndMs, drawn, used, mostHeld, lost)
  SELECT counter, windowStartMs, '', windowEndMs, used + iif(:lose, max(lost, min(mostHeld, drawn - used)), 0), used, 0, iif(:lose, max(lost, min(mostHeld, drawn - used)), 0)
    FROM slices WHERE instance = :instance AND counter = ifnull(:counter, counter) AND windowStartMs = ifnull(:windowStartMs, windowStartMs)
  ON CONFLICT DO UPDATE SET drawn = drawn + excluded.drawn, used = used + excluded.used, lost = lost + excluded.lost`

/** The same in its own rows, for one that may only stand still: what it says when it goes on takes their place. */
const suspend = `
  UPDATE slices SET lost = max(lost, min(mostHeld, drawn - used)), drawn = used + max(lost, min(mostHeld, drawn - used)), mostHeld = 0
  WHERE instance = ? AND (mostHeld > 0 OR drawn > used + lost)`

export function sliceQueries(db: Connection, { read, write }: Transactions): SliceQueries {
  const listInstances = db.prepare<[], InstanceRow>('SELECT * FROM instances')
  const addInstance = db.prepare('INSERT INTO instances (instance, process, expiresAtMs) VALUES (?, ?, ?)')
  const renew = db.prepare('UPDATE instances SET expiresAtMs = ? WHERE instance = ?')
  const dropInstance = db.prepare('DELETE FROM instances WHERE instance = ?')
  const expiry = db.prepare<[string], number>('SELECT expiresAtMs FROM instances WHERE instance = ?').pluck()
  const closeSlices = db.prepare(close)
  const suspendSlices = db.prepare(suspend)
  const putOff = db.prepare('UPDATE instances SET expiresAtMs = -expiresAtMs WHERE instance = ? AND expiresAtMs > 0')
  const dropSlices = db.prepare('DELETE FROM slices WHERE instance = ?')
  const dropSlice = db.prepare('DELETE FROM slices WHERE instance = ? AND counter = ? AND windowStartMs = ?')
  const prune = db.prepare(
    `DELETE FROM slices WHERE (counter, windowStartMs, instance) IN (
       SELECT counter, windowStartMs, instance FROM slices WHERE windowEndMs + max(${leastRememberedMs}, 2 * (windowEndMs - windowStartMs)) < ? LIMIT ?)`,
  )
  const others = db
    .prepare<[string, number, string], number>(
      'SELECT ifnull(sum(drawn), 0) FROM slices WHERE counter = ? AND windowStartMs = ? AND instance <> ?',
    )
    .pluck()
  const putSlice = db.prepare(
    `INSERT INTO slices (counter, windowStartMs, instance, windowEndMs, drawn, used, mostHeld) VALUES (?, ?, ?, ?, ?, ?, ?)
     ON CONFLICT DO UPDATE SET drawn = excluded.drawn, used = excluded.used, mostHeld = excluded.mostHeld, lost = 0`,
  )
  const totals = db.prepare<[string], CounterTotal>(
    `SELECT counter, windowStartMs, windowEndMs, sum(used + lost) AS used, sum(drawn) AS drawn, sum(min(mostHeld, drawn - used)) AS held, sum(lost) AS lost
     FROM slices WHERE counter = ? GROUP BY windowStartMs ORDER BY windowStartMs DESC`,
  )
  const own = processName()

  function put(instance: string, states: readonly SliceState[]): void {
    for (const { counter, windowStartMs, windowEndMs, drawn, used, mostHeld } of states)
      putSlice.run(counter, windowStartMs, instance, windowEndMs, drawn, used, mostHeld)
  }

  function closeOne(instance: string, loses: boolean): void {
    closeSlices.run({ instance, lose: Number(loses), counter: null, windowStartMs: null })
    dropSlices.run(instance)
    dropInstance.run(instance)
  }

  /** Those that are dead, and the overdue of which it is not known. Tells how many had something to give. */
  function closeOverdue(now: number, goneBeforeMs = 0): number {
    let closed = 0
    for (const { instance, process, expiresAtMs } of listInstances.all()) {
      const life = process === own ? 'unknown' : lifeOf(process)
      if (life === 'dead' || (life === 'unknown' && Math.abs(expiresAtMs) < goneBeforeMs)) {
        closeOne(instance, true)
        closed++
      } else if (life === 'unknown' && expiresAtMs <= now) {
        const { changes } = suspendSlices.run(instance)
        if (putOff.run(instance).changes + changes > 0) closed++
      }
    }
    return closed
  }

  const queries: SliceStore = {
    openInstance: (instance, expiresAtMs) => {
      write(() => addInstance.run(instance, own, expiresAtMs))
    },
    renewInstance: (instance, expiresAtMs) =>
      write(() => {
        const before = expiry.get(instance)
        if (before === undefined) return 'gone'
        renew.run(expiresAtMs, instance)
        return before < 0 ? 'closed' : 'open'
      }),
    otherInstances: (instance, now) =>
      read(() => listInstances.all().filter(other => other.instance !== instance && other.expiresAtMs > now).length),
    claim: (instance, request, now) =>
      write(() => {
        const { counter, windowStartMs, drawn, limit, spare, force } = request
        let taken = others.get(counter, windowStartMs, instance) ?? 0
        if (taken > 0 && taken + drawn > limit && closeOverdue(now) > 0) taken = others.get(counter, windowStartMs, instance) ?? 0
        const room = limit - taken - drawn
        if (room < 0 && !force) return { granted: false, drawn, others: taken }
        const granted = drawn + Math.max(0, Math.min(spare, Math.floor(room / shareOfRest)))
        put(instance, [{ ...request, drawn: granted }])
        return { granted: true, drawn: granted, others: taken }
      }),
    settleSlices: (instance, states) => {
      write(() => put(instance, states))
    },
    retireSlices: (instance, windows) => {
      write(() => {
        for (const { counter, windowStartMs } of windows) {
          closeSlices.run({ instance, lose: 0, counter, windowStartMs })
          dropSlice.run(instance, counter, windowStartMs)
        }
      })
    },
    closeInstance: (instance, endedInOrder) => {
      write(() => closeOne(instance, !endedInOrder))
    },
    closeDead: (now, goneBeforeMs) => write(() => closeOverdue(now, goneBeforeMs)),
    pruneWindows: (now, most) => write(() => prune.run(now, most).changes),
    drawnByOthers: (instance, { counter, windowStartMs }) => read(() => others.get(counter, windowStartMs, instance) ?? 0),
    counterTotals: counters => read(() => counters.flatMap(counter => totals.all(counter))),
  }
  return { queries, put, close: instance => closeOne(instance, false) }
}

/** Of what is left of a limit, so small a part is drawn ahead of need. */
const shareOfRest = 16
