import type { AppRecord } from '../records.js'
import type { Store } from '../store.js'
import type { Connection } from './connection.js'
import type { Transactions } from './transactions.js'

const lists = [
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
] as const satisfies readonly (keyof AppRecord)[]
type Lists = (typeof lists)[number]
type Flags = 'retry5xx' | 'dpop' | 'cutStreams' | 'clampOutput' | 'shadow' | 'letFinish'
type AppRow = Omit<AppRecord, Lists | Flags> & Readonly<Record<Lists, string>> & Readonly<Record<Flags, number>>

const fixed = ['id', 'tenant', 'createdAtMs'] as const satisfies readonly (keyof AppRecord)[]
const changing = [
  'name',
  ...lists,
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
    credentials: JSON.stringify(app.credentials),
    scope: JSON.stringify(app.scope),
    models: JSON.stringify(app.models),
    endpoints: JSON.stringify(app.endpoints),
    origins: JSON.stringify(app.origins),
    addresses: JSON.stringify(app.addresses),
    quotas: JSON.stringify(app.quotas),
    budgets: JSON.stringify(app.budgets),
    userQuotas: JSON.stringify(app.userQuotas),
    userBudgets: JSON.stringify(app.userBudgets),
    retry5xx: Number(app.retry5xx),
    dpop: Number(app.dpop),
    clampOutput: Number(app.clampOutput),
    shadow: Number(app.shadow),
    letFinish: Number(app.letFinish),
    cutStreams: Number(app.cutStreams),
  }
}

function toRecord(row: AppRow): AppRecord {
  return {
    ...row,
    credentials: JSON.parse(row.credentials),
    scope: JSON.parse(row.scope),
    models: JSON.parse(row.models),
    endpoints: JSON.parse(row.endpoints),
    origins: JSON.parse(row.origins),
    addresses: JSON.parse(row.addresses),
    quotas: JSON.parse(row.quotas),
    budgets: JSON.parse(row.budgets),
    userQuotas: JSON.parse(row.userQuotas),
    userBudgets: JSON.parse(row.userBudgets),
    retry5xx: row.retry5xx === 1,
    dpop: row.dpop === 1,
    clampOutput: row.clampOutput === 1,
    shadow: row.shadow === 1,
    letFinish: row.letFinish === 1,
    cutStreams: row.cutStreams === 1,
  }
}
