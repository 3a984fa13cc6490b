import t from 'tap'
import { rulesOf } from '../../../src/access/rules.js'
import { compilePointers, scanJson } from '../../../src/lib/json-scan.js'
import { type OwnershipPlan, ownershipOf } from '../../../src/providers/index.js'
import { openai } from '../../../src/providers/openai.js'
import type { Endpoint } from '../../../src/providers/provider.js'
import type { Exchange } from '../../../src/relay/exchange.js'
import { createChooser } from '../../../src/relay/keys/choose.js'
import { createRests, type Rests } from '../../../src/relay/keys/rests.js'
import { newRivals } from '../../../src/relay/keys/rivals.js'
import { namedIn } from '../../../src/relay/owned/owned.js'
import type { KeyRecord, RestRecord } from '../../../src/stores/records.js'
import { aGrant, aKey } from '../../support/records.js'
import { until } from '../../support/until.js'

const silent = { debug() {} }

function makeRests(now: () => number, stored: RestRecord[] = []): Rests & { readonly written: RestRecord[] } {
  const written: RestRecord[] = []
  const store = {
    putRests: (rests: readonly RestRecord[]) => void written.push(...rests),
    listRests: (at: number) => stored.filter(rest => rest.untilMs > at),
    getKey: () => undefined,
  }
  const rests = createRests({ store, log: silent, now, random: () => 0.5 })
  return Object.create(rests, { written: { value: written } })
}

const responsesEndpoint = openai.endpoints.find(({ pattern }) => pattern === '/v1/responses') as Endpoint

/** As much of a call as a choice looks at. */
function aCall(body: unknown = { model: 'gpt-4o' }, fields: Partial<Exchange> = {}): Exchange {
  const bytes = Buffer.from(JSON.stringify(body))
  const call = { path: '/v1/chat/completions', query: '' }
  const inspected = { body: bytes, original: bytes, injectedUsage: false }
  const plan = ownershipOf(responsesEndpoint) as OwnershipPlan
  const scan = scanJson(bytes, compilePointers(plan.pointers))
  const named = scan.ok ? namedIn(plan, scan.found, bytes, rulesOf(aGrant())) : undefined
  return { call, endpoint: responsesEndpoint, provider: openai, model: 'gpt-4o', inspected, named, ...fields } as unknown as Exchange
}

function choices(keys: readonly KeyRecord[], rounds: number, rests = makeRests(() => 1)): string[] {
  const chooser = createChooser(rests)
  return Array.from({ length: rounds }, () => chooser.first(aCall(), newRivals(keys)).id)
}

const countOf = (ids: readonly string[], key: KeyRecord) => ids.filter(id => id === key.id).length

t.test('over as many calls as the weights add up to, each key gets exactly its part, as evenly spread as can be', async t => {
  const [a, b, c] = [aKey({ weight: 5 }), aKey({ weight: 1 }), aKey({ weight: 1 })]
  const ids = choices([a, b, c], 700)
  for (let round = 0; round < 700; round += 7) {
    const part = ids.slice(round, round + 7)
    t.strictSame(
      [a, b, c].map(key => countOf(part, key)),
      [5, 1, 1],
    )
  }
  t.strictSame(
    ids.slice(0, 7).map(id => [a, b, c].findIndex(key => key.id === id)),
    [0, 0, 1, 0, 2, 0, 0],
    'not five in a row',
  )
})

t.test('a key of weight 0 is used only when no other can be', async t => {
  const [a, spare] = [aKey(), aKey({ weight: 0 })]
  t.equal(countOf(choices([spare, a], 100), spare), 0)
  const rests = makeRests(() => 1)
  rests.rest(a, 'gpt-4o', 429, 10_000)
  t.equal(countOf(choices([spare, a], 10, rests), spare), 10)
})

