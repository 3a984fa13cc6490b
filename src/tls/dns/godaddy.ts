import { SoakpError } from '../../errors.js'
import { type Api, type ApiReply, openApi } from './api/api.js'
import { field, list, number, text } from './api/fields.js'
import { oneLine } from './api/redact.js'
import type { DnsAccount, DnsContext, DnsProvider, Zone } from './provider.js'
import { setAccount } from './records/sets.js'
import { relativeName, unquote } from './records/values.js'
import { plainName, zonesAsked } from './records/zones.js'

interface Stored {
  /** As GoDaddy shows them, by bare value. */
  readonly records: ReadonlyMap<string, { readonly data: string; readonly ttl: number }>
}

const keys = ['GODADDY_API_KEY', 'GODADDY_API_SECRET']

export const godaddy: DnsProvider = {
  id: 'godaddy',
  title: 'GoDaddy',
  link: 'https://developer.godaddy.com/doc/endpoint/domains',
  aliases: [],
  prefixes: ['GODADDY'],
  settings: [
    {
      name: 'GODADDY_API_KEY',
      hidden: true,
      required: true,
      what: 'An API key of kind “Production”, from https://developer.godaddy.com/keys.',
    },
    { name: 'GODADDY_API_SECRET', hidden: true, required: true, what: 'The secret that is shown once with the key.' },
  ],
  capacity: 'set',
  ttl: { minSeconds: 600, defaultSeconds: 600 },
  propagation: { timeoutSeconds: 300, intervalSeconds: 5 },
  notes: [
    'GoDaddy opens its DNS API only to accounts that have bought a domain there (from 2024 to 2026: ten domains, or a Discount Domain Club plan). To others it answers ACCESS_DENIED.',
    'A key of kind “OTE” opens the test environment only: `SOAKP_DNS_BASE_URL=https://api.ote-godaddy.com`.',
    'A key opens the whole account. The API allows 60 requests a minute.',
  ],
  open(context) {
    const api = openApi(context, {
      base: 'https://api.godaddy.com',
      headers: () => ({ authorization: `sso-key ${keys.map(name => context.setting(name) ?? '').join(':')}` }),
      credentials: keys,
      refuses: reply => reply.status === 401 || (reply.status === 403 && !shutOut(reply)),
      complaint,
      comeBackMs: ({ json }) => number(field(json, 'retryAfterSec')) * 1000 || undefined,
    })
    return { zoneOf: zoneFinder(api, context), ...sets(api, context) }
  },
}

/** A name that cannot be bought is answered in one way or another; only where no other name is there either, being shut out is what is wrong. */
function zoneFinder(api: Api, context: DnsContext): DnsAccount['zoneOf'] {
  let denied: string | undefined
  const accept = (reply: ApiReply) => reply.status === 404 || reply.status === 422 || shutOut(reply)
  const find = zonesAsked(
    context.now,
    async name => {
      // nobody can buy a name with an underscore
      if (name.includes('_')) return undefined
      const reply = await api.send('GET', `/v1/domains/${encodeURIComponent(name)}`, { accept })
      if (shutOut(reply)) denied = complaint(reply.json, reply)
      return reply.status === 200 ? { name, id: name } : undefined
    },
    () => domains(api),
  )
  return async name => {
    denied = undefined
    try {
      return await find(name)
    } catch (error) {
      throw denied === undefined ? error : new SoakpError('dns_provider_failed', `GoDaddy: ${context.redact(oneLine(denied))}`)
    }
  }
}

function sets(api: Api, context: DnsContext) {
  const pathOf = (zone: Zone, name: string) => {
    const relative = relativeName(name, zone.name)
    return `/v1/domains/${encodeURIComponent(zone.id)}/records/TXT/${relative === '' ? '@' : encodeURIComponent(relative)}`
  }
  return setAccount<Stored>(context, 'godaddy', {
    async read(zone, name) {
      const { status, json } = await api.send('GET', pathOf(zone, name), { accept: [404] })
      const records = new Map(
        list(status === 404 ? [] : json)
          .map(record => ({ data: text(field(record, 'data')), ttl: number(field(record, 'ttl')) }))
          // what tools left behind when a record could not be deleted; it cannot be written back
          .filter(({ data }) => data.trim() !== '')
          .map(record => [unquote(record.data), record]),
      )
      return records.size === 0 ? undefined : { values: new Set(records.keys()), stored: { records } }
    },
    async write(zone, changes) {
      for (const { name, before, values } of changes) {
        if (values.length === 0) {
          await api.send('DELETE', pathOf(zone, name), { accept: [404] })
          continue
        }
        const json = values.map(value => {
          const { data, ttl } = before?.stored.records.get(value) ?? { data: value, ttl: context.ttlSeconds }
          return { type: 'TXT', name: relativeName(name, zone.name) || '@', data, ttl }
        })
        await api.send('PUT', pathOf(zone, name), { json })
      }
    },
  })
}

/** All active domains; a page begins after the last name of the one before. */
async function domains(api: Api): Promise<string[]> {
  const all: string[] = []
  for (let marker: string | undefined; ; marker = all.at(-1)) {
    const { json } = await api.send('GET', '/v1/domains', { query: { statuses: 'ACTIVE', limit: 500, marker } })
    const names = list(json).map(domain => plainName(text(field(domain, 'domain'))))
    if (names.length === 0 || names.at(-1) === marker) return all
    all.push(...names)
    if (names.length < 500) return all
  }
}

/** The key is right, but GoDaddy does not let this account use the API. */
function shutOut({ status, json }: ApiReply): boolean {
  return status === 403 && text(field(json, 'code')) === 'ACCESS_DENIED'
}

function complaint(body: unknown, reply: ApiReply): string | undefined {
  const fields = list(field(body, 'fields')).map(one => `${text(field(one, 'path'))}: ${text(field(one, 'message'))}`)
  const words = [text(field(body, 'message')), text(field(body, 'code')), ...fields].filter(Boolean).join(', ')
  if (!shutOut(reply)) return words || undefined
  return `${words}. GoDaddy opens its DNS API only to accounts that have bought a domain there, and to domains of the same account.`
}
