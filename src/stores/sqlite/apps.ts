import type { AppRecord } from '../records.js'
import type { Store } from '../store.js'
import type { Connection } from './connection.js'
import { type RuleColumns, type RuleName, rulesOfColumns, rulesToColumns } from './rule-columns.js'
import type { Transactions } from './transactions.js'

type Lists = 'credentials' | 'userQuotas' | 'userBudgets'
type AppRow = Omit<AppRecord, Lists | 'dpop' | RuleName> & RuleColumns & Readonly<Record<Lists, string>> & { readonly dpop: number }

const fixed = ['id', 'tenant', 'createdAtMs'] as const satisfies readonly (keyof AppRecord)[]
const changing = [
  'name',
  'credentials',
  'scope',
  'models',
  'endpoints',
  'origins',
  'addresses',
  'quotas',
  'budgets',
  'userQuotas',
  'userBudgets',
  'maxOutputTokens',
  'retry5xx',
  'dpop',
  'maxCallMicroDollars',
  'clampOutput',
  'shadow',
  'letFinish',
  'rate',
  'concurrency',
  'userRate',
  'userConcurrency',
  'userTtlMs',
  'sessionMs',
  'maxUsers',
  'revokedAtMs',
  'cutStreams',
] as const satisfies readonly (keyof AppRecord)[]
const columns = [...fixed, ...changing]

export function appQueries(db: Connection, { read, change }: Transactions): Pick<Store, 'insertApp' | 'getApp' | 'listApps' | 'updateApp'> {
  const insert = db.prepare(`INSERT INTO apps (${columns.join(', ')}) VALUES (${columns.map(column => `@${column}`).join(', ')})`)
  const get = db.prepare<[string], AppRow>(`SELECT ${columns.join(', ')} FROM apps WHERE id = ?`)
  const list = db.prepare<[], AppRow>(`SELECT ${columns.join(', ')} FROM apps ORDER BY seq`)
  const update = db.prepare(`UPDATE apps SET ${changing.map(column => `${column} = @${column}`).join(', ')} WHERE id = @id`)

  return {
    insertApp: app =>
      change(() => {
        insert.run(toRow(app))
      }),
    getApp: id =>
      read(() => {
        const row = get.get(id)
        return row && toRecord(row)
      }),
    listApps: () => read(() => list.all().map(toRecord)),
    updateApp: (id, patch) =>
      change(() => {
        const row = get.get(id)
        if (row === undefined) return false
        update.run(toRow({ ...toRecord(row), ...patch, id }))
        return true
      }),
  }
}

function toRow(app: AppRecord): AppRow {
  return {
    ...app,
    ...rulesToColumns(app),
    credentials: JSON.stringify(app.credentials),
    userQuotas: JSON.stringify(app.userQuotas),
    userBudgets: JSON.stringify(app.userBudgets),
    dpop: Number(app.dpop),
  }
}

function toRecord(row: AppRow): AppRecord {
  return {
    ...row,
    ...rulesOfColumns(row),
    credentials: JSON.parse(row.credentials),
    userQuotas: JSON.parse(row.userQuotas),
    userBudgets: JSON.parse(row.userBudgets),
    dpop: row.dpop === 1,
  }
}