t.test("a user's own key comes before the tenant's, whatever the weights, unless it rests", async t => {
  const [tenants, own] = [aKey({ weight: 1000 }), aKey({ user: 'u1', weight: 1 })]
  t.equal(countOf(choices([tenants, own], 50), own), 50)
  const rests = makeRests(() => 1)
  rests.rest(own, 'gpt-4o', 429, 10_000)
  t.equal(countOf(choices([tenants, own], 50, rests), own), 0)
  t.equal(countOf(choices([tenants, { ...own, spentAtMs: 1 }], 50), own), 0)
  t.equal(countOf(choices([tenants, { ...own, rejectedAtMs: 1 }], 50), own), 0)
})

t.test('where every key rests the one that wakes first is asked, and no other after it', async t => {
  const [a, b, spent, rejected] = [aKey(), aKey(), aKey({ spentAtMs: 1 }), aKey({ rejectedAtMs: 1 })]
  const rests = makeRests(() => 1)
  rests.rest(a, 'gpt-4o', 429, 20_000)
  rests.rest(b, 'gpt-4o', 429, 10_000)
  const chooser = createChooser(rests)
  const first = (keys: readonly KeyRecord[]) => chooser.first(aCall(), newRivals(keys))
  t.equal(first([rejected, spent, a, b]), b)
  t.equal(first([rejected, spent]), spent)
  t.equal(chooser.other(aCall(), [a, b, spent, rejected]), undefined)
  t.equal(chooser.other(aCall(), []), undefined)
})

t.test('a rest is for one model; another model still gets the key', async t => {
  const [a, b] = [aKey(), aKey()]
  const rests = makeRests(() => 1)
  rests.rest(a, 'gpt-4o', 429, 10_000)
  const chooser = createChooser(rests)
  const ids = (model: string) => Array.from({ length: 4 }, () => chooser.first(aCall({ model }, { model }), newRivals([a, b])).id)
  t.equal(countOf(ids('gpt-4o'), a), 0)
  t.equal(countOf(ids('gpt-4o-mini'), a), 2)
})

t.test('what belongs to one account stays with the first key', async t => {
  const keys = [aKey(), aKey()]
  const chooser = createChooser(makeRests(() => 1))
  const pinned = (exchange: Exchange) => {
    const rivals = newRivals(keys)
    const chosen = Array.from({ length: 4 }, () => chooser.first(exchange, rivals).id)
    return rivals.pinned && countOf(chosen, keys[0] as KeyRecord) === 4
  }
  const account = openai.endpoints.find(row => row.class === 'account')
  for (const [title, exchange] of Object.entries({
    'a stored response': aCall({ model: 'gpt-4o', previous_response_id: 'resp_1' }),
    'a conversation': aCall({ model: 'gpt-4o', conversation: { id: 'conv_1' } }),
    'an uploaded file': aCall({ model: 'gpt-4o', input: [{ role: 'user', content: [{ type: 'input_file', file_id: 'file-1' }] }] }),
    'a vector store': aCall({ model: 'gpt-4o', tools: [{ type: 'file_search', vector_store_ids: ['vs_1'] }] }),
    'a fine-tuned model': aCall({}, { model: 'ft:gpt-4o:acme::1' }),
    'an account call': aCall({}, { endpoint: account }),
    'a call that no row knows': aCall({}, { endpoint: undefined }),
    'an id in the query': aCall({}, { call: { ...aCall().call, query: '?thread_id=1' } }),
  }))
    t.ok(pinned(exchange), title)
  for (const [title, exchange] of Object.entries({
    'a plain call': aCall(),
    'none, said so': aCall({ model: 'gpt-4o', previous_response_id: null, conversation: null }),
    'a tool whose parameter is called so': aCall({
      tools: [{ function: { parameters: { properties: { file_id: { type: 'string' } } } } }],
    }),
  }))
    t.notOk(pinned(exchange), title)
})

