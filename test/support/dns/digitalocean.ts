import assert from 'node:assert/strict'
import type { Test } from 'tap'
import {
  absolute,
  type Call,
  type DnsFake,
  FakeRecords,
  fakeZones,
  jsonBody,
  noBody,
  onlyQuery,
  page,
  Refused,
  relative,
  serveFake,
  stageOf,
} from './fake.js'

const token = 'dop_v1_0123456789abcdef-correct'

/** https://docs.digitalocean.com/reference/api/: pages of 20 unless asked for more, 200 at most; names relative, `@` for the apex. */
export async function fakeDigitalocean(t: Test, { pageSize = 50 }: { readonly pageSize?: number } = {}): Promise<DnsFake> {
  const records = new FakeRecords(fakeZones)
  const zoneOf = ({ params }: Call): string => {
    if (!fakeZones.includes(params.zone ?? ''))
      throw new Refused({ status: 404, body: { id: 'not_found', message: 'The resource you were accessing could not be found.' } })
    return params.zone ?? ''
  }
  const shown = (record: ReturnType<FakeRecords['add']>) => ({
    id: Number(record.id),
    type: record.type,
    name: relative(record.name, record.zone),
    data: record.content,
    priority: null,
    port: null,
    ttl: record.ttl,
    weight: null,
    flags: null,
    tag: null,
  })
  const paged = (call: Call, name: string, all: readonly object[]) => {
    // a server may give less than was asked for
    const size = Math.min(Number(call.query.get('per_page') ?? 20), pageSize)
    const number = Number(call.query.get('page') ?? 1)
    const { items, pages } = page(all, number, size)
    const at = (to: number) => `${server.url}${call.path}?page=${to}`
    const links =
      number < pages
        ? { pages: { next: at(number + 1), last: at(pages) } }
        : number > 1
          ? { pages: { first: at(1), prev: at(number - 1) } }
          : {}
    return { status: 200, body: { [name]: items, links, meta: { total: all.length } } }
  }
  const server = await serveFake(
    t,
    {
      'GET /v2/domains': call => {
        onlyQuery(call, ['per_page', 'page'])
        return paged(
          call,
          'domains',
          fakeZones.map(name => ({ name, ttl: 1800, zone_file: `$ORIGIN ${name}.` })),
        )
      },
      'GET /v2/domains/:zone/records': call => {
        onlyQuery(call, ['per_page', 'page', 'type', 'name'])
        const name = call.query.get('name')
        const found = records
          .of(zoneOf(call))
          .filter(record => record.type === (call.query.get('type') ?? record.type) && (name === null || record.name === name))
        return paged(call, 'domain_records', found.map(shown))
      },
      'POST /v2/domains/:zone/records': call => {
        const zone = zoneOf(call)
        const { type, name, data, ttl } = jsonBody(call, ['type', 'name', 'data', 'ttl'])
        assert.equal(type, 'TXT')
        assert.ok(typeof name === 'string' && typeof data === 'string' && typeof ttl === 'number')
        if (ttl < 30)
          throw new Refused({ status: 422, body: { id: 'unprocessable_entity', message: 'Ttl must be greater than or equal to 30.' } })
        return { status: 201, body: { domain_record: shown(records.add({ zone, type, name: absolute(name, zone), content: data, ttl })) } }
      },
      'DELETE /v2/domains/:zone/records/:id': call =>
        records.remove(zoneOf(call), call.params.id ?? '')
          ? { status: 204 }
          : { status: 404, body: { id: 'not_found', message: 'The resource you requested could not be found.' } },
    },
    call => {
      noBody(call)
      if (call.headers.authorization !== `Bearer ${token}`)
        throw new Refused({ status: 401, body: { id: 'unauthorized', message: 'Unable to authenticate you' } })
    },
  )
  return stageOf(server, records, { variables: { DO_AUTH_TOKEN: token } })
}
