import { type Api, openApi } from './api/api.js'
import { field, list, text } from './api/fields.js'
import type { DnsProvider, Zone } from './provider.js'
import { byRecord } from './records/by-record.js'
import { relativeName } from './records/values.js'
import { plainName, zonesListed } from './records/zones.js'

export const digitalocean: DnsProvider = {
  id: 'digitalocean',
  title: 'DigitalOcean',
  link: 'https://docs.digitalocean.com/reference/api/reference/domain-records/',
  aliases: ['do'],
  prefixes: ['DO'],
  settings: [
    {
      name: 'DO_AUTH_TOKEN',
      hidden: true,
      required: true,
      what: 'A personal access token: control panel, API, Tokens, Generate New Token.',
    },
    { name: 'DO_API_URL', byDefault: 'https://api.digitalocean.com', what: 'The address of the API.' },
  ],
  capacity: 'set',
  ttl: { minSeconds: 30, defaultSeconds: 30 },
  propagation: { timeoutSeconds: 60, intervalSeconds: 5 },
  notes: [
    'A token with custom scopes needs `domain` with read, create and delete, and nothing else.',
    'The API allows 5000 requests an hour and 250 a minute, over all tokens of the account.',
  ],
  open(context) {
    const api = openApi(context, {
      base: context.setting('DO_API_URL') ?? 'https://api.digitalocean.com',
      headers: () => ({ authorization: `Bearer ${context.setting('DO_AUTH_TOKEN')}` }),
      credentials: ['DO_AUTH_TOKEN'],
    })
    return {
      zoneOf: zonesListed(context.now, async () =>
        (await pages(api, '/v2/domains', {}, 'domains')).map(domain => {
          const name = text(field(domain, 'name'))
          return { name: plainName(name), id: name }
        }),
      ),
      ...byRecord({
        async list(zone, name) {
          const found = await pages(api, recordsOf(zone), { type: 'TXT', name }, 'domain_records')
          return found
            .filter(record => text(field(record, 'name')) === (relativeName(name, zone.name) || '@'))
            .map(record => ({ id: text(field(record, 'id')), shown: text(field(record, 'data')) }))
        },
        create(zone, { name, value }) {
          const json = { type: 'TXT', name: relativeName(name, zone.name) || '@', data: value, ttl: context.ttlSeconds }
          return api.send('POST', recordsOf(zone), { json })
        },
        delete: (zone, id) => api.send('DELETE', `${recordsOf(zone)}/${id}`, { accept: [404] }),
      }),
    }
  },
}

function recordsOf({ id }: Zone): string {
  return `/v2/domains/${encodeURIComponent(id)}/records`
}

async function pages(api: Api, path: string, query: Readonly<Record<string, string>>, name: string): Promise<unknown[]> {
  const all: unknown[] = []
  for (let page = 1; ; page++) {
    const { json } = await api.send('GET', path, { query: { ...query, per_page: 200, page } })
    const items = list(field(json, name))
    all.push(...items)
    if (items.length === 0 || !text(field(json, 'links', 'pages', 'next'))) return all
  }
}
