import { openApi } from './api/api.js'
import { field, list, text } from './api/fields.js'
import type { DnsProvider, Zone } from './provider.js'
import { byRecord } from './records/by-record.js'
import { plainName, zonesListed } from './records/zones.js'

export const luadns: DnsProvider = {
  id: 'luadns',
  title: 'LuaDNS',
  link: 'https://luadns.com/api.html',
  aliases: [],
  prefixes: ['LUADNS'],
  settings: [
    { name: 'LUADNS_API_USERNAME', required: true, what: 'The e-mail address of the account.' },
    { name: 'LUADNS_API_TOKEN', hidden: true, required: true, what: 'An API token: app.luadns.com, Account, Settings, API tokens.' },
  ],
  capacity: 'set',
  ttl: { minSeconds: 300, defaultSeconds: 300 },
  propagation: { timeoutSeconds: 120, intervalSeconds: 2 },
  notes: [
    'API access has to be switched on in the settings of the account.',
    'Zones that are built from a Git repository keep a record made by the API only until the repository is built the next time: do not push while a certificate is issued.',
  ],
  open(context) {
    const api = openApi(context, {
      base: 'https://api.luadns.com/v1',
      headers: () => {
        const login = `${context.setting('LUADNS_API_USERNAME')}:${context.setting('LUADNS_API_TOKEN')}`
        return { authorization: `Basic ${Buffer.from(login).toString('base64')}` }
      },
      credentials: ['LUADNS_API_USERNAME', 'LUADNS_API_TOKEN'],
    })
    const recordsOf = ({ id }: Zone) => `/zones/${id}/records`
    return {
      zoneOf: zonesListed(context.now, async () =>
        list((await api.send('GET', '/zones')).json).map(zone => ({
          name: plainName(text(field(zone, 'name'))),
          id: text(field(zone, 'id')),
        })),
      ),
      ...byRecord({
        list: async (zone, name) =>
          list((await api.send('GET', recordsOf(zone))).json)
            .filter(record => field(record, 'type') === 'TXT' && plainName(text(field(record, 'name'))) === name)
            .map(record => ({ id: text(field(record, 'id')), shown: text(field(record, 'content')) })),
        create(zone, { name, value }) {
          // without the dot at the end, the zone is appended once more
          return api.send('POST', recordsOf(zone), { json: { name: `${name}.`, type: 'TXT', content: value, ttl: context.ttlSeconds } })
        },
        delete: (zone, id) => api.send('DELETE', `${recordsOf(zone)}/${id}`, { accept: [404] }),
      }),
    }
  },
}
