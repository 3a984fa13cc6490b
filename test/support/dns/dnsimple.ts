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

const token = 'dnsimple_a_0123456789abcdefghijklmnop'

export interface DnsimpleFake extends DnsFake {
  /** The token of a user, not of an account. */
  readonly userToken: string
}

/** https://developer.dnsimple.com/v2/: pages of 30 unless asked for more, 100 at most; content comes back in quotes for every second record. */
export async function fakeDnsimple(t: Test): Promise<DnsimpleFake> {
  const records = new FakeRecords(fakeZones)
  const zoneOf = ({ params }: Call): string => {
    assert.equal(params.account, '1385')
    if (!fakeZones.includes(params.zone ?? '')) throw new Refused({ status: 404, body: { message: `Zone \`${params.zone}\` not found` } })
    return params.zone ?? ''
  }
  const shown = ({ id, zone, name, type, content, ttl }: FakeRecord) => ({
    id: Number(id),
    zone_id: zone,
    parent_id: null,
    name: relative(name, zone, ''),
    content: Number(id) % 2 === 0 ? content : `"${content}"`,
    ttl,
    priority: null,
    type,
    regions: ['global'],
    system_record: false,
  })
  const paged = (call: Call, all: readonly object[]): Reply => {
    const size = Number(call.query.get('per_page') ?? 30)
    assert.ok(size <= 100)
    const number = Number(call.query.get('page') ?? 1)
    const { items, pages } = page(all, number, size)
    return {
      status: 200,
      body: { data: items, pagination: { current_page: number, per_page: size, total_entries: all.length, total_pages: pages } },
    }
  }
  const server = await serveFake(
    t,
    {
      'GET /v2/whoami': call => ({
        status: 200,
        body: {
          data:
            call.headers.authorization === `Bearer ${token}-user`
              ? { user: { id: 1 }, account: null }
              : { user: null, account: { id: 1385 } },
        },
      }),
      'GET /v2/:account/zones': call => {
        onlyQuery(call, ['page', 'per_page'])
        return paged(
          call,
          fakeZones.map((name, id) => ({ id, account_id: 1385, name, reverse: false })),
        )
      },
      'GET /v2/:account/zones/:zone': call => ({
        status: 200,
        body: { data: { id: 1, account_id: 1385, name: zoneOf(call), reverse: false, secondary: false } },
      }),
      'GET /v2/:account/zones/:zone/records': call => {
        onlyQuery(call, ['page', 'per_page', 'name', 'type'])
        const [type, name] = [call.query.get('type'), call.query.get('name')]
        const found = records
          .of(zoneOf(call))
          .filter(record => (type ?? record.type) === record.type && (name === null || relative(record.name, record.zone, '') === name))
        return paged(call, found.map(shown))
      },
      'POST /v2/:account/zones/:zone/records': call => {
        const zone = zoneOf(call)
        const { type, name, content, ttl } = jsonBody(call, ['type', 'name', 'content', 'ttl'])
        assert.equal(type, 'TXT')
        assert.ok(typeof name === 'string' && typeof content === 'string' && typeof ttl === 'number')
        if (ttl < 60) throw new Refused({ status: 400, body: { message: 'Validation failed', errors: { ttl: ['must be at least 60'] } } })
        const full = absolute(name, zone)
        if (records.of(zone).some(record => record.name === full && record.type === 'TXT' && record.content === content))
          throw new Refused({ status: 400, body: { message: 'Validation failed', errors: { base: ['The record already exists.'] } } })
        return { status: 201, body: { data: shown(records.add({ zone, type, name: full, content, ttl })) } }
      },
      'DELETE /v2/:account/zones/:zone/records/:id': call =>
        records.remove(zoneOf(call), call.params.id ?? '')
          ? { status: 204 }
          : { status: 404, body: { message: `Record \`${call.params.id}\` not found` } },
    },
    call => {
      noBody(call)
      if (![`Bearer ${token}`, `Bearer ${token}-user`].includes(call.headers.authorization ?? ''))
        throw new Refused({ status: 401, body: { message: 'Authentication failed' } })
    },
  )
  return {
    ...stageOf(server, records, { path: '/v2', variables: { DNSIMPLE_OAUTH_TOKEN: token } }),
    userToken: `${token}-user`,
  }
}
