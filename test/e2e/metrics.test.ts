import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { connect } from 'node:net'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import t from 'tap'
import type { Entry } from '../../src/stores/records.js'
import { freshState, writeRecord } from '../../src/tls/life/record.js'
import { find, textCanary } from '../support/canary.js'
import { call, chat, chatAsk, open, rawTls } from '../support/clients.js'
import { launcher, makeHome, runNode } from '../support/daemon.js'
import { parseExposition, type Scraped } from '../support/prometheus.js'
import { aCertificate } from '../support/records.js'
import { anyProvider, endlessSse, json, openaiEvent } from '../support/scripts.js'
import { freshKey } from '../support/stage.js'
import { deferred, until } from '../support/until.js'
import { startUpstream } from '../support/upstream.js'
import { openSocket } from '../support/ws-client.js'
import { startSocketUpstream } from '../support/ws-upstream.js'

const upstream = await startUpstream(anyProvider)
t.teardown(() => upstream.close())
const sockets = await startSocketUpstream(t)
const home = await makeHome(t, { SOAKP_METRICS_LISTEN: '127.0.0.1:0' })
const secret = freshKey('openai')
const { id: keyId } = await home.addKey('openai', { secret, baseUrl: upstream.url })
await home.addKey('xai', { secret: freshKey('xai'), baseUrl: sockets.url })
await home.addKey('our-models', { secret: freshKey('own'), baseUrl: upstream.url })
const who = 'somebody-in-particular@example.test'
const { id: grantId, token } = await home.createToken(['--all', '--name', 'canary-name-of-a-grant', '--subject', who])
const narrow = await home.createToken(['--provider', 'openai', '--models', 'gpt-5*'])
// one that was never issued, and is not tried again soon
const lastError = { type: 'dns_provider_failed', detail: 'canary-in-the-words-of-a-dns-provider', atMs: Date.now() }
await writeRecord(
  join(home.dir, 'certs'),
  aCertificate('never', {}, { ...freshState, attempts: 1, notBeforeMs: Date.now() + 86_400_000, lastError }),
)
const daemon = await home.serve()
const told = () => Number(/"port":(\d+),"msg":"metrics are told"/.exec(daemon.output())?.[1])
await until(() => told() > 0, 'the log to say where metrics are')
const port = told()
const at = `http://127.0.0.1:${port}`

async function scrape(): Promise<{ readonly body: string; readonly scraped: Scraped }> {
  const response = await fetch(`${at}/metrics`)
  const body = await response.text()
  t.equal(response.status, 200)
  t.equal(response.headers.get('content-type'), 'text/plain; version=0.0.4; charset=utf-8')
  return { body, scraped: parseExposition(body) }
}

/** Polls: a page is made at most a few times a second. */
async function scrapeUntil(holds: (scraped: Scraped) => boolean, what: string): Promise<Scraped> {
  let last = await scrape()
  await until(
    async () => {
      last = await scrape()
      return holds(last.scraped)
    },
    what,
    () => last.body,
  )
  return last.scraped
}

/** As the ledger has it, by the names that metrics may show. */
function countsOf(entries: readonly Entry[]) {
  const counts = new Map<string, number>()
  const add = (name: string, number: number) => counts.set(name, (counts.get(name) ?? 0) + number)
  for (const entry of entries) {
    const provider = ['openai', 'xai', 'our-models', 'v1'].includes(entry.provider) ? entry.provider : 'other'
    add(`tokens ${provider} input`, entry.inputTokens)
    add(`tokens ${provider} output`, entry.outputTokens)
    add(`cost ${provider}`, entry.costMicroDollars ?? 0)
    add(`unpriced ${provider}`, entry.costMicroDollars === null && entry.usageSource !== 'none' ? 1 : 0)
    add(`estimated ${provider}`, entry.usageSource === 'estimated' ? 1 : 0)
    if (!entry.final) continue
    add(`calls ${provider} ${entry.outcome}`, 1)
    add(`replies ${provider} ${Math.floor(entry.status / 100)}xx`, 1)
    add(`lasted ${provider}`, 1)
    if (entry.outcome === 'refused' || entry.outcome === 'failed') add(`refusals ${entry.errorCode}`, 1)
  }
  return Object.fromEntries([...counts].filter(([, number]) => number !== 0).sort())
}

