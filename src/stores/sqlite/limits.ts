import type { LimitRecord } from '../records.js'
import type { Store } from '../store.js'
import type { Connection } from './connection.js'
import type { Transactions } from './transactions.js'

const columns = [
  'tenant',
  'kind',
  'subject',
  'model',
  'rate',
  'concurrency',
  'quotas',
  'budgets',
  'shadow',
  'createdAtMs',
] as const satisfies readonly (keyof LimitRecord)[]

type LimitRow = Omit<LimitRecord, 'quotas' | 'budgets' | 'shadow'> & {
  readonly quotas: string
  readonly budgets: string
  readonly shadow: number
}

export function limitQueries(db: Connection, { read, change }: Transactions): Pick<Store, 'putLimit' | 'listLimits' | 'removeLimit'> {
  const put = db.prepare(
    `INSERT INTO limits (${columns.join(', ')}) VALUES (${columns.map(column => `@${column}`).join(', ')})
     ON CONFLICT DO UPDATE SET rate = @rate, concurrency = @concurrency, quotas = @quotas, budgets = @budgets, shadow = @shadow`,
  )
  const list = db.prepare<[string], LimitRow>(`SELECT ${columns.join(', ')} FROM limits WHERE tenant = ?`)
  const remove = db.prepare('DELETE FROM limits WHERE tenant = ? AND kind = ? AND subject = ? AND model = ?')

  return {
    putLimit: limit =>
      change(() => {
        const { quotas, budgets, shadow } = limit
        put.run({ ...limit, quotas: JSON.stringify(quotas), budgets: JSON.stringify(budgets), shadow: Number(shadow) })
      }),
    listLimits: tenant => read(() => list.all(tenant).map(toRecord)),
    removeLimit: (tenant, kind, subject, model) => change(() => remove.run(tenant, kind, subject, model).changes > 0),
  }
}

function toRecord(row: LimitRow): LimitRecord {
  return { ...row, quotas: JSON.parse(row.quotas), budgets: JSON.parse(row.budgets), shadow: row.shadow === 1 }
}
