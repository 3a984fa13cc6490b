import { SoakpError } from '../../errors.js'
import { type Api, openApi } from './api/api.js'
import { field, list, number, text } from './api/fields.js'
import { googleCredentials } from './auth/google.js'
import type { DnsAccount, DnsContext, DnsProvider, Zone } from './provider.js'
import { type SetChange, StaleSet, setAccount } from './records/sets.js'
import { quote, unquote } from './records/values.js'
import { plainName, zoneMissing, zonesAsked } from './records/zones.js'

interface Stored {
  readonly ttl: number
  /** As Google shows them: a deletion has to match to the letter. */
  readonly shown: readonly string[]
}

export const google: DnsProvider = {
  id: 'google',
  title: 'Google Cloud DNS',
  link: 'https://cloud.google.com/dns/docs/reference/rest/v1',
  aliases: ['gcloud', 'gcp', 'googlecloud'],
  prefixes: ['GCE'],
  settings: [
    {
      name: 'GCE_SERVICE_ACCOUNT',
      hidden: true,
      what: 'The key file of a service account, as JSON. Without it, Application Default Credentials are used.',
    },
    { name: 'GOOGLE_APPLICATION_CREDENTIALS', what: 'The path of a key file, or of what `gcloud auth application-default login` writes.' },
    { name: 'GCE_PROJECT', what: 'The project that holds the zone. Without it, the one of the credentials.' },
    { name: 'GCE_ZONE_ID', what: 'The name of the managed zone (not its domain), so that zones need not be listed.' },
    { name: 'GCE_IMPERSONATE_SERVICE_ACCOUNT', what: 'The e-mail address of a service account in whose name is acted.' },
    { name: 'GCE_METADATA_HOST', byDefault: '169.254.169.254', what: 'The metadata server, `host` or `host:port`.' },
    { name: 'CLOUDSDK_CONFIG', what: 'The folder of gcloud’s settings. Without it, `~/.config/gcloud`.' },
  ],
  capacity: 'set',
  ttl: { minSeconds: 1, defaultSeconds: 120 },
  propagation: { timeoutSeconds: 180, intervalSeconds: 5 },
  notes: [
    'Least privilege, on the managed zone: `dns.managedZones.get`, `dns.resourceRecordSets.list`, `.get`, `.create`, `.update` and `.delete`, `dns.changes.create` and `.get`; and on the project `dns.managedZones.list`, unless GCE_ZONE_ID is set. The role “DNS Administrator” has more than that.',
    'In Google’s cloud no key is needed: give the machine’s or pod’s service account the role, and the access scope `ndev.clouddns.readwrite`.',
    'With GCE_IMPERSONATE_SERVICE_ACCOUNT the credentials need `iam.serviceAccounts.getAccessToken` on that account.',
    'Private zones are passed over: a CA does not see them.',
  ],
  open(context) {
    const credentials = googleCredentials(context)
    const api = openApi(context, {
      base: 'https://dns.googleapis.com/dns/v1',
      headers: async () => ({ authorization: `Bearer ${(await credentials.token()).token}` }),
      credentials: credentials.names,
      // 403 also says that there were too many requests
      refuses: ({ status, json }) => status === 401 || (status === 403 && !/rateLimit|quota/i.test(reasons(json))),
      busy: ({ status, json }) => status === 403 && /rateLimit/i.test(reasons(json)),
      complaint: body => text(field(body, 'error', 'message')) || undefined,
    })
    return account(api, context, async () => `/projects/${encodeURIComponent(await credentials.project())}/managedZones`)
  },
}

