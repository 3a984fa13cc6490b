import { SoakpError } from '../../errors.js'
import { type Api, openApi } from './api/api.js'
import type { DnsAccount, DnsContext, DnsProvider, Zone } from './provider.js'
import { setAccount } from './records/sets.js'
import { noZone, quote, relativeName, unquote } from './records/values.js'

interface DesecZone extends Zone {
  readonly minimumTtl: number
}

interface Stored {
  readonly ttl: number | undefined
  /** As deSEC shows them, by bare value: bytes that are no ASCII, and where one string of a value ends, stand nowhere else. */
  readonly shown: ReadonlyMap<string, string>
}

/** deSEC, also for names below dedyn.io. All sets of a domain are written in one request, which is one write for its narrow limits. */
export const desec: DnsProvider = {
  id: 'desec',
  title: 'deSEC',
  link: 'https://desec.readthedocs.io/en/latest/',
  aliases: ['dedyn'],
  prefixes: ['DESEC'],
  settings: [{ name: 'DESEC_TOKEN', required: true, hidden: true, what: 'A token, made under “Token management”.' }],
  capacity: 'set',
  ttl: { minSeconds: 60, defaultSeconds: 3600 },
  propagation: { timeoutSeconds: 120, intervalSeconds: 4 },
  notes: [
    'Writes are limited narrowly for each domain (a few a minute, some hundreds a day); all values of an order are written at once, and a longer wait that deSEC asks for is told.',
    'The TTL is raised to what the domain allows at least: 3600 seconds, 60 below dedyn.io.',
  ],
  open(context) {
    const api = openApi(context, {
      base: 'https://desec.io/api/v1',
      headers: () => ({ authorization: `Token ${context.setting('DESEC_TOKEN') ?? ''}` }),
      credentials: ['DESEC_TOKEN'],
    })
    return account(api, context)
  },
}

function account(api: Api, context: DnsContext): DnsAccount {
  const least = new Map<string, number>()
  const sets = (zone: Zone) => `/domains/${encodeURIComponent(zone.name)}/rrsets/`
  return {
    async zoneOf(name) {
      const { json } = await api.send('GET', '/domains/', { query: { owns_qname: name } })
      const [zone] = domains(json)
      if (zone === undefined) throw new SoakpError('dns_zone_not_found', noZone(name, await names(api)))
      least.set(zone.name, zone.minimumTtl)
      return { id: zone.id, name: zone.name }
    },
    ...setAccount<Stored>(context, 'desec', {
      async read(zone, name) {
        const { status, json } = await api.send('GET', `${sets(zone)}${relativeName(name, zone.name) || '@'}/TXT/`, { accept: [404] })
        if (status === 404 || typeof json !== 'object' || json === null || !('records' in json) || !Array.isArray(json.records))
          return undefined
        const ttl = 'ttl' in json && typeof json.ttl === 'number' ? json.ttl : undefined
        const shown = new Map(json.records.map(record => [unquote(String(record)), String(record)]))
        return { values: new Set(shown.keys()), stored: { ttl, shown } }
      },
      async write(zone, changes) {
        const lowest = Math.max(context.ttlSeconds, least.get(zone.name) ?? 0)
        const json = changes.map(({ name, before, values }) => ({
          subname: relativeName(name, zone.name),
          type: 'TXT',
          ttl: before?.stored.ttl ?? lowest,
          records: values.map(value => before?.stored.shown.get(value) ?? quote(value)),
        }))
        await api.send('PATCH', sets(zone), { json, idempotent: true })
      },
    }),
  }
}

async function names(api: Api): Promise<string[]> {
  const { json } = await api.send('GET', '/domains/', { accept: [400] })
  return domains(json).map(({ name }) => name)
}

function domains(json: unknown): DesecZone[] {
  return (Array.isArray(json) ? json : []).flatMap((domain: { name?: unknown; minimum_ttl?: unknown }) =>
    typeof domain.name === 'string'
      ? { id: domain.name, name: domain.name.toLowerCase(), minimumTtl: typeof domain.minimum_ttl === 'number' ? domain.minimum_ttl : 3600 }
      : [],
  )
}
