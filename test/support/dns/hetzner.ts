import assert from 'node:assert/strict'
import type { Test } from 'tap'
import {
  absolute,
  type Call,
  FakeSets,
  fakeZones,
  jsonBody,
  noBody,
  onlyQuery,
  page,
  Refused,
  type Reply,
  type SetFake,
  serveFake,
  stageOfSets,
} from './fake.js'

const token = 'hcloud0123456789abcdef0123456789abcdef0123456789abcdef0123456789'

interface Action {
  readonly id: number
  readonly zone: string
  readonly command: string
  status: 'running' | 'success' | 'error'
  looks: number
  readonly apply: () => void
}

export interface HetznerFake extends SetFake {
  /** The next action ends with this error. */
  failNextAction(message: string): void
}

const failed = (status: number, code: string, message: string): Reply => ({ status, body: { error: { code, message, details: null } } })

/** https://docs.hetzner.cloud/reference/cloud: a write is an action that is seen when it has ended, and locks its zone until then. */
export async function fakeHetzner(t: Test): Promise<HetznerFake> {
  const sets = new FakeSets(true)
  const actions: Action[] = []
  let failure: string | undefined
  const ids = new Map(fakeZones.map((name, i) => [name, 53091 + i]))
  const zoneOf = ({ params }: Call): string => {
    const zone = fakeZones.find(name => name === params.zone || String(ids.get(name)) === params.zone)
    if (zone === undefined) throw new Refused(failed(404, 'not_found', 'Zone not found'))
    return zone
  }
  const shownAction = ({ id, zone, command, status, looks }: Action) => ({
    id,
    status,
    command,
    progress: status === 'running' ? looks * 30 : 100,
    started: '2026-01-13T14:17:12Z',
    finished: status === 'running' ? null : '2026-01-13T14:17:14Z',
    error: status === 'error' ? { code: 'action_failed', message: failure } : null,
    resources: [{ id: ids.get(zone), type: 'zone' }],
  })
  const end = (action: Action) => {
    action.status = failure === undefined ? 'success' : 'error'
    if (failure === undefined) action.apply()
  }
  const begin = (zone: string, command: string, apply: () => void): Reply => {
    const action: Action = { id: 604989101982596 + actions.length, zone, command, status: 'running', looks: 0, apply }
    actions.push(action)
    return { status: 201, body: { action: shownAction(action) } }
  }
  const unlocked = (zone: string) => {
    const running = actions.find(action => action.zone === zone && action.status === 'running')
    if (running === undefined) return
    end(running)
    throw new Refused(failed(423, 'locked', 'zone is locked because there is a running action'))
  }
  const valuesOf = (records: unknown): string[] => {
    assert.ok(Array.isArray(records) && records.length > 0)
    return records.map(record => {
      assert.deepEqual(Object.keys(record), ['value'])
      if (!/^".*"$/s.test(record.value)) throw new Refused(failed(422, 'invalid_input', 'invalid TXT record value: must be quoted'))
      return record.value
    })
  }
  const server = await serveFake(
    t,
    {
      'GET /v1/zones': call => {
        onlyQuery(call, ['page', 'per_page'])
        const size = Number(call.query.get('per_page') ?? 25)
        assert.ok(size <= 50)
        const number = Number(call.query.get('page') ?? 1)
        const { items, pages } = page(fakeZones, number, size)
        const pagination = {
          page: number,
          per_page: size,
          previous_page: null,
          next_page: number < pages ? number + 1 : null,
          last_page: pages,
        }
        return { status: 200, body: { zones: items.map(name => ({ id: ids.get(name), name, mode: 'primary' })), meta: { pagination } } }
      },
      'GET /v1/zones/actions/:id': call => {
        const action = actions.find(({ id }) => String(id) === call.params.id)
        if (action === undefined) return failed(404, 'not_found', 'action not found')
        action.looks += 1
        if (action.status === 'running' && action.looks > 2) end(action)
        return { status: 200, body: { action: shownAction(action) } }
      },
      'GET /v1/zones/:zone': call => {
        const name = zoneOf(call)
        return { status: 200, body: { zone: { id: ids.get(name), name, mode: 'primary', ttl: 86400, status: 'ok' } } }
      },
      'GET /v1/zones/:zone/rrsets': call => {
        onlyQuery(call, ['type', 'name'])
        assert.equal(call.query.get('type'), 'TXT')
        const name = call.query.get('name') ?? ''
        const set = sets.get(absolute(name, zoneOf(call)))
        const rrsets =
          set === undefined
            ? []
            : [{ id: `${name}/TXT`, name, type: 'TXT', ttl: set.ttl, records: set.values.map(value => ({ value, comment: '' })) }]
        return { status: 200, body: { rrsets, meta: { pagination: { page: 1, next_page: null, last_page: 1 } } } }
      },
      'POST /v1/zones/:zone/rrsets/:name/TXT/actions/add_records': call => {
        const zone = zoneOf(call)
        unlocked(zone)
        const name = absolute(call.params.name ?? '', zone)
        const set = sets.get(name)
        const { ttl, records } = jsonBody(call, 'ttl' in JSON.parse(call.body) ? ['ttl', 'records'] : ['records'])
        const values = valuesOf(records)
        assert.ok(set !== undefined || typeof ttl === 'number')
        if (typeof ttl === 'number' && ttl < 60) throw new Refused(failed(422, 'invalid_input', 'ttl must be at least 60'))
        if (set !== undefined && ttl !== undefined && ttl !== set.ttl)
          throw new Refused(failed(422, 'invalid_input', 'ttl differs from the one of the RRSet'))
        if (values.some(value => set?.values.includes(value))) throw new Refused(failed(422, 'invalid_input', 'record already exists'))
        return begin(zone, 'add_rrset_records', () =>
          sets.set(name, [...(sets.get(name)?.values ?? []), ...values], set?.ttl ?? Number(ttl)),
        )
      },
      'POST /v1/zones/:zone/rrsets/:name/TXT/actions/remove_records': call => {
        const zone = zoneOf(call)
        unlocked(zone)
        const name = absolute(call.params.name ?? '', zone)
        const values = valuesOf(jsonBody(call, ['records']).records)
        const set = sets.get(name)
        if (set === undefined) throw new Refused(failed(404, 'not_found', 'RRSet not found'))
        return begin(zone, 'remove_rrset_records', () =>
          sets.set(
            name,
            set.values.filter(value => !values.includes(value)),
            set.ttl,
          ),
        )
      },
    },
    call => {
      noBody(call)
      if (call.headers.authorization !== `Bearer ${token}`)
        throw new Refused(failed(401, 'unauthorized', 'the token you have provided is invalid'))
    },
  )
  return {
    ...stageOfSets(server, sets, { path: '/v1', variables: { HETZNER_API_TOKEN: token } }),
    failNextAction(message) {
      failure = message
    },
  }
}
