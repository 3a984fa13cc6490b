import assert from 'node:assert/strict'
import type { Test } from 'tap'
import { quote, unquote } from '../../../src/tls/dns/records/values.js'
import type { DnsStage } from '../../contracts/dns-provider.js'
import { type ApiAnswer, type FakeApi, startApi } from '../dns-api.js'

/** A request as it arrived. */
export interface Call {
  readonly method: string
  readonly path: string
  readonly query: URLSearchParams
  /** Path and query to the letter: signatures are made over it. */
  readonly target: string
  readonly headers: Readonly<Record<string, string>>
  readonly body: string
  readonly params: Readonly<Record<string, string>>
}

export interface Reply {
  readonly status: number
  /** An object is sent as JSON, a string as it is. */
  readonly body?: unknown
  readonly headers?: Readonly<Record<string, string>>
}

/** `GET /v2/domains/:zone` and who answers it. */
export type Routes = Readonly<Record<string, (call: Call) => Reply>>

/** What an API answers in place of what it was asked for. */
export class Refused extends Error {
  constructor(readonly reply: Reply) {
    super(`refused with ${reply.status}`)
  }
}

/** A provider's API, on a real port. A call it does not know, or that is not to the letter of the provider's documentation, fails the test. */
export interface FakeServer {
  readonly api: FakeApi
  readonly url: string
  /** How often a route was asked for: `POST /zones/:zone/records`. */
  count(route: string): number
  /** The next call of this route gets this answer and changes nothing. May be said several times. */
  answerNext(route: string, reply: Reply): void
  /** Runs right before the next call of this route is answered: what somebody else does in between. */
  before(route: string, act: () => void): void
}

export async function serveFake(t: Test, routes: Routes, check: (call: Call) => void = () => {}): Promise<FakeServer> {
  const counts = new Map<string, number>()
  const planned = new Map<string, Reply[]>()
  const acts = new Map<string, (() => void)[]>()
  const patterns = Object.keys(routes).map(route => ({ route, pattern: patternOf(route) }))

  const answer = (call: Call): Reply => {
    for (const { route, pattern } of patterns) {
      const groups = pattern.exec(`${call.method} ${call.path}`)?.groups
      if (groups === undefined && !pattern.test(`${call.method} ${call.path}`)) continue
      counts.set(route, (counts.get(route) ?? 0) + 1)
      acts.get(route)?.shift()?.()
      const early = planned.get(route)?.shift()
      if (early !== undefined) return early
      const params = Object.fromEntries(Object.entries(groups ?? {}).map(([name, value]) => [name, decodeURIComponent(value)]))
      const matched = { ...call, params }
      check(matched)
      return routes[route]?.(matched) ?? { status: 500 }
    }
    assert.fail(`the API has no ${call.method} ${call.target}`)
  }

  const api = await startApi(t, ({ method, url, headers, body }) => {
    const call = { method, path: url.pathname, query: url.searchParams, target: `${url.pathname}${url.search}`, headers, body, params: {} }
    try {
      return asAnswer(answer(call))
    } catch (error) {
      if (error instanceof Refused) return asAnswer(error.reply)
      t.fail(`${call.method} ${call.target}: ${error instanceof Error ? error.message : String(error)}`)
      return { status: 418, body: 'the fake cannot answer this' }
    }
  })
  const known = (route: string) => assert.ok(route in routes, `the fake has no route ${route}`)
  return {
    api,
    url: api.url,
    count(route) {
      known(route)
      return counts.get(route) ?? 0
    },
    answerNext(route, reply) {
      known(route)
      push(planned, route, reply)
    },
    before(route, act) {
      known(route)
      push(acts, route, act)
    },
  }
}

function asAnswer({ status, body, headers }: Reply): ApiAnswer {
  const more = headers === undefined ? {} : { headers }
  if (typeof body === 'string') return { status, body, headers: { 'content-type': 'text/html', ...headers } }
  return body === undefined ? { status, ...more } : { status, json: body, ...more }
}

/** The body as JSON with exactly these names at its top. */
export function jsonBody(call: Call, names: readonly string[]): Record<string, unknown> {
  assert.match(call.headers['content-type'] ?? '', /^application\/json/)
  const body: unknown = JSON.parse(call.body)
  assert.ok(typeof body === 'object' && body !== null)
  assert.deepEqual(Object.keys(body).sort(), [...names].sort())
  return { ...body }
}

export function formBody(call: Call): URLSearchParams {
  assert.equal(call.headers['content-type']?.split(';')[0], 'application/x-www-form-urlencoded')
  return new URLSearchParams(call.body)
}

export function noBody(call: Call): void {
  if (call.method === 'GET' || call.method === 'DELETE') assert.equal(call.body, '', `${call.method} carries a body`)
}

/** The query has these parameters and no others. */
export function onlyQuery(call: Call, names: readonly string[]): void {
  for (const name of call.query.keys()) assert.ok(names.includes(name), `unknown query parameter ${name}`)
}

export interface FakeRecord {
  readonly id: string
  readonly zone: string
  readonly type: string
  /** Absolute. */
  readonly name: string
  readonly content: string
  readonly ttl: number
}

/** The zones of the fakes: nested ones, and enough to fill more than one page. */
export const fakeZones: readonly string[] = [
  'example.com',
  'sub.example.com',
  'example.net',
  ...Array.from({ length: 60 }, (_, i) => `filler-${String(i).padStart(2, '0')}.test`),
]

/** Records with ids of their own. Every zone has others than TXT, and more TXT records than fit on one page. */
export class FakeRecords {
  #next = 1000
  #records: FakeRecord[] = []

