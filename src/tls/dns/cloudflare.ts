import { type Api, type ApiReply, openApi } from './api/api.js'
import { field, list, number, text } from './api/fields.js'
import type { DnsContext, DnsProvider, Zone } from './provider.js'
import { byRecord } from './records/by-record.js'
import { quote } from './records/values.js'
import { plainName, zonesAsked } from './records/zones.js'

const defaultBase = 'https://api.cloudflare.com/client/v4'

/** What the codes of Cloudflare's errors mean for us; they come with status 400 as well as 403. */
const badCredentials = new Set([6003, 6103, 6111, 9103, 9106, 9109, 10000])
const alreadyThere = new Set([81057, 81058])
/** A CNAME stands at the name: nothing else can. */
const isCname = 81054

export const cloudflare: DnsProvider = {
  id: 'cloudflare',
  title: 'Cloudflare',
  link: 'https://developers.cloudflare.com/api/resources/dns/subresources/records/',
  aliases: ['cf'],
  prefixes: ['CLOUDFLARE', 'CF'],
  settings: [
    {
      name: 'CLOUDFLARE_DNS_API_TOKEN',
      aliases: ['CF_DNS_API_TOKEN'],
      hidden: true,
      required: 'token',
      what: 'An API token that may edit DNS: My Profile, API Tokens, template “Edit zone DNS”.',
    },
    {
      name: 'CLOUDFLARE_ZONE_API_TOKEN',
      aliases: ['CF_ZONE_API_TOKEN'],
      hidden: true,
      what: 'A second token that may read zones, where the first one may not.',
    },
    {
      name: 'CLOUDFLARE_EMAIL',
      aliases: ['CF_API_EMAIL'],
      required: 'global key',
      what: 'The e-mail address of the account, with the global API key. A token is the better choice.',
    },
    {
      name: 'CLOUDFLARE_API_KEY',
      aliases: ['CF_API_KEY'],
      hidden: true,
      required: 'global key',
      what: 'The global API key, which opens the whole account: My Profile, API Tokens.',
    },
    { name: 'CLOUDFLARE_BASE_URL', byDefault: defaultBase, what: 'The address of the API.' },
  ],
  capacity: 'set',
  ttl: { minSeconds: 60, defaultSeconds: 120 },
  propagation: { timeoutSeconds: 120, intervalSeconds: 2 },
  notes: [
    'The token needs the permissions Zone / Zone / Read and Zone / DNS / Edit, on the zones that are used and no others.',
    'With two tokens, CLOUDFLARE_DNS_API_TOKEN needs Zone / DNS / Edit on the zone, and CLOUDFLARE_ZONE_API_TOKEN Zone / Zone / Read on all zones.',
    'The API allows 1200 requests in five minutes over all tokens of a user.',
  ],
  open(context) {
    const records = cloudflareApi(context, 'CLOUDFLARE_DNS_API_TOKEN')
    const zones = context.setting('CLOUDFLARE_ZONE_API_TOKEN') === undefined ? records : cloudflareApi(context, 'CLOUDFLARE_ZONE_API_TOKEN')
    return {
      zoneOf: zonesAsked(
        context.now,
        async name => {
          const found = await pages(zones, '/zones', { name })
          // the same zone may wait in other accounts; only one of them can be active
          const zone = found.find(one => field(one, 'status') === 'active') ?? found[0]
          return zone === undefined ? undefined : { name, id: text(field(zone, 'id')) }
        },
        async () => (await pages(zones, '/zones', {})).map(zone => plainName(text(field(zone, 'name')))),
      ),
      ...byRecord({
        async list(zone, name) {
          const found = await pages(records, recordsOf(zone), { type: 'TXT', name })
          return found
            .filter(record => plainName(text(field(record, 'name'))) === name)
            .map(record => ({ id: text(field(record, 'id')), shown: text(field(record, 'content')) }))
        },
        create(zone, { name, value }) {
          const json = { type: 'TXT', name, content: quote(value), ttl: context.ttlSeconds }
          const accept = (reply: ApiReply) => codes(reply).some(code => alreadyThere.has(code))
          return records.send('POST', recordsOf(zone), { json, idempotent: true, accept })
        },
        delete: (zone, id) => records.send('DELETE', `${recordsOf(zone)}/${id}`, { accept: [404] }),
      }),
    }
  },
}

function cloudflareApi(context: DnsContext, tokenName: string): Api {
  const token = context.setting(tokenName)
  const credentials = token === undefined ? ['CLOUDFLARE_EMAIL', 'CLOUDFLARE_API_KEY'] : [tokenName]
  return openApi(context, {
    base: context.setting('CLOUDFLARE_BASE_URL') ?? defaultBase,
    headers: (): Record<string, string> => {
      const bearer = context.setting(tokenName)
      if (bearer !== undefined) return { authorization: `Bearer ${bearer}` }
      return { 'x-auth-email': context.setting('CLOUDFLARE_EMAIL') ?? '', 'x-auth-key': context.setting('CLOUDFLARE_API_KEY') ?? '' }
    },
    credentials,
    // 1200 in five minutes, and then nothing for five minutes
    perSecond: 4,
    refuses: reply =>
      reply.status === 401 || reply.status === 403 || (reply.status === 400 && codes(reply).some(code => badCredentials.has(code))),
    complaint: body => complaints(body).join('; ') || undefined,
  })
}

function recordsOf({ id }: Zone): string {
  return `/zones/${id}/dns_records`
}

async function pages(api: Api, path: string, query: Readonly<Record<string, string>>): Promise<unknown[]> {
  const all: unknown[] = []
  for (let page = 1; ; page++) {
    const { json } = await api.send('GET', path, { query: { ...query, per_page: 50, page } })
    all.push(...list(field(json, 'result')))
    if (page >= number(field(json, 'result_info', 'total_pages'))) return all
  }
}

function codes({ json }: ApiReply): number[] {
  return list(field(json, 'errors')).flatMap(error => [error, ...list(field(error, 'error_chain'))].map(one => number(field(one, 'code'))))
}

function complaints(body: unknown): string[] {
  return list(field(body, 'errors'))
    .flatMap(error => [error, ...list(field(error, 'error_chain'))])
    .map(error => {
      const code = number(field(error, 'code'))
      return `${text(field(error, 'message'))} (${code})${code === isCname ? '; the TXT record belongs to the name that the CNAME points to' : ''}`
    })
}
