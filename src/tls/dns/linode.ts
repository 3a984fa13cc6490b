import { type Api, openApi } from './api/api.js'
import { field, list, number, text } from './api/fields.js'
import type { DnsProvider, Zone } from './provider.js'
import { byRecord } from './records/by-record.js'
import { relativeName } from './records/values.js'
import { plainName, zonesAsked } from './records/zones.js'

export const linode: DnsProvider = {
  id: 'linode',
  title: 'Linode (Akamai)',
  link: 'https://techdocs.akamai.com/linode-api/reference/get-domains',
  aliases: ['akamai', 'linodev4'],
  prefixes: ['LINODE'],
  settings: [
    {
      name: 'LINODE_TOKEN',
      hidden: true,
      required: true,
      what: 'A personal access token with Domains “Read/Write”: Cloud Manager, profile, API Tokens.',
    },
  ],
  capacity: 'set',
  ttl: { minSeconds: 30, defaultSeconds: 300 },
  propagation: { timeoutSeconds: 300, intervalSeconds: 15 },
  notes: [
    'The token needs the scope `domains:read_write` and nothing else.',
    'Name servers are rebuilt about once a minute, sometimes later: a record takes minutes until it is seen.',
    'TTLs are rounded by the API to 30, 120, 300, 3600, 7200 and upwards.',
  ],
  open(context) {
    const api = openApi(context, {
      base: 'https://api.linode.com/v4',
      headers: () => ({ authorization: `Bearer ${context.setting('LINODE_TOKEN')}` }),
      credentials: ['LINODE_TOKEN'],
      complaint: body => list(field(body, 'errors')).map(complaint).join('; ') || undefined,
    })
    return {
      zoneOf: zonesAsked(
        context.now,
        async name => {
          // a zone that is copied from elsewhere cannot be written here
          const found = (await pages(api, '/domains', { domain: name })).find(
            domain => plainName(text(field(domain, 'domain'))) === name && field(domain, 'type') !== 'slave',
          )
          return found === undefined ? undefined : { name, id: text(field(found, 'id')) }
        },
        async () => (await pages(api, '/domains')).map(domain => plainName(text(field(domain, 'domain')))),
      ),
      ...byRecord({
        async list(zone, name) {
          const found = await pages(api, recordsOf(zone), { type: 'TXT' })
          return found
            .filter(record => field(record, 'type') === 'TXT' && isAt(text(field(record, 'name')), name, zone))
            .map(record => ({ id: text(field(record, 'id')), shown: text(field(record, 'target')) }))
        },
        create(zone, { name, value }) {
          const json = { type: 'TXT', name: relativeName(name, zone.name), target: value, ttl_sec: context.ttlSeconds }
          return api.send('POST', recordsOf(zone), { json })
        },
        delete: (zone, id) => api.send('DELETE', `${recordsOf(zone)}/${id}`, { accept: [404] }),
      }),
    }
  },
}

function recordsOf({ id }: Zone): string {
  return `/domains/${id}/records`
}

/** Names come back relative or whole, as they were sent. */
function isAt(shown: string, name: string, zone: Zone): boolean {
  const plain = plainName(shown)
  return plain === name || plain === relativeName(name, zone.name)
}

async function pages(api: Api, path: string, filter?: Readonly<Record<string, string>>): Promise<unknown[]> {
  const all: unknown[] = []
  for (let page = 1; ; page++) {
    const headers: Record<string, string> = filter === undefined ? {} : { 'x-filter': JSON.stringify(filter) }
    const { json } = await api.send('GET', path, { headers, query: { page, page_size: 100 } })
    all.push(...list(field(json, 'data')))
    if (page >= number(field(json, 'pages'))) return all
  }
}

function complaint(error: unknown): string {
  const at = text(field(error, 'field'))
  return `${text(field(error, 'reason'))}${at === '' ? '' : ` (${at})`}`
}
