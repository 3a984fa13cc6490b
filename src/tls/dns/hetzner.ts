import { SoakpError } from '../../errors.js'
import { type Api, openApi } from './api/api.js'
import { field, list, number, text } from './api/fields.js'
import type { DnsAccount, DnsContext, DnsProvider, Zone } from './provider.js'
import { serially } from './records/sets.js'
import { quote, relativeName, unquote, valuesByName } from './records/values.js'
import { plainName, zonesAsked } from './records/zones.js'

export const hetzner: DnsProvider = {
  id: 'hetzner',
  title: 'Hetzner',
  link: 'https://docs.hetzner.cloud/reference/cloud#zones',
  aliases: ['hetznercloud'],
  prefixes: ['HETZNER'],
  settings: [
    {
      name: 'HETZNER_API_TOKEN',
      hidden: true,
      required: true,
      what: 'A token with “Read & Write” of the project that holds the zone: Hetzner Console, Security, API Tokens.',
    },
  ],
  capacity: 'set',
  ttl: { minSeconds: 60, defaultSeconds: 120 },
  propagation: { timeoutSeconds: 120, intervalSeconds: 2 },
  notes: [
    'Zones are served by the API of the Hetzner Console. The former DNS console (dns.hetzner.com, HETZNER_API_KEY) was closed in May 2026: move the zone to the Console first.',
    'A token opens its whole project, there are no narrower ones: put the zone into a project of its own.',
    'The API allows 3600 requests an hour for each project.',
  ],
  open(context) {
    const api = openApi(context, {
      base: 'https://api.hetzner.cloud/v1',
      headers: () => ({ authorization: `Bearer ${context.setting('HETZNER_API_TOKEN')}` }),
      credentials: ['HETZNER_API_TOKEN'],
      // another action works on the zone
      busy: ({ status, json }) => status === 423 || (status === 409 && ['conflict', 'locked'].includes(text(field(json, 'error', 'code')))),
      complaint: body => [field(body, 'error', 'message'), field(body, 'error', 'code')].map(text).filter(Boolean).join(', ') || undefined,
    })
    return account(api, context)
  },
}

function account(api: Api, context: DnsContext): DnsAccount {
  async function stored(zone: Zone, name: string): Promise<readonly string[] | undefined> {
    const { json } = await api.send('GET', `/zones/${zone.id}/rrsets`, {
      query: { type: 'TXT', name: relativeName(name, zone.name) || '@' },
    })
    const [set] = list(field(json, 'rrsets'))
    return set === undefined ? undefined : list(field(set, 'records')).map(record => text(field(record, 'value')))
  }

  /** Whether the API took it on; at the `last` time it has to. */
  async function act(zone: Zone, name: string, what: 'add_records' | 'remove_records', json: object, last: boolean): Promise<boolean> {
    const set = encodeURIComponent(relativeName(name, zone.name) || '@')
    const path = `/zones/${zone.id}/rrsets/${set}/TXT/actions/${what}`
    const reply = await api.send('POST', path, { json, accept: last ? [] : [404, 409, 422] })
    if (reply.status >= 400) return false
    await finished(api, context, field(reply.json, 'action'))
    return true
  }

  return {
    zoneOf: zonesAsked(
      context.now,
      async candidate => {
        const { status, json } = await api.send('GET', `/zones/${encodeURIComponent(candidate)}`, { accept: [404] })
        return status === 404 ? undefined : { name: candidate, id: text(field(json, 'zone', 'id')) }
      },
      async () => (await allZones(api)).map(zone => plainName(text(field(zone, 'name')))),
    ),
    add: (zone, records) =>
      serially(`hetzner ${zone.id}`, async () => {
        for (const [name, values] of valuesByName(records))
          await untilDone(async last => {
            const shown = await stored(zone, name)
            const there = new Set(shown?.map(unquote))
            const missing = [...values].filter(value => !there.has(value)).map(value => ({ value: quote(value) }))
            // a set that is there keeps its TTL
            const ttl = shown === undefined ? { ttl: context.ttlSeconds } : {}
            return missing.length === 0 || act(zone, name, 'add_records', { ...ttl, records: missing }, last)
          })
      }),
    remove: (zone, records) =>
      serially(`hetzner ${zone.id}`, async () => {
        for (const [name, values] of valuesByName(records))
          await untilDone(async last => {
            const ours = (await stored(zone, name))?.filter(value => values.has(unquote(value))).map(value => ({ value }))
            return ours === undefined || ours.length === 0 || act(zone, name, 'remove_records', { records: ours }, last)
          })
      }),
  }
}

/** Looks and acts again where the API refuses: somebody may have added or removed one of the values in between. */
async function untilDone(lookAndAct: (last: boolean) => Promise<boolean>): Promise<void> {
  for (let attempt = 1; !(await lookAndAct(attempt === 3)); attempt++);
}

/** Writes are actions that run on; looked at until they end, for a minute at most. */
async function finished(api: Api, context: DnsContext, begun: unknown): Promise<void> {
  let action = begun
  for (let looks = 0; text(field(action, 'status')) === 'running'; looks++) {
    if (looks === 60)
      throw new SoakpError('dns_provider_failed', `Hetzner has not ended action ${text(field(action, 'id'))} within a minute.`)
    await context.delay(1000)
    action = field((await api.send('GET', `/zones/actions/${text(field(action, 'id'))}`)).json, 'action')
  }
  if (text(field(action, 'status')) === 'success') return
  const words = context.redact(text(field(action, 'error', 'message')) || 'it does not say why')
  throw new SoakpError('dns_provider_failed', `Hetzner did not do what was asked, ${text(field(action, 'command'))}: ${words}.`)
}

async function allZones(api: Api): Promise<unknown[]> {
  const all: unknown[] = []
  for (let page = 1; page > 0; ) {
    const { json } = await api.send('GET', '/zones', { query: { page, per_page: 50 } })
    all.push(...list(field(json, 'zones')))
    page = number(field(json, 'meta', 'pagination', 'next_page'))
  }
  return all
}
