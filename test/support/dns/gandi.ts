import assert from 'node:assert/strict'
import type { Test } from 'tap'
import {
  absolute,
  type Call,
  FakeSets,
  fakeZones,
  jsonBody,
  noBody,
  page,
  Refused,
  type Reply,
  type SetFake,
  serveFake,
  stageOfSets,
} from './fake.js'

const token = 'pat_0123456789abcdef0123456789abcdef01234567'
const key = 'apikey0123456789abcdefgh'

export interface GandiFake extends SetFake {
  readonly apiKey: Readonly<Record<string, string>>
}

const failed = (code: number, object: string, message: string): Reply => ({
  status: code,
  body: { code, message, object, cause: object.slice(4) },
})

/** https://api.gandi.net/docs/livedns/: whole sets, values shown in quotes, TTL 10800 where none is sent. */
const many = Array.from({ length: 120 }, (_, i) => `more-${i}.test`)

export async function fakeGandi(t: Test): Promise<GandiFake> {
  const sets = new FakeSets(true)
  const zoneOf = ({ params }: Call): string => {
    if (!fakeZones.includes(params.zone ?? '')) throw new Refused(failed(404, 'HTTPNotFound', 'The resource could not be found.'))
    return params.zone ?? ''
  }
  const nameOf = (call: Call) => absolute(call.params.name ?? '', zoneOf(call))
  const server = await serveFake(
    t,
    {
      'GET /v5/livedns/domains': ({ query }) => ({
        status: 200,
        body: page([...many, ...fakeZones], Number(query.get('page') ?? 1), Math.min(100, Number(query.get('per_page')))).items.map(
          fqdn => ({ fqdn, domain_href: `https://api.gandi.net/v5/livedns/domains/${fqdn}` }),
        ),
      }),
      'GET /v5/livedns/domains/:zone': call => ({ status: 200, body: { fqdn: zoneOf(call), automatic_snapshots: true } }),
      'GET /v5/livedns/domains/:zone/records/:name/TXT': call => {
        const set = sets.get(nameOf(call))
        if (set === undefined) return failed(404, 'dns-record', "Can't find the DNS record")
        return { status: 200, body: { rrset_type: 'TXT', rrset_ttl: set.ttl, rrset_name: call.params.name, rrset_values: set.values } }
      },
      'PUT /v5/livedns/domains/:zone/records/:name/TXT': call => {
        const { rrset_ttl: ttl, rrset_values: values } = jsonBody(call, ['rrset_ttl', 'rrset_values'])
        assert.ok(typeof ttl === 'number' && Array.isArray(values) && values.length > 0)
        if (ttl < 300) throw new Refused(failed(400, 'HTTPBadRequest', 'rrset_ttl: value must be at least 300'))
        assert.equal(new Set(values).size, values.length, 'a value stands there twice')
        sets.set(
          nameOf(call),
          values.map(value => (String(value).startsWith('"') ? String(value) : `"${value}"`)),
          ttl,
        )
        return { status: 201, body: { message: 'DNS Record Created' } }
      },
      'DELETE /v5/livedns/domains/:zone/records/:name/TXT': call => {
        if (sets.get(nameOf(call)) === undefined) return failed(404, 'dns-record', "Can't find the DNS record")
        sets.set(nameOf(call), [], 0)
        return { status: 204 }
      },
    },
    call => {
      noBody(call)
      if (![`Bearer ${token}`, `Apikey ${key}`].includes(call.headers.authorization ?? ''))
        throw new Refused(failed(403, 'HTTPForbidden', 'Access was denied to this resource.'))
    },
  )
  return {
    ...stageOfSets(server, sets, { path: '/v5/livedns', variables: { GANDIV5_PERSONAL_ACCESS_TOKEN: token } }),
    apiKey: { GANDIV5_API_KEY: key },
  }
}
