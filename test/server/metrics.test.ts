import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { checkCertificate, checkIssued } from '../../src/cli/doctor/surroundings.js'
import type { Settings } from '../../src/config/settings.js'
import { SoakpError } from '../../src/errors.js'
import { exposition } from '../../src/server/metrics/text.js'
import { freshState, writeRecord } from '../../src/tls/life/record.js'
import { installBundle } from '../../src/tls/lineage.js'
import { makeBundle } from '../support/pairs.js'
import { parseExposition, type Scraped } from '../support/prometheus.js'
import { aCertificate } from '../support/records.js'
import { until } from '../support/until.js'
import { type Door, get, makeDoor, openDoor } from './door.js'

const metricsListen = { host: '127.0.0.1', port: 0 }

async function ready(door: Door): Promise<{ readonly status: number; readonly body: string }> {
  const response = await fetch(`${door.watched}/readyz`)
  return { status: response.status, body: await response.text() }
}

async function scrape(door: Door): Promise<Scraped> {
  return parseExposition(await (await fetch(`${door.watched}/metrics`)).text())
}

/** A page is made at most a few times a second. */
async function readyUntil(door: Door, status: number): Promise<{ readonly body: string }> {
  let last = await ready(door)
  await until(async () => {
    last = await ready(door)
    return last.status === status
  }, `readiness ${status}`)
  return last
}

t.test('watchers learn why the daemon is not ready, by our words only; strangers learn that it is not', async t => {
  const door = await openDoor(t, { metricsListen })
  t.equal((await ready(door)).status, 200)
  door.store.fault = new SoakpError('store_full', '/var/lib/canary', { cause: new Error('SQLITE_FULL') })
  const { body } = await readyUntil(door, 503)
  t.match(JSON.parse(body), { status: 'unavailable', store: { status: 'failed', code: 'store_full', text: 'The disk is full.' } })
  t.notMatch(body, /canary|SQLITE/)
  const told = await get(door, '/readyz')
  t.equal(told.status, 503)
  t.strictSame(Object.keys(JSON.parse(told.body) as object), ['type', 'title', 'status', 'code', 'requestId'])
  const probes = (await scrape(door)).value('soakp_store_errors_total', { operation: 'probe' })
  t.ok((probes ?? 0) >= 1)
  t.equal((await scrape(door)).value('soakp_store_works'), 0)
  door.store.fault = undefined
  await readyUntil(door, 200)
})

t.test('entries that cannot be written make it not ready on both doors, and are told with their age', async t => {
  const door = await openDoor(t, { metricsListen })
  Object.assign(door.ledger, { healthy: false, waiting: 3, oldestWaitingMs: Date.now() - 5000 })
  t.match(JSON.parse((await readyUntil(door, 503)).body), { ledger: { waitingEntries: 3 } })
  t.equal((await get(door, '/readyz')).status, 503)
  const scraped = await scrape(door)
  t.equal(scraped.value('soakp_takes_calls'), 0)
  t.equal(scraped.value('soakp_ledger_waiting_entries'), 3)
  const oldest = scraped.value('soakp_ledger_oldest_waiting_seconds') ?? 0
  t.ok(oldest >= 5 && oldest < 60, `${oldest}`)
})

t.test('when calls are turned away, watchers are told so, and of how many are open', async t => {
  const door = await openDoor(t, { metricsListen, maxCalls: 2 })
  door.relay.openCalls = 2
  const { status, body } = await ready(door)
  t.equal(status, 200, 'a daemon that sheds is not to lose the calls that it has')
  t.match(JSON.parse(body), { calls: { status: 'overloaded', open: 2, most: 2 } })
  const scraped = await scrape(door)
  t.match([scraped.value('soakp_takes_calls'), scraped.value('soakp_open_calls')], [0, 2])
})

