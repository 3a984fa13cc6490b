import { SoakpError } from '../../errors.js'
import { type Api, openApi } from './api/api.js'
import { field, list, text } from './api/fields.js'
import type { DnsContext, DnsProvider, Zone } from './provider.js'
import { setAccount } from './records/sets.js'
import { unquote } from './records/values.js'
import { plainName, zonesListed } from './records/zones.js'

interface Stored {
  /** Records of the zone’s current version. */
  readonly path: string
  /** Each with all its values, as Gehirn shows it; usually one. */
  readonly records: readonly object[]
}

export const gehirn: DnsProvider = {
  id: 'gehirn',
  title: 'Gehirn DNS',
  link: 'https://support.gehirn.jp/apidocs/dns/index.html',
  aliases: [],
  prefixes: ['GEHIRN'],
  settings: [
    {
      name: 'GEHIRN_TOKEN_ID',
      aliases: ['GEHIRN_API_TOKEN'],
      hidden: true,
      required: true,
      what: 'The token of an API key, from the control panel.',
    },
    {
      name: 'GEHIRN_TOKEN_SECRET',
      aliases: ['GEHIRN_API_SECRET'],
      hidden: true,
      required: true,
      what: 'The secret that belongs to the token.',
    },
  ],
  capacity: 'set',
  ttl: { minSeconds: 30, defaultSeconds: 60 },
  propagation: { timeoutSeconds: 120, intervalSeconds: 2 },
  notes: [
    'The API key needs DNS, general, “zones” for reading, and DNS, domains, the zone that is used with full access.',
    'Records are written into the version of the zone that is current; one that is not editable is refused.',
  ],
  open(context) {
    const api = openApi(context, {
      base: 'https://api.gis.gehirn.jp/dns/v1',
      headers: () => {
        const login = `${context.setting('GEHIRN_TOKEN_ID')}:${context.setting('GEHIRN_TOKEN_SECRET')}`
        return { authorization: `Basic ${Buffer.from(login).toString('base64')}` }
      },
      credentials: ['GEHIRN_TOKEN_ID', 'GEHIRN_TOKEN_SECRET'],
      complaint: body => text(field(body, 'description')) || text(field(body, 'message')) || undefined,
    })
    return {
      zoneOf: zonesListed(context.now, async () =>
        list((await api.send('GET', '/zones')).json).map(zone => ({
          name: plainName(text(field(zone, 'name'))),
          id: text(field(zone, 'id')),
        })),
      ),
      ...sets(api, context),
    }
  },
}

function sets(api: Api, context: DnsContext) {
  return setAccount<Stored>(context, 'gehirn', {
    async read(zone, name) {
      const path = await recordsOf(api, zone)
      const records = list((await api.send('GET', path)).json).filter(
        (record): record is object => field(record, 'type') === 'TXT' && plainName(text(field(record, 'name'))) === name,
      )
      if (records.some(record => field(record, 'enable_alias') === true)) {
        throw new SoakpError('dns_provider_failed', `${name}: its TXT record at Gehirn is an alias and cannot hold values of its own.`)
      }
      return { values: new Set(records.flatMap(bare)), stored: { path, records } }
    },
    async write(_zone, changes) {
      for (const { name, before, values } of changes) {
        const { path, records } = before?.stored ?? { path: '', records: [] }
        const [first] = records
        const there = new Set(records.flatMap(bare))
        const missing = values.filter(value => !there.has(value)).map(data => ({ data }))
        if (first === undefined) {
          const json = { name: `${name}.`, type: 'TXT', enable_alias: false, ttl: context.ttlSeconds, records: missing }
          await api.send('POST', path, { json })
        }
        for (const record of records) {
          const kept = list(field(record, 'records')).filter(one => values.includes(unquote(text(field(one, 'data')))))
          const wanted = record === first ? [...kept, ...missing] : kept
          const own = `${path}/${encodeURIComponent(text(field(record, 'id')))}`
          if (wanted.length === 0) await api.send('DELETE', own, { accept: [404] })
          else await api.send('PUT', own, { json: { ...record, records: wanted } })
        }
      }
    },
  })
}

/** Asked anew each time: the owner may make another version current. */
async function recordsOf(api: Api, zone: Zone): Promise<string> {
  const path = `/zones/${encodeURIComponent(zone.id)}`
  const { json } = await api.send('GET', path)
  if (field(json, 'current_version', 'editable') === false) {
    throw new SoakpError('dns_provider_failed', `${zone.name}: the current version of the zone at Gehirn is not editable.`, {
      hint: 'copy it in the control panel, make the copy editable and current',
    })
  }
  return `${path}/versions/${encodeURIComponent(text(field(json, 'current_version_id')))}/records`
}

const bare = (record: object): string[] => list(field(record, 'records')).map(one => unquote(text(field(one, 'data'))))
