import { readdirSync, readFileSync } from 'node:fs'
import type { Test } from 'tap'
import { compilePointers } from '../../src/lib/json-scan.js'
import { streamOptionsPointers } from '../../src/lib/json-splice.js'
import {
  checkPath,
  formatAuthScheme,
  matchEndpoint,
  matchUnderPrefix,
  ownershipOf,
  parseAuthScheme,
  reservedNames,
} from '../../src/providers/index.js'
import type { Dialect, Endpoint, Provider, Usage } from '../../src/providers/provider.js'
import type { List } from '../../src/providers/resources/resource.js'
import { readPage } from '../../src/relay/owned/owned-list.js'

/** A reply as its provider documents it, and what was consumed by it. */
export interface UsageFixture {
  readonly name: string
  readonly provider: string
  /** `METHOD /path`. */
  readonly endpoint: string
  readonly contentType: string
  readonly body: string
  /** Null: the reply tells nothing in model tokens. */
  readonly usage: Usage | null
  readonly model: string | null
  /** What the request named, where it matters to the price. */
  readonly asked?: string
  /** What the call costs by the provider's price page, worked out by hand: counts times dollars per million of them, which are micro-dollars each. */
  readonly cost?: string
}

const folder = 'test/fixtures/usage'

export const usageFixtures: readonly UsageFixture[] = readdirSync(folder).map(file => ({
  ...(JSON.parse(readFileSync(`${folder}/${file}`, 'utf8')) as Omit<UsageFixture, 'name'>),
  name: file.replace('.json', ''),
}))

/** A path the pattern stands for. */
export function samplePath(pattern: string, rest = '/thing'): string {
  return pattern
    .replace(/\{model\+?\}/, 'some-model')
    .replace(/\/\*\*$/, rest)
    .replaceAll('*', 'x1')
}

const method = (endpoint: Endpoint) => (endpoint.method === '*' ? 'POST' : endpoint.method)

/** The sign of East Asian width that is folded into this one (U+FF01 to U+FF5E). */
const fullwidth = (sign: string) => String.fromCharCode(sign.charCodeAt(0) + 0xfee0)

/** Spellings of a path that some server may take for it. */
function disguises(path: string): string[] {
  const letter = path.search(/[a-z]{3}/) + 1
  const encoded = `%${path.charCodeAt(letter).toString(16)}`
  return [
    path.toUpperCase(),
    `${path}/`,
    path.replaceAll('/', '//'),
    path.slice(0, letter) + encoded + path.slice(letter + 1),
    path.slice(0, letter) + encoded.replace('%', '%25') + path.slice(letter + 1),
    path[0] + path.slice(1).replaceAll('/', '%2F'),
    path[0] + path.slice(1).replaceAll('/', '%2f'),
    `${path};jsessionid=1`,
    `${path}%3b`,
    `${path}%3Fx`,
    `${path}.`,
    `${path}%20`,
    `${path.replace(/(.)\//, '$1%2e/')}`,
    path.slice(0, letter) + encodeURIComponent(fullwidth(path[letter] as string)) + path.slice(letter + 1),
    `/${path.slice(1).replaceAll('/', encodeURIComponent(fullwidth('/')))}`,
  ]
}

function testEndpoints(t: Test, provider: Provider): void {
  for (const endpoint of provider.endpoints) {
    t.match(endpoint.pattern, /^\/[A-Za-z0-9_\-./:*{}+]*$/)
    t.match(endpoint.method, /^(?:[A-Z]+|\*)$/)
    t.doesNotThrow(() => compilePointers(endpoint.models.flatMap(place => (place.in === 'json' ? [place.pointer] : []))), endpoint.pattern)
    const inPath = endpoint.models.some(place => place.in === 'path')
    t.equal(inPath, /\{model\+?\}/.test(endpoint.pattern), `${endpoint.pattern} says where its model stands`)
  }
}