function countsIn({ families }: Scraped) {
  const counts: [string, number][] = []
  const take = (family: string, name: (labels: Readonly<Record<string, string>>) => string, factor = 1) => {
    for (const sample of families.get(family)?.samples ?? [])
      if (sample.name === family || sample.name === `${family}_count`)
        counts.push([name(sample.labels), Math.round(sample.value * factor * 1000) / 1000])
  }
  take('soakp_calls_total', ({ provider, outcome }) => `calls ${provider} ${outcome}`)
  take('soakp_replies_total', ({ provider, status }) => `replies ${provider} ${status}`)
  take('soakp_model_tokens_total', ({ provider, direction }) => `tokens ${provider} ${direction}`)
  take('soakp_cost_dollars_total', ({ provider }) => `cost ${provider}`, 1e6)
  take('soakp_unpriced_calls_total', ({ provider }) => `unpriced ${provider}`)
  take('soakp_estimated_calls_total', ({ provider }) => `estimated ${provider}`)
  take('soakp_call_duration_seconds', ({ provider }) => `lasted ${provider}`)
  take('soakp_refusals_total', ({ code }) => `refusals ${code}`)
  return Object.fromEntries(counts.filter(([, number]) => number !== 0).sort(([a], [b]) => (a < b ? -1 : 1)))
}

t.test('what is counted is what the ledger says, after calls of every kind; what has no line is counted as refused', async t => {
  t.equal((await chat(daemon, token)).status, 200)
  t.equal((await chat(daemon, token, { stream: true })).status, 200)
  t.equal((await chat(daemon, token, { path: '/our-models/v1/chat/completions' })).status, 200)
  t.equal((await chat(daemon, token, { path: '/v1/chat/completions', model: 'openai/gpt-4o-mini' })).status, 200)
  t.equal((await chat(daemon, narrow.token)).status, 403, 'a model that is not open')
  t.equal((await chat(daemon, token, { path: '/openai/v1/organization/users' })).status, 403)
  t.equal((await chat(daemon, token, { path: '/not-a-provider-but-a-canary/v1/x' })).status, 404)
  upstream.use(json({ error: { message: 'no', type: 'server_error' } }, 500))
  t.equal((await chat(daemon, token)).status, 500, 'a failure in the words of the provider')
  upstream.use(exchange => exchange.reset())
  t.equal((await chat(daemon, token)).status, 502)
  const more = deferred()
  upstream.use(
    endlessSse(
      at => openaiEvent(`word ${at} `),
      () => more.promise,
    ),
  )
  const left = await open(daemon, chatAsk(token, { stream: true }))
  await once(left, 'data')
  left.destroy()
  const socket = await openSocket(daemon, '/xai/v1/realtime?model=grok-4', { token })
  socket.socket.send('{"type":"x"}')
  await socket.json(0)
  socket.socket.close()
  await socket.closed
  more.resolve()
  upstream.use(anyProvider)
  // these leave no line
  t.equal((await chat(daemon, 'eyJ.nonsense.token')).status, 401)
  t.equal((await call(daemon, { path: '/openai/v1/models' })).status, 401)
  t.equal((await call(daemon, { path: '/admin/nothing' })).status, 404)
  const elsewhere = await rawTls(daemon)
  elsewhere.write('GET /healthz HTTP/1.1\r\nHost: other.example.test\r\nConnection: close\r\n\r\n')
  t.match(await elsewhere.ended, /^HTTP\/1\.1 421 /)
  const garbage = connect(daemon.port, '127.0.0.1').on('error', () => {})
  garbage.end('not a word of TLS\r\n\r\n')
  await once(garbage, 'close')

  await scrapeUntil(scraped => scraped.value('soakp_open_calls') === 0, 'every call to be over')
  const entries = await home.entries()
  const scraped = await scrapeUntil(
    now => [...(now.families.get('soakp_calls_total')?.samples ?? [])].reduce((sum, { value }) => sum + value, 0) === entries.length,
    'every line to be counted',
  )
  const unwritten = { 'refusals token_missing': 1, 'refusals token_invalid': 1, 'refusals not_found': 1, 'refusals misdirected': 1 }
  t.strictSame(countsIn(scraped), Object.fromEntries(Object.entries({ ...countsOf(entries), ...unwritten }).sort()))
  for (const name of ['openai client_gone', 'openai failed', 'openai refused', 'other refused', 'our-models ok', 'xai ok'])
    t.ok(`calls ${name}` in countsIn(scraped), name)
  t.ok((scraped.value('soakp_refused_connections_total') ?? 0) >= 1)
  t.ok((scraped.value('soakp_cost_dollars_total', { provider: 'openai' }) ?? 0) > 0)
})

