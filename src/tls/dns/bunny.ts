import { type Api, openApi } from './api/api.js'
import { field, list, number, text } from './api/fields.js'
import type { DnsProvider, Zone } from './provider.js'
import { byRecord } from './records/by-record.js'
import { relativeName } from './records/values.js'
import { plainName, zonesListed } from './records/zones.js'

/** What the API calls TXT. Source: https://docs.bunny.net/api-reference/core/dns-zone/add-dns-record */
const txt = 3

export const bunny: DnsProvider = {
  id: 'bunny',
  title: 'bunny.net',
  link: 'https://docs.bunny.net/api-reference/core/dns-zone/add-dns-record',
  aliases: ['bunnynet'],
  prefixes: ['BUNNY'],
  settings: [
    {
      name: 'BUNNY_API_KEY',
      hidden: true,
      required: true,
      what: 'The API key of the account: dash.bunny.net, Account settings, API key. The keys of storage and stream zones do not open DNS.',
    },
  ],
  capacity: 'set',
  ttl: { minSeconds: 60, defaultSeconds: 60 },
  propagation: { timeoutSeconds: 120, intervalSeconds: 2 },
  notes: ['There are no narrower keys: this one opens the whole account. Keep it in the vault or in a file that only soakp can read.'],
  open(context) {
    const api = openApi(context, {
      base: 'https://api.bunny.net',
      headers: () => ({ accesskey: context.setting('BUNNY_API_KEY') ?? '' }),
      credentials: ['BUNNY_API_KEY'],
      complaint: body => [field(body, 'Message'), field(body, 'Field')].map(text).filter(Boolean).join(', ') || undefined,
    })
    return {
      zoneOf: zonesListed(context.now, () => zones(api)),
      ...byRecord({
        async list(zone, name) {
          const { json } = await api.send('GET', `/dnszone/${zone.id}`)
          const relative = relativeName(name, zone.name)
          return list(field(json, 'Records'))
            .filter(record => number(field(record, 'Type')) === txt && text(field(record, 'Name')).toLowerCase() === relative)
            .map(record => ({ id: text(field(record, 'Id')), shown: text(field(record, 'Value')) }))
        },
        create(zone, { name, value }) {
          const json = { Type: txt, Name: relativeName(name, zone.name), Value: value, Ttl: context.ttlSeconds }
          // here it is PUT that makes one more each time
          return api.send('PUT', `/dnszone/${zone.id}/records`, { json, idempotent: false })
        },
        delete: (zone, id) => api.send('DELETE', `/dnszone/${zone.id}/records/${id}`, { accept: [404] }),
      }),
    }
  },
}

/** Each zone comes with all its records: a page of a thousand may be too large to take. */
async function zones(api: Api): Promise<Zone[]> {
  const all: Zone[] = []
  for (let page = 1; ; page++) {
    const { json } = await api.send('GET', '/dnszone', { query: { page, perPage: 100 } })
    const items = list(field(json, 'Items'))
    all.push(...items.map(zone => ({ name: plainName(text(field(zone, 'Domain'))), id: text(field(zone, 'Id')) })))
    if (field(json, 'HasMoreItems') !== true || items.length === 0) return all
  }
}