/** Everything that is looked for in one body has to fit into one scan. */
function testOwnership(t: Test, provider: Provider): void {
  for (const endpoint of provider.endpoints) {
    if (!endpoint.owns) continue
    const dialect = endpoint.dialect ?? provider.dialect
    const plan = ownershipOf(endpoint)
    const models = endpoint.models.flatMap(place => (place.in === 'json' ? [place.pointer] : []))
    const stream = dialect.streamPointer ? [dialect.streamPointer] : []
    const others = [...dialect.maxOutputPointers, ...dialect.choicesPointers, ...streamOptionsPointers, ...(endpoint.countsText ?? [])]
    const title = `${endpoint.method} ${endpoint.pattern}`
    t.doesNotThrow(() => compilePointers([...models, ...stream, ...others, ...(plan?.pointers ?? [])]), title)
    for (const way of endpoint.owns.ways) {
      t.doesNotThrow(() => compilePointers((way.makes ?? []).flatMap(({ at }) => (at.startsWith('/') ? [at] : []))), title)
      if (way.lists) t.doesNotThrow(() => readPage(way, way.lists as List, Buffer.from('{}')), title)
      if (endpoint.owns.root !== undefined) t.match(way.spec, /^(?:[A-Z]+|\*) \//, title)
    }
  }
}

function testClosed(t: Test, provider: Provider): void {
  for (const endpoint of provider.endpoints) {
    if (endpoint.class === 'inference') continue
    const paths = endpoint.pattern.endsWith('/**')
      ? [samplePath(endpoint.pattern, ''), samplePath(endpoint.pattern)]
      : [samplePath(endpoint.pattern)]
    for (const path of paths.filter(path => path !== '')) {
      for (const spelling of [path, ...disguises(path)]) {
        if (checkPath(spelling) !== undefined) continue
        const found = matchEndpoint(provider, method(endpoint), spelling)
        if (found.kind === 'new' || found.endpoint.class === 'inference') t.fail(`${spelling} is open`)
        const below = matchUnderPrefix(provider, '/gateway/v1', method(endpoint), spelling)
        if (below.kind === 'new' || below.endpoint.class === 'inference') t.fail(`${spelling} is open below a prefix`)
      }
    }
  }
}

function testOpen(t: Test, provider: Provider): void {
  for (const endpoint of provider.endpoints) {
    if (endpoint.class !== 'inference') continue
    const path = samplePath(endpoint.pattern)
    const found = matchEndpoint(provider, method(endpoint), path)
    t.ok(found.kind === 'endpoint' && found.endpoint.class === 'inference', `${method(endpoint)} ${path}`)
    if (/\{model\+?\}/.test(endpoint.pattern) && found.kind === 'endpoint') t.equal(found.model, 'some-model')
  }
}

function testDialect(t: Test, dialect: Dialect): void {
  const body = dialect.errorBody({ status: 429, code: 'rate_limited', message: 'Slow down.', requestId: 'call_1' })
  const text = JSON.stringify(body)
  t.match(text, 'Slow down.')
  t.match(text, /rate_limited|rate_limit_error|RESOURCE_EXHAUSTED/i, 'an error says what kind it is')
  t.doesNotThrow(() => compilePointers(dialect.maxOutputPointers))
  for (const nothing of [
    undefined,
    null,
    7,
    'x',
    [],
    {},
    { usage: null },
    { usage: 'x' },
    { usage: {} },
    { usageMetadata: null },
    { message: 7 },
  ]) {
    const known: Usage = { ...emptyUsage, inputTokens: 3, outputTokens: 4 }
    const after = dialect.readUsage(nothing, known)
    t.match(after, { inputTokens: 3, outputTokens: 4 }, 'what says nothing takes nothing back')
  }
}

const emptyUsage: Usage = {
  inputTokens: 0,
  outputTokens: 0,
  cachedInputTokens: 0,
  cacheWriteInputTokens: 0,
  reasoningTokens: 0,
  audioInputTokens: 0,
  audioOutputTokens: 0,
}

/** What every provider's row keeps. */
export function testProvider(t: Test, provider: Provider): void {
  const { id } = provider
  t.test(`${id}: whatever its calls may name can be looked for`, async t => testOwnership(t, provider))
  t.test(`${id}: its name is a first path segment that is not ours`, async t => {
    t.match(id, /^[a-z][a-z0-9-]+$/)
    t.notOk(reservedNames.has(id))
  })
  t.test(`${id}: its origin is an origin, and its credential travels in a way that can be written down`, async t => {
    t.equal(new URL(provider.origin).origin, provider.origin)
    t.same(parseAuthScheme(formatAuthScheme(provider.auth)), provider.auth)
    for (const name of [...Object.keys(provider.defaultHeaders), ...provider.dropRequestHeaders, ...provider.dropResponseHeaders]) {
      t.equal(name, name.toLowerCase())
    }
  })
  t.test(`${id}: asking about a key has an answer for a good one and for a bad one, never for both`, async t => {
    const check = provider.keyCheck
    if (!check) return
    t.match(check.path, /^\//)
    t.ok(check.works.length > 0 && check.refused.length > 0)
    const all = [...check.works, ...check.restricted, ...check.refused]
    const twice = all.filter((status, at) => all.indexOf(status) !== at)
    for (const status of twice) t.notOk(provider.keyRefused(status, ''), `${status} is told by the body`)
    t.ok(check.works.length + check.refused.length > twice.length * 2)
  })
  t.test(`${id}: where it says that it speaks to other SDKs, what they call first is open, in their dialect`, async t => {
    const open = (path: string) => {
      const found = matchEndpoint(provider, 'POST', path)
      return found.kind === 'endpoint' && found.endpoint.class === 'inference' ? (found.endpoint.dialect ?? provider.dialect) : undefined
    }
    const { compatiblePath, messagesPath } = provider
    if (compatiblePath !== undefined) {
      const first = ['/chat/completions', '/responses', '/embeddings'].map(path => open(compatiblePath + path)).find(dialect => dialect)
      t.ok(first, compatiblePath)
      t.ok(first?.usageMembers.includes('usage'), 'usage is read as OpenAI states it')
    }
    if (messagesPath !== undefined) t.equal(open(`${messagesPath}/messages`)?.name, 'anthropic')
  })
  t.test(`${id}: its hosts are told apart by what a path begins with`, async t => {
    const { hosts = [], baseUrl } = provider
    for (const { prefix, origin } of hosts) {
      t.match(prefix, /^(?:\/[a-z0-9._-]+)+$/)
      t.equal(new URL(origin).origin, origin)
      t.ok(
        provider.endpoints.some(endpoint => endpoint.pattern.startsWith(`${prefix}/`)),
        `${prefix} is in some row`,
      )
    }
    t.equal(new Set(hosts.map(host => host.prefix)).size, hosts.length)
    if (baseUrl) t.match(baseUrl.note, /[.]$/)
  })
  t.test(`${id}: its rows are well formed`, async t => testEndpoints(t, provider))
  t.test(`${id}: what is closed is closed in every spelling`, async t => testClosed(t, provider))
  t.test(`${id}: what is open is not closed by another row`, async t => testOpen(t, provider))
  t.test(`${id}: its dialect words errors and reads no usage out of nothing`, async t => {
    for (const dialect of new Set([provider.dialect, ...provider.endpoints.flatMap(endpoint => endpoint.dialect ?? [])]))
      testDialect(t, dialect)
  })
}