t.test('what is open is told while it is, and a key that rests', async t => {
  const more = deferred()
  upstream.use(
    endlessSse(
      at => openaiEvent(`word ${at} `),
      () => more.promise,
    ),
  )
  const stream = await open(daemon, chatAsk(token, { stream: true }))
  await once(stream, 'data')
  const socket = await openSocket(daemon, '/xai/v1/realtime?model=grok-4', { token })
  const during = await scrapeUntil(now => now.value('soakp_open_websockets') === 1, 'the socket')
  t.equal(during.value('soakp_open_streams'), 1)
  t.equal(during.value('soakp_open_calls'), 2)
  t.ok((during.value('soakp_client_connections') ?? 0) >= 2)
  stream.destroy()
  socket.socket.close()
  more.resolve()
  upstream.use(json({ error: { message: 'slow down', type: 'requests', code: 'rate_limit_exceeded' } }, 429, [['Retry-After', '60']]))
  t.equal((await chat(daemon, token)).status, 429)
  upstream.use(anyProvider)
  const after = await scrapeUntil(now => now.value('soakp_resting_keys', { provider: 'openai' }) === 1, 'the rest')
  t.equal(after.value('soakp_resting_keys', { provider: 'our-models' }), 0)
  await home.json(['key', 'wake', keyId])
  await scrapeUntil(
    now => now.value('soakp_resting_keys', { provider: 'openai' }) === 0 && now.value('soakp_open_calls') === 0,
    'the rest to be over',
  )
})

t.test('the process, its store and its certificate are told in their units', async t => {
  const { scraped } = await scrape()
  const value = (name: string, labels?: Record<string, string>) => scraped.value(name, labels) ?? Number.NaN
  const [{ labels } = { labels: {} }] = scraped.families.get('soakp_build_info')?.samples ?? []
  t.match(labels, { version: /^\d+\.\d+\.\d+/, node: process.versions.node })
  t.ok(Math.abs(Date.now() / 1000 - value('process_start_time_seconds')) < 3600)
  t.ok(value('process_cpu_seconds_total') > 0.1)
  t.ok(value('process_resident_memory_bytes') > value('nodejs_heap_size_used_bytes'))
  t.ok(value('soakp_event_loop_lag_seconds', { quantile: '1' }) >= value('soakp_event_loop_lag_seconds', { quantile: '0.5' }))
  t.ok(value('soakp_event_loop_lag_seconds_count') > 0)
  t.equal(value('soakp_takes_calls'), 1)
  t.equal(value('soakp_ledger_waiting_entries'), 0)
  t.equal(value('soakp_ledger_oldest_waiting_seconds'), 0)
  t.equal(value('soakp_store_errors_total', { operation: 'entries' }), 0)
  const days = value('soakp_certificate_remaining_seconds', { certificate: 'localhost' }) / 86_400
  t.ok(days > 100 && days < 900, `${days}`)
  t.equal(value('soakp_certificate_concerns', { certificate: 'localhost', level: 'warn' }), 0)
})

t.test('nothing there names a key, a token, a user, a grant or a model, and strangers on the main door learn nothing', async t => {
  const canaries = Object.entries({
    detail: lastError.detail,
    secret,
    token,
    keyId,
    grantId,
    who,
    name: 'canary-name-of-a-grant',
    path: 'not-a-provider-but-a-canary',
  })
  const all = canaries.map(([name, value]) => textCanary(name, value))
  for (const path of ['/metrics', '/readyz', '/healthz', `/metrics?${token}`, `/${token}`]) {
    const response = await fetch(at + path, { headers: { authorization: `Bearer ${token}` } })
    t.strictSame(find(all, Buffer.from(`${JSON.stringify([...response.headers])}${await response.text()}`)), [], path.slice(0, 9))
  }
  t.notMatch((await scrape()).body, /gpt|grok|\b(key|grt|app|call)_[0-9A-Za-z]{20}/)
  t.equal((await call(daemon, { path: '/metrics', token })).status, 404)
  for (const path of ['/readyz', '/healthz']) t.same((await call(daemon, { path })).json(), { status: 'ok' })
})

t.test('the guide explains every number that there is, and none that there is not', async t => {
  const { scraped } = await scrape()
  const [, table = ''] = readFileSync('docs/monitoring.md', 'utf8').split('## What there is')
  const explained = new Set(table.match(/\b(?:soakp|process|nodejs)_[a-z_]+/g))
  t.strictSame([...scraped.families.keys()].sort(), [...explained].sort())
})

