import assert from 'node:assert/strict'
import type { Test } from 'tap'
import type { DnsStage } from '../../contracts/dns-provider.js'
import type { FakeApi } from '../dns-api.js'
import { absolute, type Call, type FakeServer, fakeZones, noBody, onlyQuery, Refused, type Reply, serveFake } from './fake.js'

const key = 'dLDPF9aBcDeF_0123456789abcdef'
const secret = 'S3cr3t0123456789abcdef'

export interface GoDaddyRow {
  readonly data: string
  readonly ttl: number
}

export interface GoDaddyFake extends DnsStage {
  readonly server: FakeServer
  readonly api: FakeApi
  readonly baseUrl: string
  /** TXT rows by name. */
  readonly rows: Map<string, readonly GoDaddyRow[]>
  /** From now on the account may not use the API. */
  shutOut(): void
}

const failed = (status: number, code: string, message: string, more: object = {}): Reply => ({ status, body: { code, message, ...more } })

/** https://developer.godaddy.com/doc/endpoint/domains and recorded exchanges: whole sets, lists by marker, names with an underscore answered with 422. */
export async function fakeGoDaddy(t: Test): Promise<GoDaddyFake> {
  const all = [...fakeZones, ...Array.from({ length: 520 }, (_, i) => `zz-${i}.test`)].sort()
  const rows = new Map<string, readonly GoDaddyRow[]>()
  let open = true
  for (const zone of fakeZones.slice(0, 3)) rows.set(zone, [{ data: 'v=spf1 -all', ttl: 3600 }])
  const zoneOf = ({ params }: Call): string => {
    const zone = params.zone ?? ''
    if (zone.includes('_')) throw new Refused(failed(422, 'INVALID_BODY', 'Request body doesn’t fulfill schema, see details in `fields`'))
    if (!all.includes(zone)) throw new Refused(failed(404, 'NOT_FOUND', `Domain ${zone} not found for shopper`))
    return zone
  }
  const nameOf = (call: Call) => absolute(call.params.name ?? '', zoneOf(call))
  const shownName = (call: Call) => call.params.name ?? ''
  const server = await serveFake(
    t,
    {
      'GET /v1/domains': call => {
        onlyQuery(call, ['statuses', 'limit', 'marker'])
        const limit = Number(call.query.get('limit'))
        assert.ok(limit >= 1 && limit <= 1000)
        const marker = call.query.get('marker')
        const rest = marker === null ? all : all.filter(name => name > marker)
        return { status: 200, body: rest.slice(0, limit).map(domain => ({ domain, status: 'ACTIVE', domainId: 1 })) }
      },
      'GET /v1/domains/:zone': call => ({
        status: 200,
        body: { domain: zoneOf(call), status: 'ACTIVE', nameServers: ['ns09.domaincontrol.com'] },
      }),
      'GET /v1/domains/:zone/records/TXT/:name': call => ({
        status: 200,
        body: (rows.get(nameOf(call)) ?? []).map(({ data, ttl }) => ({ data, name: shownName(call), ttl, type: 'TXT' })),
      }),
      'PUT /v1/domains/:zone/records/TXT/:name': call => {
        assert.match(call.headers['content-type'] ?? '', /^application\/json/)
        const sent: unknown = JSON.parse(call.body)
        assert.ok(Array.isArray(sent) && sent.length > 0, 'an empty set is not put but deleted')
        for (const row of sent) {
          assert.deepEqual(Object.keys(row).sort(), ['data', 'name', 'ttl', 'type'])
          assert.deepEqual([row.type, row.name], ['TXT', shownName(call)])
          assert.ok(typeof row.data === 'string' && row.data.trim() !== '', 'empty data')
          if (row.ttl < 600)
            throw new Refused(
              failed(422, 'INVALID_BODY', 'see details in `fields`', {
                fields: [{ code: 'MIN_VALUE', path: 'records[0].ttl', message: 'must be at least 600' }],
              }),
            )
        }
        if (new Set(sent.map(({ data }) => data)).size !== sent.length)
          throw new Refused(failed(422, 'DUPLICATE_RECORD', 'Another record with the same attributes already exists'))
        rows.set(
          nameOf(call),
          sent.map(({ data, ttl }) => ({ data, ttl })),
        )
        return { status: 200 }
      },
      'DELETE /v1/domains/:zone/records/TXT/:name': call =>
        rows.delete(nameOf(call)) ? { status: 204 } : failed(404, 'NOT_FOUND', 'No records found'),
    },
    call => {
      noBody(call)
      if (call.headers.authorization !== `sso-key ${key}:${secret}`)
        throw new Refused(failed(401, 'UNABLE_TO_AUTHENTICATE', 'Unauthorized : Could not authenticate API key/secret'))
      if (!open) throw new Refused(failed(403, 'ACCESS_DENIED', 'Authenticated user is not allowed access'))
    },
  )
  return {
    server,
    rows,
    api: server.api,
    baseUrl: server.url,
    variables: { GODADDY_API_KEY: key, GODADDY_API_SECRET: secret },
    values: name => (rows.get(name) ?? []).map(({ data }) => data),
    put: (name, value) => void rows.set(name, [...(rows.get(name) ?? []), { data: value, ttl: 7200 }]),
    shutOut() {
      open = false
    },
  }
}
