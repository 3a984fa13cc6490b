import assert from 'node:assert/strict'
import type { Test } from 'tap'
import type { DnsStage } from '../../contracts/dns-provider.js'
import type { FakeApi } from '../dns-api.js'
import type { FakeServer } from './fake.js'
import { type Call, fakeZones, jsonBody, noBody, onlyQuery, Refused, type Reply, serveFake, zoneOfFake } from './fake.js'

const key = 'abcdefghij0123456789'

export interface Ns1Record {
  ttl: number
  answers: readonly { readonly answer: readonly string[] }[]
  filters: readonly object[]
  link: string | null
}

export interface Ns1Fake extends DnsStage {
  readonly server: FakeServer
  readonly api: FakeApi
  readonly baseUrl: string
  /** TXT records by name. */
  readonly records: Map<string, Ns1Record>
}

const limits = { 'x-ratelimit-by': 'customer', 'x-ratelimit-limit': '900', 'x-ratelimit-period': '300', 'x-ratelimit-remaining': '899' }
const failed = (status: number, message: string): Reply => ({ status, body: { message }, headers: limits })

/** https://ibm.biz/ns1-api-docs and recorded exchanges: PUT makes a record, POST changes what is sent of one; each answer may carry more than its value. */
export async function fakeNs1(t: Test): Promise<Ns1Fake> {
  const records = new Map<string, Ns1Record>()
  for (const zone of fakeZones.slice(0, 3))
    records.set(zone, { ttl: 3600, answers: [{ answer: ['v=spf1 -all'] }], filters: [], link: null })
  const zoneOf = ({ params }: Call): string => {
    if (!fakeZones.includes(params.zone ?? '')) throw new Refused(failed(404, 'zone not found'))
    return params.zone ?? ''
  }
  const nameOf = (call: Call): string => {
    const name = call.params.name ?? ''
    assert.equal(zoneOfFake(name), zoneOf(call))
    return name
  }
  const shown = (name: string, record: Ns1Record) => ({
    domain: name,
    zone: zoneOfFake(name),
    type: 'TXT',
    use_client_subnet: false,
    id: '566f3f069f782d2e420a0546',
    regions: {},
    meta: {},
    tier: 1,
    networks: [0],
    ...record,
    answers: record.answers.map((answer, index) => ({ id: `566f3f069f782d2e420a05${index}0`, meta: {}, ...answer })),
  })
  const bare = (answers: unknown) => {
    assert.ok(Array.isArray(answers) && answers.length > 0)
    const values = answers.map(({ answer }) => String(answer.join('')))
    assert.equal(new Set(values).size, values.length, 'an answer stands there twice')
    return answers
  }
  const server = await serveFake(
    t,
    {
      'GET /v1/zones': () => ({
        status: 200,
        body: fakeZones.map(zone => ({ zone, id: zone, ttl: 3600, dns_servers: [] })),
        headers: limits,
      }),
      'GET /v1/zones/:zone': call => {
        onlyQuery(call, ['records'])
        assert.equal(call.query.get('records'), 'false')
        return { status: 200, body: { zone: zoneOf(call), id: '566f3f069f782d2e420a0541', ttl: 3600 }, headers: limits }
      },
      'GET /v1/zones/:zone/:name/TXT': call => {
        const record = records.get(nameOf(call))
        return record === undefined ? failed(404, 'record not found') : { status: 200, body: shown(nameOf(call), record), headers: limits }
      },
      'PUT /v1/zones/:zone/:name/TXT': call => {
        const name = nameOf(call)
        const { zone, domain, type, ttl, answers, filters } = jsonBody(call, ['zone', 'domain', 'type', 'ttl', 'answers', 'filters'])
        assert.deepEqual([zone, domain, type, filters], [zoneOf(call), name, 'TXT', []])
        if (records.has(name)) return failed(400, 'record already exists')
        const record = { ttl: Number(ttl), answers: bare(answers), filters: [], link: null }
        records.set(name, record)
        return { status: 200, body: shown(name, record), headers: limits }
      },
      'POST /v1/zones/:zone/:name/TXT': call => {
        const name = nameOf(call)
        const { answers } = jsonBody(call, ['answers'])
        const record = records.get(name)
        if (record === undefined) return failed(404, 'record not found')
        record.answers = bare(answers)
        return { status: 200, body: shown(name, record), headers: limits }
      },
      'DELETE /v1/zones/:zone/:name/TXT': call =>
        records.delete(nameOf(call)) ? { status: 200, body: {}, headers: limits } : failed(404, 'record not found'),
    },
    call => {
      noBody(call)
      if (call.headers['x-nsone-key'] !== key) throw new Refused(failed(401, 'Unauthorized'))
    },
  )
  return {
    server,
    records,
    api: server.api,
    baseUrl: `${server.url}/v1`,
    variables: { NS1_API_KEY: key },
    values: name => (records.get(name)?.answers ?? []).map(({ answer }) => answer.join('')),
    put(name, value) {
      const record = records.get(name) ?? { ttl: 7200, answers: [], filters: [], link: null }
      records.set(name, { ...record, answers: [...record.answers, { answer: [value] }] })
    },
  }
}
