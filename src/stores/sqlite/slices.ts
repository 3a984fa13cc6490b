import { isDead, processName } from '../process-name.js'
import type { CounterTotal, SliceState, SliceStore } from '../slices.js'
import type { Connection } from './connection.js'
import type { Transactions } from './transactions.js'

export interface SliceQueries {
  readonly queries: SliceStore
  /** Inside a transaction. */
  put(instance: string, states: readonly SliceState[]): void
}

interface InstanceRow {
  readonly instance: string
  readonly process: string
  readonly expiresAtMs: number
}

/** What is left of an instance that ended: its calls' part, and what its open calls may have held, in the row of all that ended. */
const close = `
  INSERT INTO slices (counter, windowStartMs, instance, windowEndMs, drawn, used, mostHeld, lost)
  SELECT counter, windowStartMs, '', windowEndMs, used + iif(:lose, min(mostHeld, drawn - used), 0), used, 0, iif(:lose, min(mostHeld, drawn - used), 0)
    FROM slices WHERE instance = :instance AND counter = ifnull(:counter, counter) AND windowStartMs = ifnull(:windowStartMs, windowStartMs)
  ON CONFLICT DO UPDATE SET drawn = drawn + excluded.drawn, used = used + excluded.used, lost = lost + excluded.lost`

export function sliceQueries(db: Connection, { read, write }: Transactions): SliceQueries {
  const listInstances = db.prepare<[], InstanceRow>('SELECT * FROM instances')
  const addInstance = db.prepare('INSERT INTO instances (instance, process, expiresAtMs) VALUES (?, ?, ?)')
  const renew = db.prepare('UPDATE instances SET expiresAtMs = ? WHERE instance = ?')
  const dropInstance = db.prepare('DELETE FROM instances WHERE instance = ?')
  const closeSlices = db.prepare(close)
  const dropSlices = db.prepare('DELETE FROM slices WHERE instance = ?')
  const dropSlice = db.prepare('DELETE FROM slices WHERE instance = ? AND counter = ? AND windowStartMs = ?')
  const forget = db.prepare('DELETE FROM slices WHERE windowEndMs < ?')
  const others = db
    .prepare<[string, number, string], number>(
      'SELECT ifnull(sum(drawn), 0) FROM slices WHERE counter = ? AND windowStartMs = ? AND instance <> ?',
    )
    .pluck()
  const putSlice = db.prepare(
    `INSERT INTO slices (counter, windowStartMs, instance, windowEndMs, drawn, used, mostHeld) VALUES (?, ?, ?, ?, ?, ?, ?)
     ON CONFLICT DO UPDATE SET drawn = excluded.drawn, used = excluded.used, mostHeld = excluded.mostHeld`,
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

  function closeOverdue(now: number): number {
    const dead = listInstances.all().filter(({ process, expiresAtMs }) => expiresAtMs <= now || (process !== own && isDead(process)))
    for (const { instance } of dead) closeOne(instance, true)
    return dead.length
  }

  const queries: SliceStore = {
    openInstance: (instance, expiresAtMs) => {
      write(() => addInstance.run(instance, own, expiresAtMs))
    },
    renewInstance: (instance, expiresAtMs) => write(() => renew.run(expiresAtMs, instance).changes > 0),
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
    closeDead: (now, forgetBeforeMs) =>
      write(() => {
        forget.run(forgetBeforeMs)
        return closeOverdue(now)
      }),
    counterTotals: counters => read(() => counters.flatMap(counter => totals.all(counter))),
  }
  return { queries, put }
}

/** Of what is left of a limit, so small a part is drawn ahead of need. */
export const shareOfRest = 16
