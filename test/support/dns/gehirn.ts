import assert from 'node:assert/strict'
import type { Test } from 'tap'
import type { DnsStage } from '../../contracts/dns-provider.js'
import type { FakeApi } from '../dns-api.js'
import { type Call, type FakeServer, fakeZones, jsonBody, noBody, Refused, type Reply, serveFake, zoneOfFake } from './fake.js'

const token = '01234567-89ab-cdef-0123-456789abcdef'
const secret = 'gehirn-secret-0123456789abcdef'

export interface GehirnRecord {
  readonly id: string
  readonly type: string
  /** Absolute, with a dot at the end. */
  readonly name: string
  readonly enable_alias: boolean
  readonly ttl: number
  readonly records: readonly { readonly data: string }[]
}

export interface GehirnFake extends DnsStage {
  readonly server: FakeServer
  readonly api: FakeApi
  readonly baseUrl: string
  readonly records: GehirnRecord[]
  /** The owner makes another version of all zones current; records go along. */
  newVersion(editable: boolean): void
}

const failed = (code: number, description: string): Reply => ({ status: code, body: { code, description } })

/** https://support.gehirn.jp/apidocs/dns/ and recorded exchanges: a zone has versions, of which one is current; a record holds all values of a name. */
export async function fakeGehirn(t: Test): Promise<GehirnFake> {
  let version = { id: 'be70daaf-0f51-459b-881e-000000000001', editable: true }
  let next = 1
  const id = () => `d846b5a9-b773-49bb-b263-${String(next++).padStart(12, '0')}`
  const record = (name: string, type: string, records: GehirnRecord['records'], ttl = 3600): GehirnRecord => ({
    id: id(),
    type,
    name: `${name}.`,
    enable_alias: false,
    ttl,
    records,
  })
  const records = fakeZones.slice(0, 3).map(zone => record(zone, 'TXT', [{ data: 'v=spf1 -all' }]))
  const zoneId = (zone: string) => `4c6409ac-b37f-4ca4-87ea-${String(fakeZones.indexOf(zone)).padStart(12, '0')}`
  const shown = (name: string) => ({
    id: zoneId(name),
    name,
    deletion_protection: true,
    current_version_id: version.id,
    current_version: { ...version, name: 'v' },
  })
  const zoneOf = ({ params }: Call): string => {
    const zone = fakeZones.find(name => zoneId(name) === params.zone)
    if (zone === undefined) throw new Refused(failed(404, 'Not Found'))
    return zone
  }
  const inVersion = (call: Call): string => {
    const zone = zoneOf(call)
    if (call.params.version !== version.id) throw new Refused(failed(404, 'Not Found'))
    if (call.method !== 'GET' && !version.editable) throw new Refused(failed(403, 'Forbidden'))
    return zone
  }
  const indexOf = (call: Call): number => {
    const zone = inVersion(call)
    const at = records.findIndex(one => one.id === call.params.id && zoneOfFake(one.name.slice(0, -1)) === zone)
    if (at < 0) throw new Refused(failed(404, 'Not Found'))
    return at
  }
  const values = (body: Record<string, unknown>): GehirnRecord['records'] => {
    assert.ok(Array.isArray(body.records) && body.records.length > 0)
    const all = body.records.map(one => {
      assert.deepEqual(Object.keys(one), ['data'])
      return { data: String(one.data) }
    })
    assert.equal(new Set(all.map(({ data }) => data)).size, all.length, 'a value stands there twice')
    return all
  }
  const server = await serveFake(
    t,
    {
      'GET /dns/v1/zones': () => ({ status: 200, body: fakeZones.map(shown) }),
      'GET /dns/v1/zones/:zone': call => ({ status: 200, body: shown(zoneOf(call)) }),
      'GET /dns/v1/zones/:zone/versions/:version/records': call => {
        const zone = inVersion(call)
        return { status: 200, body: records.filter(({ name }) => zoneOfFake(name.slice(0, -1)) === zone) }
      },
      'POST /dns/v1/zones/:zone/versions/:version/records': call => {
        const zone = inVersion(call)
        const body = jsonBody(call, ['name', 'type', 'enable_alias', 'ttl', 'records'])
        assert.deepEqual([body.type, body.enable_alias], ['TXT', false])
        assert.ok(typeof body.name === 'string' && body.name.endsWith(`${zone}.`) && Number(body.ttl) >= 30)
        if (records.some(one => one.type === 'TXT' && one.name === body.name)) throw new Refused(failed(409, 'Conflict'))
        const made = record(body.name.slice(0, -1), 'TXT', values(body), Number(body.ttl))
        records.push(made)
        return { status: 200, body: made }
      },
      'PUT /dns/v1/zones/:zone/versions/:version/records/:id': call => {
        const at = indexOf(call)
        const body = jsonBody(call, ['id', 'name', 'type', 'enable_alias', 'ttl', 'records'])
        const before = records[at]
        assert.ok(before !== undefined)
        const { records: _, ...rest } = body
        const { records: __, ...was } = before
        assert.deepEqual(rest, was, 'nothing but the values changes')
        records[at] = { ...before, records: values(body) }
        return { status: 200, body: records[at] }
      },
      'DELETE /dns/v1/zones/:zone/versions/:version/records/:id': call => ({ status: 200, body: records.splice(indexOf(call), 1)[0] }),
    },
    call => {
      noBody(call)
      if (call.headers.authorization !== `Basic ${Buffer.from(`${token}:${secret}`).toString('base64')}`)
        throw new Refused(failed(401, 'Unauthorized'))
    },
  )
  const find = (name: string) => records.filter(one => one.type === 'TXT' && one.name === `${name}.`)
  return {
    server,
    records,
    api: server.api,
    baseUrl: `${server.url}/dns/v1`,
    variables: { GEHIRN_TOKEN_ID: token, GEHIRN_TOKEN_SECRET: secret },
    values: name => find(name).flatMap(one => one.records.map(({ data }) => data)),
    put(name, value) {
      const [there] = find(name)
      if (there === undefined) records.push(record(name, 'TXT', [{ data: value }]))
      else records[records.indexOf(there)] = { ...there, records: [...there.records, { data: value }] }
    },
    newVersion(editable) {
      version = { id: `be70daaf-0f51-459b-881e-${String(next++).padStart(12, '0')}`, editable }
    },
  }
}
