import { type Api, openApi } from './api/api.js'
import { field, list, number, text } from './api/fields.js'
import type { DnsContext, DnsProvider, Zone } from './provider.js'
import { setAccount } from './records/sets.js'
import { relativeName, unquote } from './records/values.js'
import { plainName, zonesAsked } from './records/zones.js'

interface Stored {
  readonly ttl: number
  /** As Gandi shows them. */
  readonly shown: ReadonlyMap<string, string>
}

export const gandi: DnsProvider = {
  id: 'gandi',
  title: 'Gandi LiveDNS',
  link: 'https://api.gandi.net/docs/livedns/',
  aliases: ['gandiv5', 'gandilivedns'],
  prefixes: ['GANDIV5'],
  settings: [
    {
      name: 'GANDIV5_PERSONAL_ACCESS_TOKEN',
      hidden: true,
      required: 'token',
      what: 'A personal access token: account.gandi.net, Organization, Manage, Personal access tokens.',
    },
    {
      name: 'GANDIV5_API_KEY',
      hidden: true,
      required: 'key',
      what: 'An API key of the former kind, which Gandi no longer gives out. A token is the better choice.',
    },
  ],
  capacity: 'set',
  ttl: { minSeconds: 300, defaultSeconds: 300 },
  propagation: { timeoutSeconds: 1200, intervalSeconds: 20 },
  notes: [
    'The token needs “See and renew domain names” and “Manage domain name technical configurations”, on the domains that are used and no others.',
    'A token runs out after a year at most: note its end.',
    'A record may take up to twenty minutes until it is seen.',
  ],
  open(context) {
    const token = context.setting('GANDIV5_PERSONAL_ACCESS_TOKEN')
    const api = openApi(context, {
      base: 'https://api.gandi.net/v5/livedns',
      headers: () => ({
        authorization:
          token === undefined
            ? `Apikey ${context.setting('GANDIV5_API_KEY')}`
            : `Bearer ${context.setting('GANDIV5_PERSONAL_ACCESS_TOKEN')}`,
      }),
      credentials: [token === undefined ? 'GANDIV5_API_KEY' : 'GANDIV5_PERSONAL_ACCESS_TOKEN'],
    })
    return {
      zoneOf: zonesAsked(
        context.now,
        async name => {
          const { status } = await api.send('GET', `/domains/${encodeURIComponent(name)}`, { accept: [404] })
          return status === 404 ? undefined : { name, id: name }
        },
        () => zones(api),
      ),
      ...sets(api, context),
    }
  },
}

async function zones(api: Api): Promise<string[]> {
  const all: string[] = []
  for (let page = 1; ; page++) {
    const found = list((await api.send('GET', '/domains', { query: { per_page: 100, page } })).json)
    all.push(...found.map(zone => plainName(text(field(zone, 'fqdn')))))
    if (found.length < 100) return all
  }
}

function sets(api: Api, context: DnsContext) {
  const setOf = (zone: Zone, name: string) =>
    `/domains/${encodeURIComponent(zone.id)}/records/${encodeURIComponent(relativeName(name, zone.name) || '@')}/TXT`
  return setAccount<Stored>(context, 'gandi', {
    async read(zone, name) {
      const { status, json } = await api.send('GET', setOf(zone, name), { accept: [404] })
      if (status === 404) return undefined
      const shown = new Map(list(field(json, 'rrset_values')).map(value => [unquote(text(value)), text(value)]))
      return { values: new Set(shown.keys()), stored: { ttl: number(field(json, 'rrset_ttl')), shown } }
    },
    async write(zone, changes) {
      for (const { name, before, values } of changes) {
        if (values.length === 0) {
          await api.send('DELETE', setOf(zone, name), { accept: [404] })
          continue
        }
        // without a TTL it falls back to three hours
        const json = {
          rrset_ttl: before?.stored.ttl || context.ttlSeconds,
          rrset_values: values.map(value => written(value, before?.stored)),
        }
        await api.send('PUT', setOf(zone, name), { json })
      }
    },
  })
}

/** Bare, as the API wants a plain value; as it was shown where the value consists of several strings or holds what quotes protect. */
function written(value: string, stored: Stored | undefined): string {
  const shown = stored?.shown.get(value)
  return shown === undefined || (shown === `"${value}"` && /^\S+$/.test(value)) ? value : shown
}
