import assert from 'node:assert/strict'
import type { Test } from 'tap'
import { unquote } from '../../../src/tls/dns/records/values.js'
import {
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
  serveFake,
  stageOf,
} from './fake.js'

const token = 'cf-Correct0123456789_abcdefghijklmnopqrst'
const email = 'dns@example.com'
const key = '0123456789abcdef0123456789abcdef01234'

export interface CloudflareFake extends DnsFake {
  /** The account's e-mail and global key, as variables. */
  readonly globalKey: Readonly<Record<string, string>>
  /** A token that may edit records and not read zones, and one that may read zones only. */
  readonly twoTokens: Readonly<Record<string, string>>
}

const failed = (status: number, code: number, message: string, chain?: { code: number; message: string }[]): Reply => ({
  status,
  body: { result: null, success: false, errors: [{ code, message, ...(chain ? { error_chain: chain } : {}) }], messages: [] },
})

/** https://developers.cloudflare.com/api/: everything in an envelope, errors by code. */
export async function fakeCloudflare(t: Test): Promise<CloudflareFake> {
  const records = new FakeRecords(fakeZones, 60)
  const zones = fakeZones.map((name, i) => ({ id: (0x1000 + i).toString(16).padStart(32, 'a'), name, status: 'active', paused: false }))
  // the same zone, waiting to be taken over in another account
  const waiting = { id: 'f'.repeat(32), name: 'example.com', status: 'pending', paused: false }
  const zoneOf = ({ params }: Call): string => {
    const zone = zones.find(({ id }) => id === params.zone)
    if (zone === undefined) throw new Refused(failed(404, 1001, 'Invalid zone identifier'))
    return zone.name
  }
  const shown = ({ id, name, type, content, ttl }: FakeRecord) => ({
    id,
    name,
    type,
    content,
    proxiable: false,
    proxied: false,
    ttl,
    settings: {},
    meta: {},
    comment: null,
    tags: [],
    created_on: '2025-08-27T20:36:19.571325Z',
    modified_on: '2025-08-27T20:36:19.571325Z',
  })
  const paged = (call: Call, all: readonly object[], most: number): Reply => {
    const size = Number(call.query.get('per_page') ?? 20)
    assert.ok(size >= 5 && size <= most, `per_page ${size} is not between 5 and ${most}`)
    const number = Number(call.query.get('page') ?? 1)
    const { items, pages } = page(all, number, size)
    return {
      status: 200,
      body: {
        result: items,
        success: true,
        errors: [],
        messages: [],
        result_info: { page: number, per_page: size, count: items.length, total_count: all.length, total_pages: pages },
      },
    }
  }
  const authenticate = (call: Call) => {
    const { authorization } = call.headers
    if (authorization === undefined) {
      if (call.headers['x-auth-email'] === email && call.headers['x-auth-key'] === key) return
      throw new Refused(failed(403, 9103, 'Unknown X-Auth-Key or X-Auth-Email'))
    }
    if (!/^Bearer [\w-]{40,}$/.test(authorization))
      throw new Refused(failed(400, 6003, 'Invalid request headers', [{ code: 6111, message: 'Invalid format for Authorization header' }]))
    const forZones = call.path === '/client/v4/zones'
    const good = [`Bearer ${token}`, forZones ? `Bearer ${token}-reads-zones` : `Bearer ${token}-edits-records`]
    if (good.includes(authorization)) return
    if (authorization.startsWith(`Bearer ${token}`)) throw new Refused(failed(403, 9109, 'Unauthorized to access requested resource'))
    throw new Refused(failed(401, 1000, 'Invalid API Token'))
  }
  const server = await serveFake(
    t,
    {
      'GET /client/v4/zones': call => {
        onlyQuery(call, ['name', 'page', 'per_page'])
        const name = call.query.get('name')
        return paged(
          call,
          [waiting, ...zones].filter(zone => name === null || zone.name === name),
          50,
        )
      },
      'GET /client/v4/zones/:zone/dns_records': call => {
        onlyQuery(call, ['type', 'name', 'page', 'per_page'])
        const [type, name] = [call.query.get('type'), call.query.get('name')]
        const found = records
          .of(zoneOf(call))
          .filter(record => (type ?? record.type) === record.type && (name ?? record.name) === record.name)
        return paged(call, found.map(shown), 5000)
      },
      'POST /client/v4/zones/:zone/dns_records': call => {
        const zone = zoneOf(call)
        const { type, name, content, ttl } = jsonBody(call, ['type', 'name', 'content', 'ttl'])
        assert.equal(type, 'TXT')
        assert.ok(typeof name === 'string' && typeof content === 'string' && typeof ttl === 'number')
        assert.ok(name === zone || name.endsWith(`.${zone}`), 'the name is whole')
        if (ttl !== 1 && (ttl < 60 || ttl > 86400))
          throw new Refused(
            failed(400, 1004, 'DNS Validation Error', [
              { code: 9021, message: 'Invalid TTL. Must be between 60 and 86400 seconds, or 1 for Automatic.' },
            ]),
          )
        const there = records.of(zone).filter(record => record.name === name)
        if (there.some(record => record.type === 'CNAME'))
          throw new Refused(failed(400, 81054, 'A CNAME record with that host already exists.'))
        if (there.some(record => record.type === 'TXT' && unquote(record.content) === unquote(content)))
          throw new Refused(failed(400, 81058, 'An identical record already exists.'))
        const record = records.add({ zone, type, name, content, ttl })
        return { status: 200, body: { result: shown(record), success: true, errors: [], messages: [] } }
      },
      'DELETE /client/v4/zones/:zone/dns_records/:id': call =>
        records.remove(zoneOf(call), call.params.id ?? '')
          ? { status: 200, body: { result: { id: call.params.id }, success: true, errors: [], messages: [] } }
          : failed(404, 81044, 'Record does not exist.'),
    },
    call => {
      noBody(call)
      authenticate(call)
    },
  )
  return {
    ...stageOf(server, records, { path: '/client/v4', variables: { CLOUDFLARE_DNS_API_TOKEN: token } }),
    globalKey: { CF_API_EMAIL: email, CF_API_KEY: key },
    twoTokens: { CF_DNS_API_TOKEN: `${token}-edits-records`, CF_ZONE_API_TOKEN: `${token}-reads-zones` },
  }
}