t.test('it answers three paths, to GET and HEAD, and to no name that a foreign page could have', async t => {
  const ask = (path: string, method = 'GET') => fetch(at + path, { method })
  t.equal((await ask('/x')).status, 404)
  t.equal((await ask('/openai/v1/models')).status, 404)
  t.equal((await ask('/toString')).status, 404)
  const post = await ask('/metrics', 'POST')
  t.match({ status: post.status, allow: post.headers.get('allow') }, { status: 405, allow: 'GET, HEAD' })
  const head = await ask('/metrics', 'HEAD')
  t.match({ status: head.status, body: await head.text() }, { status: 200, body: '' })
  t.same(await (await ask('/healthz')).json(), { status: 'ok' })
  t.match(await (await ask('/readyz')).json(), {
    status: 'ok',
    store: { status: 'ok' },
    ledger: { waitingEntries: 0, oldestSeconds: 0 },
    calls: { status: 'ok', open: 0, most: 5000, streams: 0, sockets: 0 },
    eventLoop: { lagP99Ms: Number, mostMs: 600_000 },
    certificates: { status: 'fail', each: [{ name: 'never' }, { name: 'localhost', expiresAt: String, failures: 0, concerns: [] }] },
  })
  const named = async (host: string) => Number(/ (\d+) /.exec(await said(`GET /healthz HTTP/1.1\r\nHost: ${host}\r\n\r\n`))?.[1])
  for (const host of ['localhost:1', '127.0.0.1', '10.1.2.3:9464', '[::1]:1', 'soakp:9464']) t.equal(await named(host), 200, host)
  for (const host of ['rebound.example.com', 'localhost.example.com', '127.0.0.1.example.com', 'a b']) t.not(await named(host), 200, host)
})

/** What the door says to these bytes. */
async function said(bytes: string | Buffer): Promise<string> {
  const socket = connect(port, '127.0.0.1').on('error', () => {})
  socket.write(bytes)
  return text(socket).catch(() => '')
}

t.test('a client that sends too much, nothing that makes sense, or reads nothing, keeps no other from its answer', async t => {
  t.match(await said(`GET /metrics HTTP/1.1\r\nHost: x\r\nX: ${'a'.repeat(20_000)}\r\n\r\n`), /^HTTP\/1\.1 431 /)
  t.match(await said(Buffer.alloc(1000, 0xff)), /^HTTP\/1\.1 400 /)
  t.match(await said('GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n'.repeat(20)), /^HTTP\/1\.1 200 .*/)
  const silent = Array.from({ length: 30 }, () => connect(port, '127.0.0.1').on('error', () => {}))
  const deaf = connect(port, '127.0.0.1').on('error', () => {})
  deaf.pause().write('GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n')
  parseExposition((await scrape()).body)
  for (const socket of [...silent, deaf]) socket.destroy()
  t.equal((await chat(daemon, token)).status, 200)
})

t.test('what cannot be listened on is refused at start, with the setting to change', async t => {
  const ran = (listen: string) => runNode([launcher, 'serve', '--port', '0'], { ...home.env, SOAKP_METRICS_LISTEN: listen })
  for (const wrong of ['9464', '127.0.0.1', '127.0.0.1:99999', ':9464', '::1:9464', 'http://127.0.0.1:9464', '127.0.0.1:']) {
    t.match(
      await ran(wrong),
      { code: 78, stderr: /SOAKP_METRICS_LISTEN in the environment is not HOST:PORT such as 127\.0\.0\.1:9464/ },
      wrong,
    )
  }
  t.match(await ran(`127.0.0.1:${port}`), { code: 69, stderr: /in use already.*SOAKP_METRICS_LISTEN/s })
  t.match(await ran('192.0.2.1:9464'), { code: 69, stderr: /SOAKP_METRICS_LISTEN/ })
})

t.test('it tells that the daemon is about to end, and ends with it', async t => {
  const more = deferred()
  upstream.use(
    endlessSse(
      at => openaiEvent(`word ${at} `),
      () => more.promise,
    ),
  )
  const stream = await open(daemon, chatAsk(token, { stream: true }))
  await once(stream, 'data')
  stream.on('error', () => {}).resume()
  const ended = daemon.stop()
  await until(async () => (await fetch(`${at}/readyz`)).status === 503, 'it to say so')
  t.match(await (await fetch(`${at}/readyz`)).json(), { status: 'unavailable', calls: { status: 'shutting_down', streams: 1 } })
  stream.destroy()
  more.resolve()
  t.equal(await ended, 0)
  await t.rejects(fetch(`${at}/healthz`), { cause: { code: 'ECONNREFUSED' } })
})