t.test('a certificate that ends soon, or whose renewal fails, is told in the log, by doctor, to watchers and in metrics', async t => {
  const home = t.testdir()
  const certsDir = join(home, 'certs')
  // of thirty days, one is left
  const nowMs = Date.now() + 29 * 86_400_000
  const other = await makeBundle(join(home, 'made'), ['other.example.test'])
  const folder = join(certsDir, 'live', 'other')
  mkdirSync(folder, { recursive: true })
  for (const [name, bytes] of [
    ['fullchain.pem', other.cert],
    ['cert.pem', other.cert],
    ['chain.pem', ''],
    ['privkey.pem', other.key],
  ] as const)
    writeFileSync(join(folder, name), bytes)
  installBundle(certsDir, 'ours', await makeBundle(join(home, 'made'), ['ours.example.test']), Date.now())
  const lastError = { type: 'dns_provider_failed', detail: 'canary-in-the-words-of-a-dns-provider', atMs: nowMs - 60_000 }
  const failing = { ...freshState, attempts: 3, notBeforeMs: nowMs + 6_000_000, lastError }
  await writeRecord(certsDir, aCertificate('ours', { names: ['ours.example.test'] }, failing))
  await writeRecord(certsDir, aCertificate('never', { names: ['never.example.test'] }))
  const own = await makeBundle(join(home, 'made'), ['own.example.test'])
  const [tlsCertFile, tlsKeyFile] = [join(home, 'own.pem'), join(home, 'own.key')]
  writeFileSync(tlsCertFile, own.cert)
  writeFileSync(tlsKeyFile, own.key)

  const door = await makeDoor(certsDir, { metricsListen, tlsCertFile, tlsKeyFile }, [], () => nowMs)
  t.teardown(async () => {
    await door.served.close()
    door.certificates.close()
  })
  const warned = door.lines.filter(({ msg }) => msg === 'the certificate is about to expire')
  t.strictSame(warned.flatMap(({ names }) => names).sort(), ['other.example.test', 'ours.example.test', 'own.example.test'])

  const settings = { home, http: false, tlsCertFile, tlsKeyFile, publicUrl: undefined } as unknown as Settings
  const findings = [await checkCertificate(settings, nowMs), ...(await checkIssued(settings, nowMs))].map(
    ({ state, text }) => `${state} ${text}`,
  )
  const expected = [
    /^warn ends on /,
    /^fail never has not been issued/,
    /^warn other ends on .*soakp does not renew it/,
    /^fail ours ends on .* and was not renewed/,
    /^warn the last 3 attempts to renew ours failed: canary/,
  ]
  t.equal(findings.length, expected.length)
  t.match(findings, expected)

  const { status, body } = await ready(door)
  t.equal(status, 200, 'calls are taken all the same')
  t.notMatch(body, 'canary')
  const view = (name: string, concerns: unknown[], more = {}) => ({ name, failures: 0, lastFailureAt: null, concerns, ...more })
  t.match((JSON.parse(body) as { certificates: unknown }).certificates, {
    status: 'fail',
    each: [
      view('never', [{ level: 'fail', kind: 'missing' }], { expiresAt: null }),
      view('other', [{ level: 'warn', kind: 'ends_soon' }], { renewalDueAt: null }),
      view(
        'ours',
        [
          { level: 'fail', kind: 'not_renewed' },
          { level: 'warn', kind: 'renewal_failed' },
        ],
        { failures: 3, lastFailureAt: new Date(nowMs - 60_000).toISOString(), renewalDueAt: new Date(nowMs + 6_000_000).toISOString() },
      ),
      view('SOAKP_TLS_CERT_FILE', [{ level: 'warn', kind: 'ends_soon' }]),
    ],
  })
  const scraped = await scrape(door)
  const value = (name: string, certificate: string, more = {}) => scraped.value(`soakp_certificate_${name}`, { certificate, ...more })
  for (const name of ['other', 'ours', 'SOAKP_TLS_CERT_FILE']) {
    const days = (value('remaining_seconds', name) ?? 0) / 86_400
    t.ok(days > 0.9 && days < 1.1, `${name} ${days}`)
  }
  t.equal(value('remaining_seconds', 'never'), undefined)
  t.equal(value('renewal_failures', 'ours'), 3)
  t.equal(value('renewal_last_failure_timestamp_seconds', 'ours'), (nowMs - 60_000) / 1000)
  t.equal(value('renewal_due_timestamp_seconds', 'ours'), (nowMs + 6_000_000) / 1000)
  t.equal(value('renewal_due_timestamp_seconds', 'other'), undefined)
  t.strictSame(
    ['never', 'other', 'ours'].map(name => ['warn', 'fail'].map(level => value('concerns', name, { level }))),
    [
      [0, 1],
      [1, 0],
      [1, 1],
    ],
  )
})

t.test('what has to be escaped is, and a number of any kind can be read back', async t => {
  const name = 'a "quoted"\\name\nof two lines'
  const values = [0, -1.5, 1e21, 1e-9, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY]
  const samples = values.map((value, at) => ({ value, labels: { name, at: String(at) } }))
  const text = exposition([
    { name: 'one', type: 'gauge', help: 'a \\ and\nanother line', samples },
    { name: 'none', type: 'gauge', help: 'nothing', samples: [] },
  ])
  const scraped = parseExposition(text)
  t.strictSame([...scraped.families.keys()], ['one'])
  t.strictSame(
    values.map((_, at) => scraped.value('one', { at: String(at), name })),
    values,
  )
})
