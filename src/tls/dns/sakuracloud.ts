import { type Api, openApi } from './api/api.js'
import { field, list, number, text } from './api/fields.js'
import type { DnsContext, DnsProvider, Zone } from './provider.js'
import { StaleSet } from './records/sets.js'
import { relativeName, unquote } from './records/values.js'
import { type WholeZone, wholeZoneAccount } from './records/whole-zone.js'
import { plainName, zonesListed } from './records/zones.js'

interface SakuraZone extends WholeZone<unknown> {
  /** Of the zone’s settings; a write that carries an older one is refused. */
  readonly hash: string
  /** The zone’s settings beside its rows, written back as they are. */
  readonly dns: object
}

const path = '/commonserviceitem'

export const sakuracloud: DnsProvider = {
  id: 'sakuracloud',
  title: 'SAKURA Cloud',
  link: 'https://manual.sakura.ad.jp/cloud-api/1.1/appliance/index.html',
  aliases: ['sakura'],
  prefixes: ['SAKURACLOUD'],
  settings: [
    { name: 'SAKURACLOUD_ACCESS_TOKEN', hidden: true, required: true, what: 'The access token of an API key, from the control panel.' },
    { name: 'SAKURACLOUD_ACCESS_TOKEN_SECRET', hidden: true, required: true, what: 'The secret that is shown once with the token.' },
  ],
  capacity: 'set',
  ttl: { minSeconds: 10, defaultSeconds: 120 },
  propagation: { timeoutSeconds: 120, intervalSeconds: 2 },
  notes: [
    'The API key needs “create and delete”, and opens the whole account.',
    'The API writes a zone as a whole. Every other row is read back after each write and has to be there as it was; a zone that somebody else changes at the same moment is read and written again.',
  ],
  open(context) {
    const api = openApi(context, {
      base: 'https://secure.sakura.ad.jp/cloud/zone/is1a/api/cloud/1.1',
      headers: () => {
        const login = `${context.setting('SAKURACLOUD_ACCESS_TOKEN')}:${context.setting('SAKURACLOUD_ACCESS_TOKEN_SECRET')}`
        return { authorization: `Basic ${Buffer.from(login).toString('base64')}` }
      },
      credentials: ['SAKURACLOUD_ACCESS_TOKEN', 'SAKURACLOUD_ACCESS_TOKEN_SECRET'],
      fails: ({ json }) => field(json, 'is_ok') !== true,
      complaint: body => text(field(body, 'error_msg')) || text(field(body, 'error_code')) || undefined,
    })
    return { zoneOf: zonesListed(context.now, () => zones(api)), ...account(api, context) }
  },
}

function account(api: Api, context: DnsContext) {
  return wholeZoneAccount<unknown, SakuraZone>(context, 'sakuracloud', {
    async read(zone) {
      const item = field((await api.send('GET', `${path}/${encodeURIComponent(zone.id)}`)).json, 'CommonServiceItem')
      const dns = field(item, 'Settings', 'DNS')
      return {
        rows: list(field(dns, 'ResourceRecordSets')),
        settings: [],
        hash: text(field(item, 'SettingsHash')),
        dns: typeof dns === 'object' && dns !== null ? dns : {},
      }
    },
    async write(zone, rows, { dns, hash }) {
      const json = { CommonServiceItem: { Settings: { DNS: { ...dns, ResourceRecordSets: rows } }, SettingsHash: hash } }
      const { status } = await api.send('PUT', `${path}/${encodeURIComponent(zone.id)}`, { json, idempotent: false, accept: [409] })
      if (status === 409) throw new StaleSet()
    },
    txt: (zone, row) =>
      field(row, 'Type') === 'TXT'
        ? { name: absolute(text(field(row, 'Name')), zone), value: unquote(text(field(row, 'RData'))) }
        : undefined,
    make: (zone, { name, value }) => ({ Name: relativeName(name, zone.name) || '@', Type: 'TXT', RData: value, TTL: context.ttlSeconds }),
    describe: row => ['Name', 'TTL', 'Type', 'RData'].map(name => text(field(row, name))).join(' '),
  })
}

const absolute = (name: string, zone: Zone) => (name === '@' || name === '' ? zone.name : `${name.toLowerCase()}.${zone.name}`)

/** The query is a JSON document, not `name=value`. */
async function zones(api: Api): Promise<Zone[]> {
  const all: Zone[] = []
  for (let from = 0; ; ) {
    const query = encodeURIComponent(JSON.stringify({ Filter: { 'Provider.Class': 'dns' }, From: from, Count: 100 }))
    const { json } = await api.send('GET', `${path}?${query}`)
    const items = list(field(json, 'CommonServiceItems'))
    for (const item of items) {
      if (field(item, 'Provider', 'Class') === 'dns')
        all.push({ name: plainName(text(field(item, 'Status', 'Zone'))), id: text(field(item, 'ID')) })
    }
    from += items.length
    if (items.length === 0 || from >= number(field(json, 'Total'))) return all
  }
}