  constructor(
    readonly zones: readonly string[],
    fillers = 120,
  ) {
    for (const zone of zones.slice(0, 3)) {
      this.add({ zone, type: 'A', name: zone, content: '192.0.2.1', ttl: 3600 })
      this.add({ zone, type: 'TXT', name: zone, content: 'v=spf1 -all', ttl: 3600 })
      for (let i = 0; i < fillers; i += 1) this.add({ zone, type: 'TXT', name: `filler-${i}.${zone}`, content: `filler ${i}`, ttl: 3600 })
    }
  }

  add(record: Omit<FakeRecord, 'id'>): FakeRecord {
    const added = { ...record, id: String(this.#next++) }
    this.#records.push(added)
    return added
  }

  remove(zone: string, id: string): boolean {
    const at = this.#records.findIndex(record => record.zone === zone && record.id === id)
    if (at >= 0) this.#records.splice(at, 1)
    return at >= 0
  }

  of(zone: string): FakeRecord[] {
    return this.#records.filter(record => record.zone === zone)
  }

  all(): readonly FakeRecord[] {
    return this.#records
  }

  /** The bare TXT values that name servers answer with, whichever zone they stand in. */
  values(name: string): string[] {
    return this.#records.filter(record => record.type === 'TXT' && record.name === name).map(({ content }) => unquote(content))
  }

  /** A value that somebody else put there. */
  plant(zone: string, name: string, content: string, ttl = 7200): FakeRecord {
    return this.add({ zone, type: 'TXT', name, content, ttl })
  }
}

/** One page out of many, counted from 1. */
export function page<T>(all: readonly T[], number: number, size: number): { items: T[]; pages: number } {
  return { items: all.slice((number - 1) * size, number * size), pages: Math.max(1, Math.ceil(all.length / size)) }
}

export function relative(name: string, zone: string, apex = '@'): string {
  if (name === zone) return apex
  assert.ok(name.endsWith(`.${zone}`), `${name} is not in ${zone}`)
  return name.slice(0, -zone.length - 1)
}

export function absolute(shown: string, zone: string): string {
  if (shown === '' || shown === '@' || shown === zone) return zone
  return shown.endsWith(`.${zone}`) ? shown : `${shown}.${zone}`
}

function push<T>(map: Map<string, T[]>, key: string, value: T): void {
  map.set(key, [...(map.get(key) ?? []), value])
}

function patternOf(route: string): RegExp {
  return new RegExp(`^${route.replaceAll(/[.*+?^$()[\]\\]/g, '\\$&').replaceAll(/:(\w+)/g, '(?<$1>[^/]+)')}$`)
}

/** A provider's API with its records, and the variables that open it. */
export interface DnsFake extends DnsStage {
  readonly server: FakeServer
  readonly api: FakeApi
  readonly baseUrl: string
  readonly records: FakeRecords
  values(name: string): string[]
  put(name: string, value: string): void
}

/** The deepest zone of a fake that holds the name. */
export function zoneOfFake(name: string): string {
  const [zone] = fakeZones.filter(zone => name === zone || name.endsWith(`.${zone}`)).sort((a, b) => b.length - a.length)
  assert.ok(zone !== undefined, `no zone for ${name}`)
  return zone
}

/** What every fake that keeps single records is to a test. */
export function stageOf(
  server: FakeServer,
  records: FakeRecords,
  {
    path = '',
    variables,
    shown = value => value,
  }: { path?: string; variables: Readonly<Record<string, string>>; shown?: (value: string) => string },
): DnsFake {
  return {
    server,
    records,
    api: server.api,
    baseUrl: `${server.url}${path}`,
    variables,
    values: name => records.values(name),
    put: (name, value) => void records.plant(zoneOfFake(name), name, shown(value)),
  }
}

export interface FakeSet {
  /** As the provider stores them. */
  readonly values: readonly string[]
  readonly ttl: number
  readonly version: number
}

/** All TXT values of a name as one set, for APIs that write them so. */
export class FakeSets {
  readonly #sets = new Map<string, FakeSet>()
  #version = 1

  constructor(readonly quoted: boolean) {
    for (const zone of fakeZones.slice(0, 3)) this.put(zone, 'v=spf1 -all')
  }

  get(name: string): FakeSet | undefined {
    return this.#sets.get(name)
  }

  /** Empty values: the set goes. */
  set(name: string, values: readonly string[], ttl: number): void {
    if (values.length === 0) this.#sets.delete(name)
    else this.#sets.set(name, { values, ttl, version: this.#version++ })
  }

  /** The names of a zone, in the order of the alphabet. */
  names(zone: string): string[] {
    return [...this.#sets.keys()].filter(name => zoneOfFake(name) === zone).sort()
  }

  values(name: string): string[] {
    return (this.get(name)?.values ?? []).map(value => (this.quoted ? unquote(value) : value))
  }

  /** A value that somebody else put there. */
  put(name: string, value: string): void {
    const before = this.get(name)
    this.set(name, [...(before?.values ?? []), this.quoted ? quote(value) : value], before?.ttl ?? 7200)
  }
}

export interface SetFake extends Omit<DnsFake, 'records'> {
  readonly sets: FakeSets
}

export function stageOfSets(
  server: FakeServer,
  sets: FakeSets,
  { path = '', variables }: { path?: string; variables: Readonly<Record<string, string>> },
): SetFake {
  return {
    server,
    sets,
    api: server.api,
    baseUrl: `${server.url}${path}`,
    variables,
    values: name => sets.values(name),
    put: (name, value) => sets.put(name, value),
  }
}
