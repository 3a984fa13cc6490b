import { createHmac } from 'node:crypto'
import { type Api, type ApiReply, openApi } from './api/api.js'
import { field, list, number, text } from './api/fields.js'
import type { DnsContext, DnsProvider } from './provider.js'
import { byRecord } from './records/by-record.js'
import { relativeName } from './records/values.js'
import { plainName, zonesListed } from './records/zones.js'

const addresses = { live: 'https://api.dnsmadeeasy.com/V2.0', sandbox: 'https://api.sandbox.dnsmadeeasy.com/V2.0' }

/** Requests whose date is further off are refused as if the secret were wrong. */
const clockToleranceMs = 30_000

export const dnsmadeeasy: DnsProvider = {
  id: 'dnsmadeeasy',
  title: 'DNS Made Easy',
  link: 'https://api-docs.dnsmadeeasy.com/',
  aliases: ['dme'],
  prefixes: ['DNSMADEEASY'],
  settings: [
    { name: 'DNSMADEEASY_API_KEY', hidden: true, required: true, what: 'The API key: Config, Account information.' },
    { name: 'DNSMADEEASY_API_SECRET', hidden: true, required: true, what: 'The secret key that stands beside it.' },
    { name: 'DNSMADEEASY_SANDBOX', what: '`true` for the sandbox, which has accounts of its own.' },
  ],
  capacity: 'set',
  ttl: { minSeconds: 30, defaultSeconds: 120 },
  propagation: { timeoutSeconds: 120, intervalSeconds: 2 },
  notes: [
    'Requests carry the time: where this machine’s clock is off by more than half a minute, all of them are refused.',
    'The API allows 150 requests in five minutes.',
  ],
  open(context) {
    const clockIsOff = (reply: ApiReply) => Math.abs(serverClockMs(reply, context.now()) - context.now()) > clockToleranceMs
    const refused = ({ status }: ApiReply) => status === 401 || status === 403
    const api = openApi(context, {
      base: context.setting('DNSMADEEASY_SANDBOX') === 'true' ? addresses.sandbox : addresses.live,
      headers: () => signed(context),
      credentials: ['DNSMADEEASY_API_KEY', 'DNSMADEEASY_API_SECRET'],
      refuses: reply => refused(reply) && !clockIsOff(reply),
      complaint: (body, reply) =>
        refused(reply) && clockIsOff(reply)
          ? `the clock of this machine and the server’s (${reply.headers.date}) differ; set it right.`
          : complaints(body).join('; ') || undefined,
      busy: tooFast,
      // a window of five minutes moves on slowly
      comeBackMs: reply => (tooFast(reply) ? 30_000 : undefined),
    })
    const recordsOf = (id: string) => `/dns/managed/${id}/records`
    return {
      zoneOf: zonesListed(context.now, async () =>
        (await pages(api, '/dns/managed', {})).map(zone => ({ name: plainName(text(field(zone, 'name'))), id: text(field(zone, 'id')) })),
      ),
      ...byRecord({
        async list(zone, name) {
          const recordName = relativeName(name, zone.name)
          return (await pages(api, recordsOf(zone.id), { recordName, type: 'TXT' }))
            .filter(record => field(record, 'type') === 'TXT' && text(field(record, 'name')).toLowerCase() === recordName)
            .map(record => ({ id: text(field(record, 'id')), shown: text(field(record, 'value')) }))
        },
        create(zone, { name, value }) {
          const json = { type: 'TXT', name: relativeName(name, zone.name), value, ttl: context.ttlSeconds, gtdLocation: 'DEFAULT' }
          const thereAlready = ({ status, json }: ApiReply) =>
            status === 400 && complaints(json).some(words => /already exists/i.test(words))
          // a second one of the same is refused
          return api.send('POST', recordsOf(zone.id), { json, idempotent: true, accept: thereAlready })
        },
        delete: (zone, id) => api.send('DELETE', `${recordsOf(zone.id)}/${id}`, { accept: [404] }),
      }),
    }
  },
}

/** Source: API V2.0 Documentation, “Authentication”. */
function signed(context: DnsContext): Record<string, string> {
  const date = new Date(context.now()).toUTCString()
  const secret = context.setting('DNSMADEEASY_API_SECRET') ?? ''
  return {
    'x-dnsme-apikey': context.setting('DNSMADEEASY_API_KEY') ?? '',
    'x-dnsme-requestdate': date,
    'x-dnsme-hmac': createHmac('sha1', secret).update(date).digest('hex'),
  }
}

function complaints(body: unknown): string[] {
  return list(field(body, 'error')).map(text)
}

function tooFast({ status, json }: ApiReply): boolean {
  return status === 400 && complaints(json).some(words => /rate limit/i.test(words))
}

function serverClockMs({ headers }: ApiReply, otherwise: number): number {
  const date = Date.parse(headers.date ?? '')
  return Number.isNaN(date) ? otherwise : date
}

/** Pages are counted from 0. */
async function pages(api: Api, path: string, query: Readonly<Record<string, string>>): Promise<unknown[]> {
  const all: unknown[] = []
  for (let page = 0; ; page++) {
    const { json } = await api.send('GET', path, { query: { ...query, page: page === 0 ? undefined : page } })
    all.push(...list(field(json, 'data')))
    if (page + 1 >= number(field(json, 'totalPages'))) return all
  }
}
