import assert from 'node:assert/strict'
import type { Test } from 'tap'
import { quote } from '../../../src/tls/dns/records/values.js'
import {
  absolute,
  type Call,
  type DnsFake,
  type FakeRecord,
  FakeRecords,
  fakeZones,
  jsonBody,
  noBody,
  onlyQuery,
  Refused,
  type Reply,
  relative,
  serveFake,
  stageOf,
} from './fake.js'

const key = 'VULTR0123456789ABCDEFGHIJKLMNOPQRSTU'

/** https://www.vultr.com/api/: pages by cursor, data in quotes, names relative. */
export async function fakeVultr(t: Test): Promise<DnsFake> {
  const records = new FakeRecords(fakeZones)
  const zoneOf = ({ params }: Call): string => {
    if (!fakeZones.includes(params.zone ?? '')) throw new Refused({ status: 404, body: { error: 'Invalid domain.', status: 404 } })
    return params.zone ?? ''
  }
  const shown = ({ id, name, zone, type, content, ttl }: FakeRecord) => ({
    id: `uuid-${id}`,
    type,
    name: relative(name, zone, ''),
    data: content,
    priority: 0,
    ttl,
  })
  const paged = (call: Call, name: string, all: readonly object[]): Reply => {
    onlyQuery(call, ['per_page', 'cursor'])
    const size = Math.min(25, Number(call.query.get('per_page') ?? 25))
    const cursor = call.query.get('cursor')
    const from = cursor === null ? 0 : Number(Buffer.from(cursor, 'base64url').toString().replace('next__', ''))
    assert.ok(Number.isInteger(from), 'a cursor that was given out')
    const next = from + size < all.length ? Buffer.from(`next__${from + size}`).toString('base64url') : ''
    return { status: 200, body: { [name]: all.slice(from, from + size), meta: { total: all.length, links: { next, prev: '' } } } }
  }
  const server = await serveFake(
    t,
    {
      'GET /v2/domains': call =>
        paged(
          call,
          'domains',
          fakeZones.map(domain => ({ domain, date_created: '2020-10-10T01:56:20+00:00', dns_sec: 'disabled' })),
        ),
      'GET /v2/domains/:zone/records': call => paged(call, 'records', records.of(zoneOf(call)).map(shown)),
      'POST /v2/domains/:zone/records': call => {
        const zone = zoneOf(call)
        const { type, name, data, ttl, priority } = jsonBody(call, ['type', 'name', 'data', 'ttl', 'priority'])
        assert.equal(type, 'TXT')
        assert.equal(priority, 0)
        assert.ok(typeof name === 'string' && typeof data === 'string' && typeof ttl === 'number')
        if (!/^".*"$/.test(data)) throw new Refused({ status: 400, body: { error: 'TXT data must be in quotes.', status: 400 } })
        if (ttl < 120) throw new Refused({ status: 400, body: { error: 'TTL must be at least 120.', status: 400 } })
        return { status: 201, body: { record: shown(records.add({ zone, type, name: absolute(name, zone), content: data, ttl })) } }
      },
      'DELETE /v2/domains/:zone/records/:id': call =>
        records.remove(zoneOf(call), (call.params.id ?? '').replace('uuid-', ''))
          ? { status: 204 }
          : { status: 404, body: { error: 'Invalid record.', status: 404 } },
    },
    call => {
      noBody(call)
      if (call.headers.authorization !== `Bearer ${key}`)
        throw new Refused({ status: 401, body: { error: 'Invalid API token.', status: 401 } })
    },
  )
  return stageOf(server, records, { path: '/v2', variables: { VULTR_API_KEY: key }, shown: quote })
}
