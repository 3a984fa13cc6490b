import type { DnsAccount, TxtRecord, Zone } from '../provider.js'
import { unquote, valuesByName } from './values.js'

/** A TXT record as it is stored, its value as the API shows it. */
export interface StoredRecord {
  readonly id: string
  readonly shown: string
}

/** An API in which each value is a record with an id of its own. */
export interface RecordApi {
  /** The TXT records of exactly this name, from all pages. */
  list(zone: Zone, name: string): Promise<readonly StoredRecord[]>
  /** A record that is there already is success. */
  create(zone: Zone, record: TxtRecord): Promise<unknown>
  /** A record that is gone already is success. */
  delete(zone: Zone, id: string): Promise<unknown>
  /** Asked after all writes to a zone; also when there was nothing to write, because an earlier run may have died before it asked. */
  publish?(zone: Zone): Promise<unknown>
}

/** Adds what is missing and removes what is ours, found by name and value. Ids are never remembered: they would be lost with the process. */
export function byRecord(api: RecordApi): Pick<DnsAccount, 'add' | 'remove'> {
  return {
    async add(zone, records) {
      for (const [name, values] of valuesByName(records)) {
        const stored = new Set((await api.list(zone, name)).map(({ shown }) => unquote(shown)))
        for (const value of values) if (!stored.has(value)) await api.create(zone, { name, value })
      }
      await api.publish?.(zone)
    },
    async remove(zone, records) {
      for (const [name, values] of valuesByName(records))
        for (const { id, shown } of await api.list(zone, name)) if (values.has(unquote(shown))) await api.delete(zone, id)
      await api.publish?.(zone)
    },
  }
}
