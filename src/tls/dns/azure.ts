import { type Api, openApi } from './api/api.js'
import { field, list, number, text } from './api/fields.js'
import { azureCredentials, azureSettings } from './auth/azure.js'
import type { DnsAccount, DnsContext, DnsProvider, Zone } from './provider.js'
import { type SetChange, StaleSet, setAccount } from './records/sets.js'
import { relativeName } from './records/values.js'
import { plainName, zonesListed } from './records/zones.js'

interface Stored {
  readonly ttl: number
  readonly etag: string
  /** Each value as Azure keeps it, in strings of at most 255 bytes. */
  readonly strings: ReadonlyMap<string, readonly string[]>
  readonly metadata: unknown
}

const version = { 'api-version': '2018-05-01' }

export const azure: DnsProvider = {
  id: 'azure',
  title: 'Azure DNS',
  link: 'https://learn.microsoft.com/rest/api/dns/record-sets',
  aliases: ['azuredns'],
  prefixes: ['AZURE'],
  settings: [
    ...azureSettings,
    {
      name: 'AZURE_SUBSCRIPTION_ID',
      what: 'The subscription that holds the zone. Without it, all that the credentials see are looked through.',
    },
    { name: 'AZURE_RESOURCE_GROUP', what: 'The resource group that holds the zone. Without it, the whole subscription is looked through.' },
    { name: 'AZURE_ZONE_NAME', what: 'The zone, so that with subscription and resource group no zones need to be listed.' },
  ],
  capacity: 'set',
  ttl: { minSeconds: 1, defaultSeconds: 60 },
  propagation: { timeoutSeconds: 120, intervalSeconds: 2 },
  notes: [
    'Least privilege: the role “Reader” on the zone and “DNS Zone Contributor” on the single TXT record set `_acme-challenge`, which has to exist before (with any value); with AZURE_SUBSCRIPTION_ID, AZURE_RESOURCE_GROUP and AZURE_ZONE_NAME set. Simpler: “DNS Zone Contributor” on the zone.',
    'On a machine of Azure no secret is needed: give its managed identity the role. With several identities, AZURE_CLIENT_ID says which one is meant.',
    '`az` and Azure Pipelines are no sources of credentials here: take a service connection’s workload identity, or a client secret.',
    'Private zones are passed over: a CA does not see them.',
  ],
  open(context) {
    const credentials = azureCredentials(context)
    const api = openApi(context, {
      base: credentials.management,
      headers: async () => ({ authorization: `Bearer ${(await credentials.token()).token}` }),
      credentials: credentials.names,
      complaint: body => [text(field(body, 'error', 'message')), text(field(body, 'error', 'code'))].filter(Boolean).join(' ') || undefined,
    })
    return account(api, context)
  },
}

function account(api: Api, context: DnsContext): DnsAccount {
  const pathOf = (zone: Zone, name: string) => `${zone.id}/TXT/${encodeURIComponent(relativeName(name, zone.name) || '@')}`
  return {
    zoneOf: zonesListed(context.now, () => zones(api, context)),
    ...setAccount<Stored>(context, 'azure', {
      async read(zone, name) {
        const { status, json } = await api.send('GET', pathOf(zone, name), { query: version, accept: [404] })
        if (status === 404) return undefined
        const properties = field(json, 'properties')
        const records = list(either(properties, 'TXTRecords', 'txtRecords')).map(record => list(field(record, 'value')).map(text))
        const strings = new Map(records.map(record => [record.join(''), record]))
        const ttl = number(either(properties, 'TTL', 'ttl'))
        return {
          values: new Set(strings.keys()),
          stored: { ttl, etag: text(field(json, 'etag')), strings, metadata: field(properties, 'metadata') },
        }
      },
      async write(zone, changes) {
        for (const change of changes) await put(api, pathOf(zone, change.name), change, context.ttlSeconds)
      },
    }),
  }
}

/** The etag makes Azure refuse a write over a set that somebody else changed since it was read. */
async function put(api: Api, path: string, { before, values }: SetChange<Stored>, ttlSeconds: number): Promise<void> {
  const headers: Record<string, string> = before === undefined ? { 'if-none-match': '*' } : { 'if-match': before.stored.etag }
  const accept = [412, ...(values.length === 0 ? [404] : [])]
  const properties = {
    TTL: before?.stored.ttl || ttlSeconds,
    ...(before?.stored.metadata === undefined ? {} : { metadata: before.stored.metadata }),
    TXTRecords: values.map(value => ({ value: before?.stored.strings.get(value) ?? [value] })),
  }
  const reply =
    values.length === 0
      ? await api.send('DELETE', path, { query: version, headers, accept })
      : await api.send('PUT', path, { query: version, headers, accept, json: { properties } })
  if (reply.status === 412) throw new StaleSet()
}

async function zones(api: Api, context: DnsContext): Promise<Zone[]> {
  const [subscription, group, only] = ['AZURE_SUBSCRIPTION_ID', 'AZURE_RESOURCE_GROUP', 'AZURE_ZONE_NAME'].map(name =>
    context.setting(name),
  )
  const inGroup = group === undefined ? '' : `/resourceGroups/${encodeURIComponent(group)}`
  const folder = (id: string) => `/subscriptions/${encodeURIComponent(id)}${inGroup}/providers/Microsoft.Network/dnsZones`
  if (subscription !== undefined && group !== undefined && only !== undefined) {
    return [{ name: plainName(only), id: `${folder(subscription)}/${encodeURIComponent(plainName(only))}` }]
  }
  const subscriptions =
    subscription === undefined
      ? (await pages(api, '/subscriptions', '2020-01-01')).map(one => text(field(one, 'subscriptionId')))
      : [subscription]
  const found: Zone[] = []
  for (const id of subscriptions) {
    for (const zone of await pages(api, folder(id), version['api-version'])) {
      const one = { name: plainName(text(field(zone, 'name'))), id: text(field(zone, 'id')) }
      const isPublic = text(field(zone, 'properties', 'zoneType')).toLowerCase() !== 'private'
      if (isPublic && (only === undefined || one.name === plainName(only))) found.push(one)
    }
  }
  return found
}

async function pages(api: Api, path: string, apiVersion: string): Promise<unknown[]> {
  const all: unknown[] = []
  let query: Record<string, string> = { 'api-version': apiVersion }
  for (;;) {
    const { json } = await api.send('GET', path, { query })
    all.push(...list(field(json, 'value')))
    const next = text(field(json, 'nextLink'))
    if (!URL.canParse(next)) return all
    // of the address only the query is taken: the token goes nowhere else
    query = Object.fromEntries(new URL(next).searchParams)
  }
}

/** Azure writes the names of properties in one case or the other. */
function either(value: unknown, one: string, other: string): unknown {
  return field(value, one) ?? field(value, other)
}
