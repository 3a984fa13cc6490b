import { SoakpError } from '../../errors.js'
import { type Api, openApi } from './api/api.js'
import { field, list, number, text } from './api/fields.js'
import type { DnsContext, DnsProvider } from './provider.js'
import { byRecord } from './records/by-record.js'
import { relativeName } from './records/values.js'
import { plainName, zonesAsked } from './records/zones.js'

const defaultBase = 'https://api.dnsimple.com'

export const dnsimple: DnsProvider = {
  id: 'dnsimple',
  title: 'DNSimple',
  link: 'https://developer.dnsimple.com/v2/zones/records/',
  aliases: [],
  prefixes: ['DNSIMPLE'],
  settings: [
    {
      name: 'DNSIMPLE_OAUTH_TOKEN',
      hidden: true,
      required: true,
      what: 'An account access token, not a user token: the account’s page, Access Tokens.',
    },
    {
      name: 'DNSIMPLE_BASE_URL',
      byDefault: defaultBase,
      what: 'The address of the API; `https://api.sandbox.dnsimple.com` is the sandbox.',
    },
  ],
  capacity: 'set',
  ttl: { minSeconds: 60, defaultSeconds: 120 },
  propagation: { timeoutSeconds: 60, intervalSeconds: 2 },
  notes: [
    'A scoped token needs write access to the zone’s records and read access to zones; tokens of a user, who may have several accounts, are refused.',
    'The API allows 2400 requests an hour.',
  ],
  open(context) {
    const api = openApi(context, {
      base: `${(context.setting('DNSIMPLE_BASE_URL') ?? defaultBase).replace(/\/(?:v2\/?)?$/, '')}/v2`,
      headers: () => ({ authorization: `Bearer ${context.setting('DNSIMPLE_OAUTH_TOKEN')}` }),
      credentials: ['DNSIMPLE_OAUTH_TOKEN'],
      complaint: body => complaint(body),
    })
    const account = accountOf(api, context)
    const recordsOf = async (zone: string) => `/${await account()}/zones/${encodeURIComponent(zone)}/records`
    return {
      zoneOf: zonesAsked(
        context.now,
        async name => {
          const reply = await api.send('GET', `/${await account()}/zones/${encodeURIComponent(name)}`, { accept: [404] })
          return reply.status === 404 ? undefined : { name, id: text(field(reply.json, 'data', 'name')) || name }
        },
        async () => (await pages(api, `/${await account()}/zones`)).map(zone => plainName(text(field(zone, 'name')))),
      ),
      ...byRecord({
        async list(zone, name) {
          const relative = relativeName(name, zone.name)
          const found = await pages(api, await recordsOf(zone.id), { name: relative, type: 'TXT' })
          return found
            .filter(record => field(record, 'type') === 'TXT' && text(field(record, 'name')) === relative)
            .map(record => ({ id: text(field(record, 'id')), shown: text(field(record, 'content')) }))
        },
        async create(zone, { name, value }) {
          const json = { type: 'TXT', name: relativeName(name, zone.name), content: value, ttl: context.ttlSeconds }
          await api.send('POST', await recordsOf(zone.id), { json })
        },
        delete: async (zone, id) => api.send('DELETE', `${await recordsOf(zone.id)}/${id}`, { accept: [404] }),
      }),
    }
  },
}

/** The account that the token belongs to, asked once. */
function accountOf(api: Api, context: DnsContext): () => Promise<string> {
  let known: string | undefined
  return async () => {
    if (known !== undefined) return known
    const { json } = await api.send('GET', '/whoami')
    const id = text(field(json, 'data', 'account', 'id'))
    if (id === '') {
      throw new SoakpError(
        'dns_credentials_refused',
        `${context.named('DNSIMPLE_OAUTH_TOKEN')} holds the token of a user, not of an account.`,
        {
          hint: 'make one on the page of the account, under Access Tokens',
        },
      )
    }
    known = id
    return id
  }
}

async function pages(api: Api, path: string, query: Readonly<Record<string, string>> = {}): Promise<unknown[]> {
  const all: unknown[] = []
  for (let page = 1; ; page++) {
    const { json } = await api.send('GET', path, { query: { ...query, page, per_page: 100 } })
    all.push(...list(field(json, 'data')))
    if (page >= number(field(json, 'pagination', 'total_pages'))) return all
  }
}

function complaint(body: unknown): string | undefined {
  const errors = field(body, 'errors')
  const fields =
    typeof errors === 'object' && errors !== null ? Object.entries(errors).map(([name, said]) => `${name} ${list(said).join(', ')}`) : []
  return [text(field(body, 'message')), ...fields].filter(Boolean).join('; ') || undefined
}
