import type { RestRecord } from '../records.js'
import type { Store } from '../store.js'
import type { Connection } from './connection.js'
import type { Transactions } from './transactions.js'

const columns = ['keyId', 'model', 'sinceMs', 'untilMs', 'status'] as const satisfies readonly (keyof RestRecord)[]

export function restQueries(db: Connection, { read, write }: Transactions): Pick<Store, 'putRests' | 'listRests'> {
  const put = db.prepare<[RestRecord]>(
    `INSERT OR REPLACE INTO rests (${columns.join(', ')}) VALUES (${columns.map(column => `@${column}`).join(', ')})`,
  )
  const forget = db.prepare<[number]>('DELETE FROM rests WHERE untilMs <= ?')
  const list = db.prepare<[number], RestRecord>(`SELECT ${columns.join(', ')} FROM rests WHERE untilMs > ? ORDER BY keyId, model`)

  return {
    putRests: (rests, now) =>
      write(() => {
        for (const rest of rests) put.run(rest)
        forget.run(now)
      }),
    listRests: now => read(() => list.all(now)),
  }
}
