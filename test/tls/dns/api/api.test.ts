import t, { type Test } from 'tap'
import { type ApiOptions, openApi } from '../../../../src/tls/dns/api/api.js'
import type { DnsContext } from '../../../../src/tls/dns/provider.js'
import { StaleSet, setAccount } from '../../../../src/tls/dns/records/sets.js'
import { refusal } from '../../../contracts/dns-provider.js'
import { type ApiHandler, startApi } from '../../../support/dns-api.js'

const now = Date.parse('2026-11-22T12:00:00Z')

function contextFor(baseUrl: string | undefined, waitsMs: number[]): DnsContext {
  return {
    setting: () => 'the-secret-token',
    named: (...names) => names.join(' and '),
    redact: text => text.replaceAll('the-secret-token', '[hidden]'),
    baseUrl,
    ttlSeconds: 60,
    httpTimeoutMs: 5000,
    now: () => now,
    delay: async ms => void waitsMs.push(ms),
    signal: new AbortController().signal,
    tell: () => {},
  }
}

async function start(t: Test, handler: ApiHandler, options: Partial<ApiOptions> = {}) {
  const fake = await startApi(t, handler)
  const waitsMs: number[] = []
  const api = openApi(contextFor(`${fake.url}/base/`, waitsMs), {
    base: 'https://api.example.com/never/asked',
    headers: () => ({ authorization: 'Bearer the-secret-token' }),
    credentials: ['EX_TOKEN'],
    ...options,
  })
  return { fake, waitsMs, api }
}

/** Answers with these statuses, one after the other, the last for ever. */
const statuses = (...list: readonly number[]): ApiHandler => {
  let at = 0
  return () => ({ status: list[Math.min(at++, list.length - 1)] ?? 500, json: { message: 'as told' } })
}

t.test('what can be done twice is tried again after any 5xx; what cannot, only where the API says that it did nothing', async t => {
  const calls = async (method: string, status: number, idempotent?: boolean) => {
    const { api, fake } = await start(t, statuses(status, 200))
    await api.send(method, '/x', idempotent === undefined ? {} : { idempotent }).catch(() => undefined)
    return fake.calls.length
  }
  t.equal(await calls('GET', 500), 2)
  t.equal(await calls('DELETE', 502), 2)
  t.equal(await calls('POST', 500), 1)
  t.equal(await calls('PATCH', 500), 1)
  t.equal(await calls('POST', 500, true), 2)
  t.equal(await calls('POST', 429), 2)
  t.equal(await calls('POST', 503), 2)
  t.equal(await calls('GET', 404), 1)
})

t.test('it gives up after five attempts, and says what the last answer was', async t => {
  const { api, fake } = await start(t, statuses(503))
  const error = await refusal(api.send('GET', '/zones'))
  t.equal(fake.calls.length, 5)
  t.match(error.detail, /^GET 127\.0\.0\.1:\d+\/base\/zones answers 503: as told$/)
})

t.test('Retry-After is obeyed as seconds and as a date', async t => {
  const { api, waitsMs } = await start(t, () => ({ status: 200, json: {} }))
  const { api: dated, waitsMs: datedWaits, fake } = await start(t, () => ({ status: 200, json: {} }))
  fake.fault({ times: 1, answer: () => ({ status: 429, headers: { 'retry-after': 'Sun, 22 Nov 2026 12:00:09 GMT' } }) })
  await dated.send('GET', '/')
  t.same(datedWaits, [9000])
  await api.send('GET', '/')
  t.same(waitsMs, [])
})

t.test('requests leave no faster than the API allows', async t => {
  const { api, waitsMs } = await start(t, () => ({ status: 200, json: {} }), { perSecond: 4 })
  await Promise.all([1, 2, 3, 4].map(() => api.send('GET', '/')))
  t.same(waitsMs, [250, 500, 750])
})

t.test('a query is sent and shown nowhere; a body is JSON, a form or text', async t => {
  const { api, fake } = await start(t, () => ({ status: 400, json: { errors: [{ message: 'first' }, { message: 'second' }] } }))
  const error = await refusal(api.send('POST', '/a', { query: { q: 'secret-in-query', none: undefined }, form: { a: 'b c' } }))
  t.match(error.detail, 'first; second')
  t.notMatch(error.message, 'secret-in-query')
  await api.send('POST', '/b', { json: { a: 1 }, accept: [400] })
  await api.send('POST', '/c', { text: '<a/>', contentType: 'application/xml', accept: [400] })
  t.same(
    fake.calls.map(({ url, headers, body }) => [url.pathname + url.search, headers['content-type'], body]),
    [
      ['/base/a?q=secret-in-query', 'application/x-www-form-urlencoded', 'a=b+c'],
      ['/base/b', 'application/json', '{"a":1}'],
      ['/base/c', 'application/xml', '<a/>'],
    ],
  )
})

t.test('an answer without end is not read to its end', async t => {
  const { api } = await start(t, () => ({ status: 200, body: 'x'.repeat(9 * 1024 * 1024) }))
  t.match((await refusal(api.send('POST', '/'))).detail, 'more than 8 MB')
})

t.test('a credential that no header can carry is said, not sent', async t => {
  const { api, fake } = await start(t, () => ({ status: 200 }), { headers: () => ({ authorization: 'Bearer a\nb: c' }) })
  const error = await refusal(api.send('GET', '/'))
  t.equal(error.code, 'dns_credentials_refused')
  t.match(error.detail, 'EX_TOKEN')
  t.same(fake.calls, [])
})

t.test('where whole sets are written, what somebody else writes in between is neither lost nor lets ours be lost', async t => {
  const zone = { id: 'z', name: 'example.com' }
  const [name, value] = ['_acme-challenge.example.com', 'ours']
  let values = new Set(['foreign'])
  let version = 1
  let reads = 0
  const account = setAccount<number>(contextFor(undefined, []), 'test', {
    async read() {
      const seen = { values: new Set(values), stored: version }
      reads++
      // somebody else writes after our first look, and again after our second write
      if (reads === 1) {
        values.add('later')
        version++
      } else if (reads === 3) {
        values = new Set(['foreign', 'later'])
        version++
        seen.values = new Set(values)
        seen.stored = version
      }
      return seen
    },
    async write(_, [change]) {
      if (change?.before?.stored !== version) throw new StaleSet()
      values = new Set(change.values)
      version++
    },
  })
  await account.add(zone, [{ name, value }])
  t.same([...values].sort(), ['foreign', 'later', 'ours'])
  await account.remove(zone, [{ name, value }])
  t.same([...values].sort(), ['foreign', 'later'])
})

t.test('a list that always promises one more page comes to an end', { timeout: 300_000 }, async t => {
  const { api, fake } = await start(t, () => ({ status: 200, json: { next: 'more' } }))
  const readAll = async () => {
    for (let page = 1; ; page += 20)
      await Promise.all(Array.from({ length: 20 }, (_, i) => api.send('GET', '/zones', { query: { page: page + i } })))
  }
  const error = await refusal(readAll())
  t.equal(error.code, 'dns_provider_failed')
  t.match(error.detail, 'as if its list had no end')
  t.equal(fake.calls.length, 2000)
})
