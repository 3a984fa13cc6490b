import type { IssuerRecord } from '../records.js'
import type { Store } from '../store.js'
import type { Connection } from './connection.js'
import type { Transactions } from './transactions.js'

type Lists = 'audiences' | 'parties' | 'claims'
type Flags = 'allowPrivate' | 'direct' | 'once'
type IssuerRow = Omit<IssuerRecord, Lists | Flags> & Readonly<Record<Lists, string>> & Readonly<Record<Flags, number>>

const columns = [
  'id',
  'tenant',
  'name',
  'url',
  'app',
  'audiences',
  'parties',
  'claims',
  'jwksUrl',
  'allowPrivate',
  'direct',
  'once',
  'createdAtMs',
] as const satisfies readonly (keyof IssuerRecord)[]

export function issuerQueries(
  db: Connection,
  { read, change }: Transactions,
): Pick<Store, 'insertIssuer' | 'listIssuers' | 'removeIssuer'> {
  const insert = db.prepare(`INSERT INTO issuers (${columns.join(', ')}) VALUES (${columns.map(column => `@${column}`).join(', ')})`)
  const list = db.prepare<[], IssuerRow>(`SELECT ${columns.join(', ')} FROM issuers ORDER BY seq`)
  const remove = db.prepare('DELETE FROM issuers WHERE id = ?')

  return {
    insertIssuer: issuer =>
      change(() => {
        insert.run(toRow(issuer))
      }),
    listIssuers: () => read(() => list.all().map(toRecord)),
    removeIssuer: id => change(() => remove.run(id).changes > 0),
  }
}

function toRow(issuer: IssuerRecord): IssuerRow {
  return {
    ...issuer,
    audiences: JSON.stringify(issuer.audiences),
    parties: JSON.stringify(issuer.parties),
    claims: JSON.stringify(issuer.claims),
    allowPrivate: Number(issuer.allowPrivate),
    direct: Number(issuer.direct),
    once: Number(issuer.once),
  }
}

function toRecord(row: IssuerRow): IssuerRecord {
  return {
    ...row,
    audiences: JSON.parse(row.audiences),
    parties: JSON.parse(row.parties),
    claims: JSON.parse(row.claims),
    allowPrivate: row.allowPrivate === 1,
    direct: row.direct === 1,
    once: row.once === 1,
  }
}
