import { SoakpError } from '../../errors.js'
import { type Api, openApi } from './api/api.js'
import type { DnsAccount, DnsContext, DnsProvider, Zone } from './provider.js'
import { type SetChange, setAccount } from './records/sets.js'
import { deepest, noZone, quote, unquote } from './records/values.js'

interface Content {
  readonly content: string
  readonly disabled: boolean
}

interface RrSet {
  readonly name: string
  readonly type: string
  readonly ttl: number
  readonly records: readonly Content[]
  readonly comments?: readonly object[]
}

/** What a set has that writing it again has to keep: also the values that are switched off. */
interface Stored extends Pick<RrSet, 'ttl' | 'comments'> {
  /** As PowerDNS shows them, by bare value: bytes that are no ASCII, and where one string of a value ends, stand nowhere else. */
  readonly shown: ReadonlyMap<string, string>
  readonly off: readonly Content[]
}

/** PowerDNS Authoritative Server, by its own HTTP API. */
export const powerdns: DnsProvider = {
  id: 'powerdns',
  title: 'PowerDNS Authoritative Server',
  link: 'https://doc.powerdns.com/authoritative/http-api/',
  aliases: ['pdns'],
  prefixes: ['PDNS'],
  settings: [
    { name: 'PDNS_API_URL', required: true, what: 'The address of its web server, such as `http://127.0.0.1:8081`.' },
    { name: 'PDNS_API_KEY', required: true, hidden: true, what: 'The `api-key` of its configuration.' },
    { name: 'PDNS_SERVER_NAME', byDefault: 'localhost', what: 'The server id in the API; `localhost` unless a proxy serves several.' },
  ],
  capacity: 'set',
  ttl: { minSeconds: 0, defaultSeconds: 120 },
  propagation: { timeoutSeconds: 120, intervalSeconds: 2 },
  notes: ['Needs `api=yes` and `webserver=yes` in its configuration, and an address in `webserver-allow-from`.'],
  open(context) {
    const server = `/api/v1/servers/${encodeURIComponent(context.setting('PDNS_SERVER_NAME') ?? 'localhost')}`
    const base = context.setting('PDNS_API_URL') ?? ''
    if (!URL.canParse(base)) throw new SoakpError('dns_settings_incomplete', `${context.named('PDNS_API_URL')} is no URL.`)
    const api = openApi(context, {
      // some write the whole address of the API, as lego's users may
      base: base.replace(/\/+$/, '').replace(/\/api(?:\/v1)?$/, ''),
      headers: () => ({ 'x-api-key': context.setting('PDNS_API_KEY') ?? '' }),
      credentials: ['PDNS_API_KEY'],
    })
    return account(api, context, server)
  },
}

function account(api: Api, context: DnsContext, server: string): DnsAccount {
  const pathOf = (zone: Zone) => `${server}/zones/${encodeURIComponent(zone.id)}`
  /** A zone asked for one name leaves out what is switched off; the search has it. */
  const switchedOff = async (zone: Zone, name: string) => {
    const query = { q: name, max: 1000, object_type: 'record' }
    const { json } = await api.send('GET', `${server}/search-data`, { query, accept: [400, 404, 422] })
    return foundIn(json).filter(
      found => found.disabled && found.type === 'TXT' && found.zone_id === zone.id && found.name.toLowerCase() === `${name}.`,
    )
  }
  return {
    async zoneOf(name) {
      const { json } = await api.send('GET', `${server}/zones`)
      const zones = zonesOf(json)
      const zone = deepest(name, zones)
      if (zone !== undefined) return zone
      throw new SoakpError(
        'dns_zone_not_found',
        noZone(
          name,
          zones.map(one => one.name),
        ),
      )
    },
    ...setAccount<Stored>(context, `powerdns ${api.base}${server}`, {
      async read(zone, name) {
        const { json } = await api.send('GET', pathOf(zone), { query: { rrset_name: `${name}.`, rrset_type: 'TXT' } })
        // servers before 4.6 answer with the whole zone
        const set = setsOf(json).find(one => one.type === 'TXT' && one.name.toLowerCase() === `${name}.`)
        const off = await switchedOff(zone, name)
        if (set === undefined && off.length === 0) return undefined
        const on = (set?.records ?? []).filter(({ disabled }) => !disabled)
        const shown = new Map(on.map(({ content }) => [unquote(content), content]))
        const ttl = on.length > 0 ? set?.ttl : off[0]?.ttl
        return {
          values: new Set(shown.keys()),
          stored: { shown, off, ttl: ttl ?? context.ttlSeconds, ...(set?.comments === undefined ? {} : { comments: set.comments }) },
        }
      },
      async write(zone, changes) {
        await api.send('PATCH', pathOf(zone), {
          json: { rrsets: changes.map(change => written(change, context.ttlSeconds)) },
          idempotent: true,
        })
        // a primary tells its secondaries at once when asked; other kinds of zone answer that there is nobody to tell
        await api.send('PUT', `${pathOf(zone)}/notify`, { accept: [400, 404, 422] })
      },
    }),
  }
}

function zonesOf(json: unknown): Zone[] {
  return (Array.isArray(json) ? json : []).flatMap((zone: { id?: unknown; name?: unknown }) =>
    typeof zone.id === 'string' && typeof zone.name === 'string' ? { id: zone.id, name: zone.name.replace(/\.$/, '').toLowerCase() } : [],
  )
}

interface Found extends Content {
  readonly name: string
  readonly type: string
  readonly zone_id: string
  readonly ttl: number
}

function foundIn(json: unknown): Found[] {
  return Array.isArray(json) ? json.filter((one: Partial<Found>) => typeof one.name === 'string' && typeof one.content === 'string') : []
}

function setsOf(json: unknown): RrSet[] {
  return typeof json === 'object' && json !== null && 'rrsets' in json && Array.isArray(json.rrsets) ? json.rrsets : []
}

function written({ name, before, values }: SetChange<Stored>, ttlSeconds: number): object {
  const what = { name: `${name}.`, type: 'TXT' }
  const off = (before?.stored.off ?? []).filter(({ content }) => !values.includes(unquote(content)))
  if (values.length === 0 && off.length === 0) return { ...what, changetype: 'DELETE' }
  return {
    ...what,
    changetype: 'REPLACE',
    ttl: before?.stored.ttl ?? ttlSeconds,
    records: [
      ...values.map(value => ({ content: before?.stored.shown.get(value) ?? quote(value), disabled: false })),
      ...off.map(({ content }) => ({ content, disabled: true })),
    ],
    ...(before?.stored.comments === undefined ? {} : { comments: before.stored.comments }),
  }
}