function account(api: Api, context: DnsContext, managedZones: () => Promise<string>): DnsAccount {
  const pathOf = async (zone: Zone) => `${await managedZones()}/${encodeURIComponent(zone.id)}`
  const only = context.setting('GCE_ZONE_ID')

  async function zones(dnsName?: string): Promise<Zone[]> {
    const all: Zone[] = []
    let pageToken: string | undefined
    do {
      const { json } = await api.send('GET', await managedZones(), { query: { dnsName, pageToken } })
      for (const zone of list(field(json, 'managedZones'))) {
        if (field(zone, 'visibility') !== 'private')
          all.push({ name: plainName(text(field(zone, 'dnsName'))), id: text(field(zone, 'name')) })
      }
      pageToken = text(field(json, 'nextPageToken')) || undefined
    } while (pageToken !== undefined)
    return all
  }

  return {
    zoneOf:
      only === undefined
        ? zonesAsked(
            context.now,
            async candidate => theOnly(candidate, await zones(`${candidate}.`)),
            async () => (await zones()).map(zone => zone.name),
          )
        : async name => {
            const { json } = await api.send('GET', `${await managedZones()}/${encodeURIComponent(only)}`)
            const zone = { name: plainName(text(field(json, 'dnsName'))), id: text(field(json, 'name')) }
            if (name === zone.name || name.endsWith(`.${zone.name}`)) return zone
            throw zoneMissing(name, [zone.name])
          },
    ...setAccount<Stored>(context, 'google', {
      async read(zone, name) {
        const { json } = await api.send('GET', `${await pathOf(zone)}/rrsets`, { query: { name: `${name}.`, type: 'TXT' } })
        const [set] = list(field(json, 'rrsets'))
        if (set === undefined) return undefined
        if (field(set, 'routingPolicy') !== undefined) {
          throw new SoakpError(
            'dns_provider_failed',
            `${name} has TXT values with a routing policy at Google, which are not touched. Take another name, by CNAME.`,
          )
        }
        const shown = list(field(set, 'rrdatas')).map(text)
        return { values: new Set(shown.map(unquote)), stored: { ttl: number(field(set, 'ttl')), shown } }
      },
      async write(zone, changes) {
        const json = {
          deletions: changes.flatMap(({ name, before }) =>
            before === undefined ? [] : [setOf(name, before.stored.ttl, before.stored.shown)],
          ),
          additions: changes.flatMap(change => addition(change, context.ttlSeconds)),
        }
        // deletions that do not match what is stored are refused: that is what keeps other writers' values
        const stale = (reply: { readonly status: number }) => reply.status === 409 || reply.status === 412
        const reply = await api.send('POST', `${await pathOf(zone)}/changes`, { json, accept: stale, idempotent: true })
        if (stale(reply)) throw new StaleSet()
        await done(api, context, `${await pathOf(zone)}/changes/${text(field(reply.json, 'id'))}`, reply.json)
      },
    }),
  }
}

/** A domain may have several public zones, each with name servers of its own. */
function theOnly(domain: string, [zone, ...others]: readonly Zone[]): Zone | undefined {
  if (zone === undefined || others.length === 0) return zone
  const ids = [zone, ...others].map(({ id }) => id).join(', ')
  throw new SoakpError('dns_settings_incomplete', `Google Cloud DNS has several public zones ${domain}: ${ids}.`, {
    hint: 'set GCE_ZONE_ID to the one that the domain is delegated to',
  })
}

function setOf(name: string, ttl: number, rrdatas: readonly string[]): object {
  return { name: `${name}.`, type: 'TXT', ttl, rrdatas }
}

function addition({ name, before, values }: SetChange<Stored>, ttlSeconds: number): object[] {
  if (values.length === 0) return []
  const known = new Map(before?.stored.shown.map(shown => [unquote(shown), shown]))
  const rrdatas = values.map(value => known.get(value) ?? quote(value))
  return [setOf(name, before?.stored.ttl ?? ttlSeconds, rrdatas)]
}

/** A change is pending until all of Google's name servers have it; looked at for two minutes at most, then the name servers are asked anyhow. */
async function done(api: Api, context: DnsContext, path: string, begun: unknown): Promise<void> {
  let change = begun
  for (let looks = 0; field(change, 'status') === 'pending' && looks < 60; looks++) {
    await context.delay(2000)
    change = (await api.send('GET', path)).json
  }
  if (field(change, 'status') === 'pending') context.tell('Google still calls the change pending; going on')
}

function reasons(body: unknown): string {
  return list(field(body, 'error', 'errors'))
    .map(error => text(field(error, 'reason')))
    .join(' ')
}
