import { openApi } from './api/api.js'
import { field, list, text } from './api/fields.js'
import type { DnsProvider } from './provider.js'
import { byRecord } from './records/by-record.js'
import { relativeName } from './records/values.js'
import { plainName, zonesAsked } from './records/zones.js'

/** What the API says of a domain that it does not know as ours. */
const noSuchDomain = /^invalid domain/i
const badKey = /api ?key|secretapikey/i
const notOptedIn = /not opted in/i

export const porkbun: DnsProvider = {
  id: 'porkbun',
  title: 'Porkbun',
  link: 'https://porkbun.com/api/json/v3/documentation',
  aliases: [],
  prefixes: ['PORKBUN'],
  settings: [
    { name: 'PORKBUN_API_KEY', hidden: true, required: true, what: 'An API key (`pk1_…`): Account, API Access.' },
    { name: 'PORKBUN_SECRET_API_KEY', hidden: true, required: true, what: 'The secret (`sk1_…`) that is shown once with the key.' },
  ],
  capacity: 'set',
  ttl: { minSeconds: 600, defaultSeconds: 600 },
  propagation: { timeoutSeconds: 600, intervalSeconds: 10 },
  notes: [
    'API access has to be switched on for each domain: Domain Management, Details, API Access.',
    'A key opens every domain of the account whose API access is on: leave it off for all others.',
    'The API answers about one request a second.',
  ],
  open(context) {
    const api = openApi(context, {
      base: 'https://api.porkbun.com/api/json/v3',
      headers: () => ({}),
      credentials: ['PORKBUN_API_KEY', 'PORKBUN_SECRET_API_KEY'],
      perSecond: 1,
      refuses: ({ status, json }) =>
        status === 401 || status === 403 || (field(json, 'status') === 'ERROR' && badKey.test(text(field(json, 'message')))),
      // errors may come with status 200
      fails: ({ json }) => field(json, 'status') !== 'SUCCESS',
      complaint: body => {
        const words = text(field(body, 'message'))
        return notOptedIn.test(words) ? `${words} Switch it on under Domain Management, Details, API Access.` : words || undefined
      },
    })
    /** Every call is a POST that carries the credentials, also one that reads. */
    const ask = async (path: string, more: object = {}, { accept, idempotent = true }: { accept?: RegExp; idempotent?: boolean } = {}) => {
      const json = { apikey: context.setting('PORKBUN_API_KEY'), secretapikey: context.setting('PORKBUN_SECRET_API_KEY'), ...more }
      const reply = await api.send('POST', path, {
        json,
        idempotent,
        accept: answer => accept?.test(text(field(answer.json, 'message'))) ?? false,
      })
      return reply.json
    }
    return {
      zoneOf: zonesAsked(
        context.now,
        async name => {
          const found = await ask(`/dns/retrieve/${encodeURIComponent(name)}`, {}, { accept: noSuchDomain })
          return field(found, 'status') === 'SUCCESS' ? { name, id: name } : undefined
        },
        async () =>
          list(field(await ask('/domain/listAll', { start: '0' }), 'domains')).map(domain => plainName(text(field(domain, 'domain')))),
      ),
      ...byRecord({
        async list(zone, name) {
          const found = list(field(await ask(`/dns/retrieve/${encodeURIComponent(zone.id)}`), 'records'))
          return found
            .filter(record => field(record, 'type') === 'TXT' && plainName(text(field(record, 'name'))) === name)
            .map(record => ({ id: text(field(record, 'id')), shown: text(field(record, 'content')) }))
        },
        create(zone, { name, value }) {
          const record = { name: relativeName(name, zone.name), type: 'TXT', content: value, ttl: String(context.ttlSeconds) }
          return ask(`/dns/create/${encodeURIComponent(zone.id)}`, record, { idempotent: false })
        },
        delete: (zone, id) => ask(`/dns/delete/${encodeURIComponent(zone.id)}/${id}`, {}, { accept: /invalid record id/i }),
      }),
    }
  },
}
