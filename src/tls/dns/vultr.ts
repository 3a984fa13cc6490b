import { type Api, openApi } from './api/api.js'
import { field, list, text } from './api/fields.js'
import type { DnsProvider, Zone } from './provider.js'
import { byRecord } from './records/by-record.js'
import { quote, relativeName } from './records/values.js'
import { plainName, zonesListed } from './records/zones.js'

export const vultr: DnsProvider = {
  id: 'vultr',
  title: 'Vultr',
  link: 'https://www.vultr.com/api/#tag/dns',
  aliases: [],
  prefixes: ['VULTR'],
  settings: [{ name: 'VULTR_API_KEY', hidden: true, required: true, what: 'An API key: customer portal, Account, API.' }],
  capacity: 'set',
  ttl: { minSeconds: 120, defaultSeconds: 120 },
  propagation: { timeoutSeconds: 60, intervalSeconds: 2 },
  notes: [
    'A key works from listed addresses only: add this machine’s address, IPv4 and IPv6, under Account, API, Access Control. From another address the API answers 401.',
    'Make the key for a sub-user whose only permission is “DNS”: the main key opens everything.',
  ],
  open(context) {
    const api = openApi(context, {
      base: 'https://api.vultr.com/v2',
      headers: () => ({ authorization: `Bearer ${context.setting('VULTR_API_KEY')}` }),
      credentials: ['VULTR_API_KEY'],
    })
    return {
      zoneOf: zonesListed(context.now, async () =>
        (await pages(api, '/domains', 'domains')).map(domain => {
          const name = text(field(domain, 'domain'))
          return { name: plainName(name), id: name }
        }),
      ),
      ...byRecord({
        async list(zone, name) {
          const relative = relativeName(name, zone.name)
          return (await pages(api, recordsOf(zone), 'records'))
            .filter(record => field(record, 'type') === 'TXT' && text(field(record, 'name')) === relative)
            .map(record => ({ id: text(field(record, 'id')), shown: text(field(record, 'data')) }))
        },
        create(zone, { name, value }) {
          const json = { name: relativeName(name, zone.name), type: 'TXT', data: quote(value), ttl: context.ttlSeconds, priority: 0 }
          return api.send('POST', recordsOf(zone), { json })
        },
        delete: (zone, id) => api.send('DELETE', `${recordsOf(zone)}/${id}`, { accept: [404] }),
      }),
    }
  },
}

function recordsOf({ id }: Zone): string {
  return `/domains/${encodeURIComponent(id)}/records`
}

async function pages(api: Api, path: string, name: string): Promise<unknown[]> {
  const all: unknown[] = []
  for (let cursor: string | undefined; ; ) {
    const { json } = await api.send('GET', path, { query: { per_page: 100, cursor } })
    all.push(...list(field(json, name)))
    const next = text(field(json, 'meta', 'links', 'next'))
    if (next === '' || next === cursor) return all
    cursor = next
  }
}