t.test('without a word from the provider a key rests 1, 2, 4 … 60 seconds, and anew after it worked', async t => {
  let now = 1_000_000
  const rests = makeRests(() => now)
  const key = aKey()
  const lengths: number[] = []
  for (let i = 0; i < 9; i++) {
    rests.rest(key, 'm', 429, undefined)
    lengths.push((rests.until(key, 'm') - now) / 1000)
    now = rests.until(key, 'm')
    t.equal(rests.until(key, 'm'), 0, 'over')
  }
  t.strictSame(lengths, [1, 2, 4, 8, 16, 32, 60, 60, 60])
  rests.worked(key, 'm', now)
  rests.rest(key, 'm', 429, undefined)
  t.equal(rests.until(key, 'm') - now, 1000)
})

t.test('two hundred calls that fail together make one rest; one that began before it does not end it', async t => {
  let now = 1_000_000
  const rests = makeRests(() => now)
  const key = aKey()
  for (let i = 0; i < 200; i++) rests.rest(key, 'm', 429, undefined)
  t.equal(rests.until(key, 'm'), now + 1000)
  now += 10
  rests.worked(key, 'm', 1_000_000 - 5)
  t.equal(rests.until(key, 'm'), 1_001_000)
  rests.worked(key, 'm', now)
  t.equal(rests.until(key, 'm'), 0)
})

t.test('a stated time is kept to, the longer one of two, and a day at most', async t => {
  let now = 1_000_000
  const rests = makeRests(() => now)
  const key = aKey()
  rests.rest(key, 'm', 429, 20_000)
  rests.rest(key, 'm', 429, 5000)
  t.equal(rests.until(key, 'm'), now + 20_000)
  rests.rest(key, 'm', 429, 30_000)
  t.equal(rests.until(key, 'm'), now + 30_000)
  rests.rest(key, 'm', 429, 1e12)
  t.equal(rests.until(key, 'm'), now + 86_400_000)
  now += 86_400_000
  t.equal(rests.until(key, 'm'), 0)
})

t.test('a rest is over when the operator wakes the key or gives it another value', async t => {
  const rests = makeRests(() => 1000)
  const key = aKey()
  rests.rest(key, 'm', 429, 60_000)
  t.equal(rests.until(key, 'm'), 61_000)
  t.equal(rests.until({ ...key, wokenAtMs: 1001 }, 'm'), 0)
  t.equal(rests.until({ ...key, rotatedAtMs: 1001 }, 'm'), 0)
  t.equal(rests.until({ ...key, wokenAtMs: 900 }, 'm'), 61_000, 'an older one')
})

t.test('rests worth telling are written down, and hold in the next process', async t => {
  const rests = makeRests(() => 1000)
  const key = aKey()
  rests.rest(key, 'short', 429, undefined)
  rests.rest(key, 'long', 429, 60_000)
  await until(() => rests.written.length > 0, 'the rest to be written')
  t.strictSame(rests.written, [{ keyId: key.id, model: 'long', sinceMs: 1000, untilMs: 61_000, status: 429 }])
  const next = makeRests(() => 2000, rests.written)
  t.equal(next.until(key, 'long'), 61_000)
  t.equal(next.until(key, 'short'), 0)
  next.worked(key, 'long', 1500)
  await until(() => next.written.length > 0, 'its end to be written')
  t.match(next.written, [{ model: 'long', untilMs: 0 }])
})

t.test('a store that fails keeps no key from resting', async t => {
  const fails = () => {
    throw new Error('no disk')
  }
  const rests = createRests({
    store: { putRests: fails, listRests: fails, getKey: fails },
    log: silent,
    now: () => 1000,
    random: () => 0.5,
  })
  const key = aKey()
  rests.rest(key, 'm', 429, 60_000)
  t.equal(rests.until(key, 'm'), 61_000)
  await new Promise(resolve => setTimeout(resolve, 400))
  t.equal(rests.until(key, 'm'), 61_000)
})
