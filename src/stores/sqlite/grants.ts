import type { GrantRecord, TokenRecord } from '../records.js'
import type { Store } from '../store.js'
import type { Connection } from './connection.js'
import { type RuleColumns, type RuleName, rulesOfColumns, rulesToColumns } from './rule-columns.js'
import type { Transactions } from './transactions.js'

type GrantRow = Omit<GrantRecord, RuleName | 'app' | 'narrowedTo'> & RuleColumns

const fixed = ['id', 'tenant', 'createdAtMs'] as const satisfies readonly (keyof GrantRecord)[]
const changing = [
  'name',
  'subject',
  'scope',
  'models',
  'endpoints',
  'origins',
  'addresses',
  'rate',
  'concurrency',
  'maxOutputTokens',
  'retry5xx',
  'dpop',
  'quotas',
  'budgets',
  'maxCallMicroDollars',
  'clampOutput',
  'shadow',
  'letFinish',
  'expiresAtMs',
  'revokedAtMs',
  'cutStreams',
] as const satisfies readonly (keyof GrantRecord)[]
const columns = [...fixed, ...changing]

type GrantQueries = Pick<Store, 'insertGrant' | 'getGrant' | 'listGrants' | 'updateGrant' | 'replaceTokens' | 'endToken'>

export function grantQueries(db: Connection, { read, change }: Transactions): GrantQueries {
  const insert = db.prepare(`INSERT INTO grants (${columns.join(', ')}) VALUES (${columns.map(column => `@${column}`).join(', ')})`)
  const get = db.prepare<[string], GrantRow>(`SELECT ${columns.join(', ')} FROM grants WHERE id = ?`)
  const list = db.prepare<[], GrantRow>(`SELECT ${columns.join(', ')} FROM grants ORDER BY seq`)
  const update = db.prepare(`UPDATE grants SET ${changing.map(column => `${column} = @${column}`).join(', ')} WHERE id = @id`)
  const insertToken = db.prepare(
    'INSERT INTO tokens (jti, grantId, issuedAtMs, expiresAtMs) VALUES (@jti, @grantId, @issuedAtMs, @expiresAtMs)',
  )
  const tokensOf = db.prepare<[string], TokenRecord>(
    'SELECT jti, grantId, issuedAtMs, expiresAtMs FROM tokens WHERE grantId = ? ORDER BY seq',
  )
  const endTokens = db.prepare('UPDATE tokens SET expiresAtMs = @end WHERE grantId = @grantId AND expiresAtMs > @end')
  const endOne = db.prepare('UPDATE tokens SET expiresAtMs = min(expiresAtMs, @atMs) WHERE grantId = @grantId AND jti = @jti')

  return {
    insertGrant: (grant, token) =>
      change(() => {
        insert.run(toRow(grant))
        insertToken.run(token)
      }),
    getGrant: id =>
      read(() => {
        const row = get.get(id)
        return row && { grant: toRecord(row), tokens: tokensOf.all(id) }
      }),
    listGrants: () => read(() => list.all().map(toRecord)),
    updateGrant: (id, patch) =>
      change(() => {
        const row = get.get(id)
        if (row === undefined) return false
        update.run(toRow({ ...toRecord(row), ...patch, id }))
        return true
      }),
    replaceTokens: (token, oldTokensEndAtMs) =>
      change(() => {
        const row = get.get(token.grantId)
        if (row === undefined || row.revokedAtMs !== null) return false
        endTokens.run({ grantId: token.grantId, end: oldTokensEndAtMs })
        insertToken.run(token)
        return true
      }),
    endToken: (grantId, jti, atMs) => change(() => endOne.run({ grantId, jti, atMs }).changes > 0),
  }
}

const toRow = (grant: GrantRecord): GrantRow => ({ ...grant, ...rulesToColumns(grant) })

const toRecord = (row: GrantRow): GrantRecord => ({ ...row, ...rulesOfColumns(row) })
