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
  noBody,
  onlyQuery,
  page,
  Refused,
  type Reply,
  relative,
  serveFake,
  stageOf,
} from './fake.js'

const token = '0123456789abcdef0123456789abcdef-linode'

/**
 * https://techdocs.akamai.com/linode-api/: filters are JSON in a header, pages of 100; names come back relative or whole. `other.test` is a zone that is copied from elsewhere.
 */
export async function fakeLinode(t: Test): Promise<DnsFake> {
  const records = new FakeRecords(fakeZones)
  const zones = [
    ...fakeZones.map((domain, i) => ({ id: 1000 + i, type: 'master', domain, status: 'active' })),
    { id: 999, type: 'slave', domain: 'deep.sub.example.com', status: 'active' },
  ]
  const zoneOf = ({ params }: Call): string => {
    const zone = zones.find(({ id }) => String(id) === params.zone)
    if (zone === undefined) throw new Refused({ status: 404, body: { errors: [{ reason: 'Not found' }] } })
    return zone.domain
  }
  const shown = ({ id, name, zone, type, content, ttl }: FakeRecord) => ({
    id: Number(id),
    type,
    name: Number(id) % 2 === 0 ? relative(name, zone, '') : name,
    target: content,
    priority: 0,
    weight: 0,
    port: 0,
    service: null,
    protocol: null,
    ttl_sec: ttl,
    tag: null,
  })
  const paged = (call: Call, all: readonly { [name: string]: unknown }[], filterable: readonly string[]): Reply => {
    onlyQuery(call, ['page', 'page_size'])
    const header = call.headers['x-filter']
    const filter: Record<string, unknown> = header === undefined ? {} : JSON.parse(String(header))
    for (const name of Object.keys(filter)) assert.ok(filterable.includes(name), `cannot filter by ${name}`)
    const size = Number(call.query.get('page_size') ?? 100)
    assert.ok(size >= 25 && size <= 500)
    const number = Number(call.query.get('page') ?? 1)
    const { items, pages } = page(
      all.filter(one => Object.entries(filter).every(([name, value]) => one[name] === value)),
      number,
      Math.min(size, 50),
    )
    return { status: 200, body: { data: items, page: number, pages, results: all.length } }
  }
  const server = await serveFake(
    t,
    {
      'GET /v4/domains': call => paged(call, zones, ['domain']),
      'GET /v4/domains/:zone/records': call => paged(call, records.of(zoneOf(call)).map(shown), ['type', 'name', 'target']),
      'POST /v4/domains/:zone/records': call => {
        const zone = zoneOf(call)
        const { type, name, target, ttl_sec: ttl } = jsonBody(call, ['type', 'name', 'target', 'ttl_sec'])
        assert.equal(type, 'TXT')
        assert.ok(typeof name === 'string' && typeof target === 'string' && typeof ttl === 'number')
        return { status: 200, body: shown(records.add({ zone, type, name: absolute(name, zone), content: target, ttl })) }
      },
      'DELETE /v4/domains/:zone/records/:id': call =>
        records.remove(zoneOf(call), call.params.id ?? '')
          ? { status: 200, body: {} }
          : { status: 404, body: { errors: [{ reason: 'Not found' }] } },
    },
    call => {
      noBody(call)
      if (call.headers.authorization !== `Bearer ${token}`)
        throw new Refused({ status: 401, body: { errors: [{ reason: 'Invalid Token' }] } })
    },
  )
  return stageOf(server, records, { path: '/v4', variables: { LINODE_TOKEN: token } })
}
