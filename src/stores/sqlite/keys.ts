import type { KeyRecord } from '../records.js'
import type { KeyPatch, Store } from '../store.js'
import type { Connection } from './connection.js'
import type { Transactions } from './transactions.js'

type KeyRow = Omit<KeyRecord, 'allowPrivate'> & { readonly allowPrivate: number }

const columns = [
  'id',
  'tenant',
  'user',
  'provider',
  'name',
  'baseUrl',
  'allowPrivate',
  'auth',
  'dialect',
  'organization',
  'project',
  'sealed',
  'masterKeyVersion',
  'version',
  'state',
  'weight',
  'rejectedAtMs',
  'spentAtMs',
  'wokenAtMs',
  'createdAtMs',
  'rotatedAtMs',
] as const satisfies readonly (keyof KeyRecord)[]

const read = `SELECT ${columns.join(', ')} FROM keys`
const changing = [
  'name',
  'sealed',
  'masterKeyVersion',
  'version',
  'state',
  'weight',
  'rejectedAtMs',
  'spentAtMs',
  'wokenAtMs',
  'rotatedAtMs',
] as const satisfies readonly (keyof KeyPatch)[]

export function keyQueries(
  db: Connection,
  { read: reading, change }: Transactions,
): Pick<Store, 'insertKey' | 'getKey' | 'listKeys' | 'updateKey' | 'removeKey'> {
  const insert = db.prepare(`INSERT INTO keys (${columns.join(', ')}) VALUES (${columns.map(column => `@${column}`).join(', ')})`)
  const get = db.prepare<[string], KeyRow>(`${read} WHERE id = ?`)
  const list = db.prepare<[string | null, string | null], KeyRow>(
    `${read} WHERE tenant = ifnull(?, tenant) AND provider = ifnull(?, provider) ORDER BY seq`,
  )
  const update = db.prepare(`UPDATE keys SET ${changing.map(column => `${column} = @${column}`).join(', ')} WHERE id = @id`)
  const remove = db.prepare('DELETE FROM keys WHERE id = ?')

  return {
    insertKey: key =>
      change(() => {
        insert.run(toRow(key))
      }),
    getKey: id =>
      reading(() => {
        const row = get.get(id)
        return row && toRecord(row)
      }),
    listKeys: (filter = {}) => reading(() => list.all(filter.tenant ?? null, filter.provider ?? null).map(toRecord)),
    updateKey: (id, patch, ifVersion) =>
      change(() => {
        const row = get.get(id)
        if (row === undefined || (ifVersion !== undefined && row.version !== ifVersion)) return false
        update.run({ ...row, ...patch, id })
        return true
      }),
    removeKey: id => change(() => remove.run(id).changes > 0),
  }
}

function toRow(key: KeyRecord): KeyRow {
  return { ...key, allowPrivate: Number(key.allowPrivate) }
}

function toRecord(row: KeyRow): KeyRecord {
  return { ...row, allowPrivate: row.allowPrivate === 1 }
}
