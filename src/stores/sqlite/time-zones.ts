import type { TimeZoneRecord } from '../records.js'
import type { Store } from '../store.js'
import type { Connection } from './connection.js'
import type { Transactions } from './transactions.js'

export function timeZoneQueries(db: Connection, { read, change }: Transactions): Pick<Store, 'addTimeZone' | 'listTimeZones'> {
  const add = db.prepare('INSERT INTO timeZones (tenant, timeZone, fromMs) VALUES (@tenant, @timeZone, @fromMs)')
  const list = db.prepare<[string], TimeZoneRecord>('SELECT tenant, timeZone, fromMs FROM timeZones WHERE tenant = ? ORDER BY fromMs')
  return {
    addTimeZone: zone =>
      change(() => {
        add.run(zone)
      }),
    listTimeZones: tenant => read(() => list.all(tenant)),
  }
}
