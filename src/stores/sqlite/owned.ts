import type { OwnedRecord } from '../records.js'
import type { OwnedFilter, Store } from '../store.js'
import type { Connection } from './connection.js'
import type { Transactions } from './transactions.js'

type OwnedStore = Pick<Store, 'keepOwned' | 'findOwned' | 'listOwned' | 'forgetOwned' | 'pruneOwned'>

/** What everything has in common that one grant makes of one kind with one key: it stands once, in `holders`. */
type Holder = Pick<OwnedRecord, 'tenant' | 'provider' | 'kind' | 'keyId' | 'grantId'>

const holderColumns = ['tenant', 'provider', 'kind', 'keyId', 'grantId'] as const satisfies readonly (keyof Holder)[]
const columns = 'tenant, provider, kind, id, keyId, grantId, createdAtMs, endsAtMs, facts'

export function ownedQueries(db: Connection, { read, write }: Transactions): OwnedStore {
  const holderOf = db.prepare<[Holder], { holder: number }>(
    `SELECT holder FROM holders WHERE ${holderColumns.map(column => `${column} = @${column}`).join(' AND ')}`,
  )
  const addHolder = db.prepare<[Holder]>(
    `INSERT INTO holders (${holderColumns.join(', ')}) VALUES (${holderColumns.map(column => `@${column}`).join(', ')})`,
  )
  const add = db.prepare<[string, number, number, number | null, string | null]>(
    'INSERT INTO owned (id, holder, createdAtMs, endsAtMs, facts) VALUES (?, ?, ?, ?, ?)',
  )
  const find = db.prepare<[string, string, string, string], OwnedRecord>(
    `SELECT ${columns} FROM owned CROSS JOIN holders USING (holder) WHERE id = ? AND tenant = ? AND provider = ? AND kind = ?`,
  )
  const known = db.prepare<[string, string, string, string, string], 1>(
    `SELECT 1 FROM owned CROSS JOIN holders USING (holder) WHERE id = ? AND tenant = ? AND provider = ? AND kind = ? AND keyId = ?`,
  )
  const forget = db.prepare(
    `DELETE FROM owned WHERE id = @id AND holder IN
       (SELECT holder FROM holders WHERE tenant = @tenant AND provider = @provider AND kind = @kind AND keyId = @keyId)`,
  )
  const pruneOver = db.prepare<[number, number]>(
    'DELETE FROM owned WHERE rowid IN (SELECT rowid FROM owned WHERE endsAtMs <= ? ORDER BY endsAtMs LIMIT ?)',
  )
  const pruneKeyless = db.prepare<[number]>(
    `DELETE FROM owned WHERE rowid IN
       (SELECT owned.rowid FROM holders JOIN owned USING (holder) WHERE keyId NOT IN (SELECT id FROM keys) LIMIT ?)`,
  )

  function keep(record: OwnedRecord): void {
    const { id, tenant, provider, kind, keyId, createdAtMs, endsAtMs, facts } = record
    if (known.get(id, tenant, provider, kind, keyId) !== undefined) return
    const holder = Object.fromEntries(holderColumns.map(column => [column, record[column]])) as unknown as Holder
    const number = holderOf.get(holder)?.holder ?? Number(addHolder.run(holder).lastInsertRowid)
    add.run(id, number, createdAtMs, endsAtMs, facts)
  }

  return {
    keepOwned: records =>
      write(() => {
        for (const record of records) keep(record)
      }),
    findOwned: ({ tenant, provider, kind, id }) => read(() => find.all(id, tenant, provider, kind)),
    listOwned: filter => read(() => list(db, filter)),
    forgetOwned: name => write(() => forget.run(name).changes > 0),
    pruneOwned: (now, most) => write(() => pruneOver.run(now, most).changes + pruneKeyless.run(most).changes),
  }
}

function list(db: Connection, { limit, ...filter }: OwnedFilter): OwnedRecord[] {
  const given = Object.entries(filter).filter(([, value]) => value !== undefined)
  const where = given.map(([name]) => `${name} = ?`).join(' AND ')
  // whose they are is looked up first: there are few holders, and each knows its own
  return db
    .prepare<unknown[], OwnedRecord>(
      `SELECT ${columns} FROM holders CROSS JOIN owned USING (holder) ${where === '' ? '' : `WHERE ${where}`}
       ORDER BY createdAtMs DESC, owned.rowid DESC LIMIT ?`,
    )
    .all(...given.map(([, value]) => value), limit ?? -1)
}
