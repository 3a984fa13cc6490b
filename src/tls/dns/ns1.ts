import { SoakpError } from '../../errors.js'
import { type Api, type ApiReply, openApi } from './api/api.js'
import { field, list, number, text } from './api/fields.js'
import type { DnsContext, DnsProvider, Zone } from './provider.js'
import { StaleSet, setAccount } from './records/sets.js'
import { unquote } from './records/values.js'
import { plainName, zonesAsked } from './records/zones.js'

interface Stored {
  /** As NS1 shows them, with whatever else belongs to each (region, metadata), by bare value. */
  readonly answers: ReadonlyMap<string, unknown>
}

export const ns1: DnsProvider = {
  id: 'ns1',
  title: 'NS1 (IBM)',
  link: 'https://ibm.biz/ns1-api-docs',
  aliases: ['nsone', 'ibmns1'],
  prefixes: ['NS1'],
  settings: [
    {
      name: 'NS1_API_KEY',
      hidden: true,
      required: true,
      what: 'An API key: my.nsone.net, Account settings, Users & teams, API keys.',
    },
  ],
  capacity: 'set',
  ttl: { minSeconds: 1, defaultSeconds: 120 },
  propagation: { timeoutSeconds: 60, intervalSeconds: 2 },
  notes: [
    'The key needs “View zones” and “Manage zones”, and may be limited to the zones that are used.',
    'A key with an IP allow-list works from the listed addresses only.',
  ],
  open(context) {
    const api = openApi(context, {
      base: 'https://api.nsone.net/v1',
      headers: () => ({ 'x-nsone-key': context.setting('NS1_API_KEY') ?? '' }),
      credentials: ['NS1_API_KEY'],
      // at 429 the whole allowance is used up; it comes back evenly over the period
      comeBackMs: ({ status, headers }) => (status === 429 ? Math.min(30, number(headers['x-ratelimit-period']) || 10) * 1000 : undefined),
    })
    return {
      zoneOf: zonesAsked(
        context.now,
        async name => {
          const reply = await api.send('GET', `/zones/${encodeURIComponent(name)}`, { query: { records: false }, accept: [404] })
          return reply.status === 404 ? undefined : { name, id: name }
        },
        async () => list((await api.send('GET', '/zones')).json).map(zone => plainName(text(field(zone, 'zone')))),
      ),
      ...sets(api, context),
    }
  },
}

function sets(api: Api, context: DnsContext) {
  const pathOf = (zone: Zone, name: string) => `/zones/${encodeURIComponent(zone.id)}/${encodeURIComponent(name)}/TXT`
  return setAccount<Stored>(context, 'ns1', {
    async read(zone, name) {
      const { status, json } = await api.send('GET', pathOf(zone, name), { accept: [404] })
      if (status === 404) return undefined
      if (text(field(json, 'link')) !== '') {
        throw new SoakpError(
          'dns_provider_failed',
          `${name}: its TXT record is linked to ${text(field(json, 'link'))} at NS1 and cannot hold values of its own.`,
        )
      }
      const answers = new Map(list(field(json, 'answers')).map(answer => [bare(answer), answer]))
      return { values: new Set(answers.keys()), stored: { answers } }
    },
    async write(zone, changes) {
      for (const { name, before, values } of changes) {
        const answers = values.map(value => before?.stored.answers.get(value) ?? { answer: [value] })
        if (before === undefined) {
          const json = { zone: zone.name, domain: name, type: 'TXT', ttl: context.ttlSeconds, answers, filters: [] }
          await api.send('PUT', pathOf(zone, name), { json, accept: replyMeans(400, /already exists/i) }).then(orStale)
        } else if (values.length === 0) await api.send('DELETE', pathOf(zone, name), { accept: [404] })
        // what is not sent (TTL, filters, regions) stays
        else await api.send('POST', pathOf(zone, name), { json: { answers }, idempotent: true, accept: [404] }).then(orStale)
      }
    },
  })
}

/** One string, or several that belong together. */
function bare(answer: unknown): string {
  return list(field(answer, 'answer'))
    .map(part => unquote(text(part)))
    .join('')
}

const replyMeans = (status: number, words: RegExp) => (reply: ApiReply) =>
  reply.status === status && words.test(text(field(reply.json, 'message')))

function orStale({ status }: ApiReply): void {
  if (status >= 400) throw new StaleSet()
}
