import type { AliasRecord } from '../records.js'
import type { Store } from '../store.js'
import type { Connection } from './connection.js'
import type { Transactions } from './transactions.js'

export function aliasQueries(
  db: Connection,
  { read: reading, change }: Transactions,
): Pick<Store, 'putAlias' | 'listAliases' | 'removeAlias'> {
  const put = db.prepare(
    'INSERT INTO aliases (tenant, name, target, createdAtMs) VALUES (@tenant, @name, @target, @createdAtMs) ON CONFLICT (tenant, name) DO UPDATE SET target = excluded.target',
  )
  const list = db.prepare<[string], AliasRecord>('SELECT tenant, name, target, createdAtMs FROM aliases WHERE tenant = ? ORDER BY name')
  const remove = db.prepare('DELETE FROM aliases WHERE tenant = ? AND name = ?')
  return {
    putAlias: alias =>
      change(() => {
        put.run(alias)
      }),
    listAliases: tenant => reading(() => list.all(tenant)),
    removeAlias: (tenant, name) => change(() => remove.run(tenant, name).changes > 0),
  }
}
