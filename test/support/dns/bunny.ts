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

const key = '01234567-89ab-cdef-0123-456789abcdef01234567-89ab-cdef-0123-456789abcdef'
const types: Readonly<Record<string, number>> = { A: 0, AAAA: 1, CNAME: 2, TXT: 3 }

/** More zones than fit on a page, `example.com` on the second one. */
const zones = [...Array.from({ length: 120 }, (_, i) => `more-${i}.test`), ...fakeZones]

/** https://docs.bunny.net/api-reference/core/dns-zone: kinds of records are numbers, PUT makes one more each time, records come with their zone. */
export async function fakeBunny(t: Test): Promise<DnsFake> {
  const records = new FakeRecords(fakeZones, 5)
  const zoneOf = ({ params }: Call): string => {
    const zone = zones[Number(params.zone) - 5000]
    if (zone === undefined)
      throw new Refused({
        status: 404,
        body: { ErrorKey: 'dnszone.not_found', Field: 'Id', Message: 'The requested DNS zone was not found' },
      })
    return zone
  }
  const shown = (zone: string) => ({
    Id: zones.indexOf(zone) + 5000,
    Domain: zone,
    Records: records.of(zone).map(({ id, type, name, content, ttl }) => ({
      Id: Number(id),
      Type: types[type],
      Ttl: ttl,
      Value: content,
      Name: relative(name, zone, ''),
      Weight: 0,
      Disabled: false,
      Comment: null,
    })),
  })
  const server = await serveFake(
    t,
    {
      'GET /dnszone': call => {
        onlyQuery(call, ['page', 'perPage'])
        const size = Number(call.query.get('perPage'))
        assert.ok(size >= 5 && size <= 1000)
        const number = Number(call.query.get('page'))
        const { items, pages } = page(zones, number, size)
        return {
          status: 200,
          body: { Items: items.map(shown), CurrentPage: number, TotalItems: zones.length, HasMoreItems: number < pages },
        }
      },
      'GET /dnszone/:zone': call => ({ status: 200, body: shown(zoneOf(call)) }),
      'PUT /dnszone/:zone/records': call => {
        const zone = zoneOf(call)
        const { Type, Name, Value, Ttl } = jsonBody(call, ['Type', 'Name', 'Value', 'Ttl'])
        assert.equal(Type, 3)
        assert.ok(typeof Name === 'string' && typeof Value === 'string' && typeof Ttl === 'number')
        assert.ok(Name === '' || !Name.endsWith(zone), 'the name is relative to the zone')
        if (Ttl < 15)
          throw new Refused({ status: 400, body: { ErrorKey: 'validation_error', Field: 'Ttl', Message: 'The TTL is invalid' } })
        const { id } = records.add({ zone, type: 'TXT', name: absolute(Name, zone), content: Value, ttl: Ttl })
        return { status: 201, body: { Id: Number(id), Type, Name, Value, Ttl } }
      },
      'DELETE /dnszone/:zone/records/:id': call =>
        records.remove(zoneOf(call), call.params.id ?? '')
          ? { status: 204 }
          : {
              status: 404,
              body: { ErrorKey: 'dnszone.record.not_found', Field: 'RecordId', Message: 'The requested DNS record was not found' },
            },
    },
    call => {
      noBody(call)
      if (call.headers.accesskey !== key)
        throw new Refused({ status: 401, body: { Message: 'Authorization has been denied for this request.' } })
    },
  )
  return stageOf(server, records, { variables: { BUNNY_API_KEY: key } })
}
