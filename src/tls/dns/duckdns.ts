import { SoakpError } from '../../errors.js'
import { type Api, openApi } from './api/api.js'
import type { DnsAccount, DnsContext, DnsProvider, Zone } from './provider.js'

const parent = '.duckdns.org'

/** What this process has written last, by name: the API cannot be asked. */
const written = new Map<string, string>()

/** DuckDNS: one TXT value for a name and everything below it. */
export const duckdns: DnsProvider = {
  id: 'duckdns',
  title: 'DuckDNS',
  link: 'https://www.duckdns.org/spec.jsp',
  aliases: [],
  prefixes: ['DUCKDNS'],
  settings: [{ name: 'DUCKDNS_TOKEN', required: true, hidden: true, what: 'The token shown at the top of the page after logging in.' }],
  capacity: 'one',
  ttl: { minSeconds: 60, defaultSeconds: 60 },
  propagation: { timeoutSeconds: 120, intervalSeconds: 2 },
  notes: [
    'It keeps one TXT value for a name, its wildcard and all names below: they are proved one after the other. A value that somebody else has put there is lost.',
    'It wants the token in the query of the URL; here it appears in no log and no error.',
  ],
  open: context =>
    account(
      context,
      openApi(context, {
        base: 'https://www.duckdns.org',
        headers: () => ({ accept: 'text/plain' }),
        credentials: ['DUCKDNS_TOKEN'],
        perSecond: 2,
      }),
    ),
}

function account(context: DnsContext, api: Api): DnsAccount {
  const update = async (zone: Zone, change: Readonly<Record<string, string>>) => {
    const { text } = await api.send('GET', '/update', { query: { domains: zone.id, token: context.setting('DUCKDNS_TOKEN'), ...change } })
    if (text.trim().startsWith('OK')) return
    if (text.trim().startsWith('KO')) {
      throw new SoakpError(
        'dns_credentials_refused',
        `${context.named('DUCKDNS_TOKEN')}: DuckDNS answers KO: the token is wrong, or ${zone.name} is not of its account.`,
      )
    }
    throw new SoakpError('dns_provider_failed', `GET ${new URL(api.base).host}/update answers neither OK nor KO.`)
  }
  return {
    async zoneOf(name) {
      const label = name.endsWith(parent) ? name.slice(0, -parent.length).split('.').at(-1) : undefined
      if (label) return { id: label, name: `${label}${parent}` }
      throw new SoakpError('dns_zone_not_found', `${name}: DuckDNS holds names below duckdns.org only.`)
    },
    async add(zone, records) {
      const values = new Set(records.map(({ value }) => value))
      const [value] = values
      if (value === undefined) return
      if (values.size > 1)
        throw new SoakpError('dns_provider_failed', `${zone.name}: DuckDNS keeps one TXT value, ${values.size} are wanted at once.`)
      await update(zone, { txt: value })
      written.set(zone.id, value)
    },
    async remove(zone, records) {
      const last = written.get(zone.id)
      // a later value has taken the place of this one
      if (last !== undefined && !records.some(({ value }) => value === last)) return
      await update(zone, { txt: '', clear: 'true' })
      written.delete(zone.id)
    },
  }
}
