import assert from 'node:assert/strict'
import { createHmac } from 'node:crypto'
import type { Test } from 'tap'
import { quote } from '../../../src/tls/dns/records/values.js'
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

const apiKey = '01234567-89ab-cdef-0123-456789abcdef'
const secret = 'fedcba98-7654-3210-fedc-ba9876543210'
const notFound = '\n\n<!DOCTYPE html>\n<html>\n<head>\n\t<title>Management Console</title>\n</head></html>'

export interface DnsMadeEasyFake extends DnsFake {
  /** The server's clock runs ahead by so much. */
  shiftClock(ms: number): void
}

/** API V2.0 Documentation and recorded exchanges: an HMAC of the date, values given back in quotes, 404 as a page of HTML, pages counted from 0. */
export async function fakeDnsMadeEasy(t: Test): Promise<DnsMadeEasyFake> {
  const records = new FakeRecords(fakeZones, 30)
  let shiftMs = 0
  const now = () => Date.now() + shiftMs
  const date = () => ({ date: new Date(now()).toUTCString() })
  const zoneOf = ({ params }: Call): string => {
    const zone = fakeZones[Number(params.zone) - 878_000]
    if (zone === undefined) throw new Refused({ status: 404, body: notFound })
    return zone
  }
  const paged = (call: Call, all: readonly unknown[]) => {
    const at = Number(call.query.get('page') ?? 0)
    const { items, pages } = page(all, at + 1, 25)
    return { status: 200, body: { totalPages: pages, totalRecords: all.length, data: items, page: at } }
  }
  const authenticate = ({ headers }: Call) => {
    const sent = headers['x-dnsme-requestdate'] ?? ''
    assert.match(sent, /^(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun), \d\d [A-Z][a-z][a-z] \d{4} \d\d:\d\d:\d\d GMT$/)
    const refused = (words: string) => new Refused({ status: 403, body: { error: [words] }, headers: date() })
    if (headers['x-dnsme-apikey'] !== apiKey) throw refused('API key not found')
    if (Math.abs(Date.parse(sent) - now()) > 30_000) throw refused('Request sent with an invalid date')
    if (headers['x-dnsme-hmac'] !== createHmac('sha1', secret).update(sent).digest('hex')) throw refused('HMAC does not match')
  }
  const server = await serveFake(
    t,
    {
      'GET /V2.0/dns/managed': call => {
        onlyQuery(call, ['page'])
        return paged(
          call,
          fakeZones.map((name, index) => ({ id: 878_000 + index, name, folderId: 2052, gtdEnabled: false })),
        )
      },
      'GET /V2.0/dns/managed/:zone/records': call => {
        onlyQuery(call, ['recordName', 'type', 'page'])
        const zone = zoneOf(call)
        const [name, type] = [call.query.get('recordName'), call.query.get('type')]
        const found = records.of(zone).filter(one => relative(one.name, zone, '') === name && one.type === type)
        return paged(
          call,
          found.map(({ id, ttl, content }) => ({
            id: Number(id),
            name,
            type,
            value: quote(content),
            ttl,
            gtdLocation: 'DEFAULT',
            source: 1,
            failed: false,
          })),
        )
      },
      'POST /V2.0/dns/managed/:zone/records': call => {
        const zone = zoneOf(call)
        const { type, name, value, ttl, gtdLocation } = jsonBody(call, ['type', 'name', 'value', 'ttl', 'gtdLocation'])
        assert.equal(type, 'TXT')
        assert.equal(gtdLocation, 'DEFAULT')
        assert.ok(typeof name === 'string' && typeof value === 'string' && typeof ttl === 'number')
        const full = absolute(name, zone)
        if (records.of(zone).some(one => one.type === 'TXT' && one.name === full && one.content === value)) {
          const words = `Record with this type (TXT), name (${name}), and value (${quote(value)}) already exists.`
          return { status: 400, body: { error: [words] } }
        }
        const { id } = records.add({ zone, type: 'TXT', name: full, content: value, ttl })
        return { status: 201, body: { id: Number(id), type, name, value: quote(value), ttl, gtdLocation } }
      },
      'DELETE /V2.0/dns/managed/:zone/records/:id': call =>
        records.remove(zoneOf(call), call.params.id ?? '') ? { status: 200, body: '' } : { status: 404, body: notFound },
    },
    call => {
      noBody(call)
      authenticate(call)
    },
  )
  const variables = { DNSMADEEASY_API_KEY: apiKey, DNSMADEEASY_API_SECRET: secret }
  return {
    ...stageOf(server, records, { path: '/V2.0', variables }),
    shiftClock(ms) {
      shiftMs = ms
    },
  }
}
