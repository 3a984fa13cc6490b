import assert from 'node:assert/strict'
import type { Test } from 'tap'
import {
  absolute,
  type Call,
  type DnsFake,
  type FakeRecord,
  FakeRecords,
  fakeZones,
  jsonBody,
  Refused,
  type Reply,
  serveFake,
  stageOf,
} from './fake.js'

const apikey = 'pk1_0123456789abcdef'
const secretapikey = 'sk1_fedcba9876543210'
/** In the account, with API access switched off. */
export const closedDomain = 'closed.test'

const failed = (message: string, status = 400): Reply => ({ status, body: { status: 'ERROR', message } })

/** https://porkbun.com/api/json/v3/documentation: only POST, credentials in the body, errors with status 200 or 400; ids are numbers when made and strings when read. */
export async function fakePorkbun(t: Test): Promise<DnsFake> {
  const records = new FakeRecords(fakeZones, 5)
  const zoneOf = ({ params }: Call): string => {
    if (params.zone === closedDomain) throw new Refused(failed('Domain is not opted in to API access.'))
    if (!fakeZones.includes(params.zone ?? '')) throw new Refused(failed('Invalid domain.'))
    return params.zone ?? ''
  }
  const shown = ({ id, name, type, content, ttl }: FakeRecord) => ({ id, name, type, content, ttl: String(ttl), prio: '0', notes: null })
  const open = (call: Call, names: readonly string[] = []): Record<string, unknown> => {
    const body = jsonBody(call, ['apikey', 'secretapikey', ...names])
    if (body.apikey !== apikey || body.secretapikey !== secretapikey) throw new Refused(failed('Invalid API key. (002)'))
    return body
  }
  const server = await serveFake(t, {
    'POST /api/json/v3/domain/listAll': call => {
      open(call, ['start'])
      return {
        status: 200,
        body: { status: 'SUCCESS', domains: [...fakeZones, closedDomain].map(domain => ({ domain, status: 'ACTIVE', tld: 'x' })) },
      }
    },
    'POST /api/json/v3/dns/retrieve/:zone': call => {
      open(call)
      return { status: 200, body: { status: 'SUCCESS', cloudflare: 'enabled', records: records.of(zoneOf(call)).map(shown) } }
    },
    'POST /api/json/v3/dns/create/:zone': call => {
      const { name, type, content, ttl } = open(call, ['name', 'type', 'content', 'ttl'])
      const zone = zoneOf(call)
      assert.equal(type, 'TXT')
      assert.ok(typeof name === 'string' && typeof content === 'string' && typeof ttl === 'string')
      const there = records.of(zone).some(record => record.name === absolute(name, zone) && record.content === content)
      if (there) throw new Refused(failed('Create error: We were unable to create the DNS record.', 200))
      const { id } = records.add({ zone, type, name: absolute(name, zone), content, ttl: Math.max(600, Number(ttl)) })
      return { status: 200, body: { status: 'SUCCESS', id: Number(id) } }
    },
    'POST /api/json/v3/dns/delete/:zone/:id': call => {
      open(call)
      return records.remove(zoneOf(call), call.params.id ?? '')
        ? { status: 200, body: { status: 'SUCCESS' } }
        : failed('Invalid record ID.')
    },
  })
  return stageOf(server, records, { path: '/api/json/v3', variables: { PORKBUN_API_KEY: apikey, PORKBUN_SECRET_API_KEY: secretapikey } })
}
