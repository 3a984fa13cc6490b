import assert from 'node:assert/strict'
import type { Test } from 'tap'
import {
  type Call,
  type DnsFake,
  type FakeRecord,
  FakeRecords,
  fakeZones,
  jsonBody,
  noBody,
  Refused,
  type Reply,
  serveFake,
  stageOf,
} from './fake.js'

const user = 'admin@example.com'
const token = '0123456789abcdef0123456789abcdef'

const failed = (status: number, words: string, message: string): Reply => ({
  status,
  body: { status: words, request_id: 'a8e9d5b1', message },
})

/** https://luadns.com/api.html and recorded exchanges: absolute names with a dot at the end, lists in one piece, the deleted record in the answer. */
export async function fakeLuaDns(t: Test): Promise<DnsFake> {
  const records = new FakeRecords(fakeZones, 5)
  const zoneOf = ({ params }: Call): string => {
    const zone = fakeZones[Number(params.zone) - 39_000]
    if (zone === undefined) throw new Refused(failed(404, 'Not Found', 'Zone not found.'))
    return zone
  }
  const shown = ({ id, zone, name, type, content, ttl }: FakeRecord) => ({
    id: Number(id),
    name: `${name}.`,
    type,
    content,
    ttl,
    zone_id: fakeZones.indexOf(zone) + 39_000,
    generated: false,
    created_at: '2018-03-20T07:18:10.1051Z',
    updated_at: '2018-03-20T07:18:10.105102Z',
  })
  const server = await serveFake(
    t,
    {
      'GET /v1/zones': () => ({
        status: 200,
        body: fakeZones.map((name, index) => ({
          id: 39_000 + index,
          name,
          template_id: 0,
          synced: true,
          queries_count: 0,
          records_count: 6,
        })),
      }),
      'GET /v1/zones/:zone/records': call => ({ status: 200, body: records.of(zoneOf(call)).map(shown) }),
      'POST /v1/zones/:zone/records': call => {
        const zone = zoneOf(call)
        const { name, type, content, ttl } = jsonBody(call, ['name', 'type', 'content', 'ttl'])
        assert.equal(type, 'TXT')
        assert.ok(typeof name === 'string' && typeof content === 'string' && typeof ttl === 'number')
        assert.ok(name === `${zone}.` || name.endsWith(`.${zone}.`), 'the name is absolute')
        if (ttl < 300) throw new Refused(failed(400, 'Bad Request', 'TTL is too low.'))
        return { status: 200, body: shown(records.add({ zone, type, name: name.slice(0, -1), content, ttl })) }
      },
      'DELETE /v1/zones/:zone/records/:id': call => {
        const found = records.of(zoneOf(call)).find(({ id }) => id === call.params.id)
        if (found === undefined) return failed(404, 'Not Found', 'Record not found.')
        records.remove(found.zone, found.id)
        return { status: 200, body: shown(found) }
      },
    },
    call => {
      noBody(call)
      if (call.headers.authorization !== `Basic ${Buffer.from(`${user}:${token}`).toString('base64')}`)
        throw new Refused(failed(401, 'Unauthorized', 'Invalid email or token.'))
    },
  )
  return stageOf(server, records, { path: '/v1', variables: { LUADNS_API_USERNAME: user, LUADNS_API_TOKEN: token } })
}
