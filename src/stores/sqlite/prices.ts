import type { PriceRecord } from '../records.js'
import type { Store } from '../store.js'
import type { Connection } from './connection.js'
import type { Transactions } from './transactions.js'

type PriceRow = Omit<PriceRecord, 'rates'> & { readonly rates: string | null }

export function priceQueries(db: Connection, { read, change }: Transactions): Pick<Store, 'putPrices' | 'listPrices' | 'removePrice'> {
  const put = db.prepare(
    `INSERT INTO prices (provider, model, fromMs, rates, sameAs, createdAtMs) VALUES (@provider, @model, @fromMs, @rates, @sameAs, @createdAtMs)
     ON CONFLICT (provider, model, fromMs) DO UPDATE SET rates = excluded.rates, sameAs = excluded.sameAs, createdAtMs = excluded.createdAtMs`,
  )
  const list = db.prepare<[], PriceRow>(
    'SELECT provider, model, fromMs, rates, sameAs, createdAtMs FROM prices ORDER BY fromMs, provider, model',
  )
  const remove = db.prepare('DELETE FROM prices WHERE provider = ? AND model = ?')
  return {
    putPrices: prices =>
      change(() => {
        for (const price of prices) put.run({ ...price, rates: price.rates === null ? null : JSON.stringify(price.rates) })
      }),
    listPrices: () =>
      read(() => list.all().map(row => ({ ...row, rates: row.rates === null ? null : (JSON.parse(row.rates) as Record<string, number>) }))),
    removePrice: (provider, model) => change(() => remove.run(provider, model).changes > 0),
  }
}
