import { spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, rmSync, statfsSync, writeFileSync } from 'node:fs'
import { type AddressInfo, createServer } from 'node:net'
import { join } from 'node:path'
import t from 'tap'
import { connect } from '../../src/stores/sqlite/connection.js'
import { openKeyring } from '../../src/vault/keyring.js'
import { readMasterKey } from '../../src/vault/master-key.js'
import { call, chat } from '../support/clients.js'
import { freePort, type Home, makeHome } from '../support/daemon.js'
import { anyProvider, chunk, head, openaiEvent, rawThenStall, sseHead } from '../support/scripts.js'
import { freshKey, makeStage } from '../support/stage.js'
import { until, within } from '../support/until.js'
import { startUpstream } from '../support/upstream.js'

// A full disk, a locked store, a dead provider: a clear refusal and a log line; no hang, no crash, no 401, nothing lost.

t.test('a provider that cannot be reached is a 502 in its dialect, worth trying again, and in the ledger', async t => {
  const home = await makeHome(t)
  const closed = await freePort()
  const notTls = createServer(socket => socket.end('HTTP/1.1 400 Bad Request\r\n\r\n')).listen(0, '127.0.0.1')
  await once(notTls, 'listening')
  t.teardown(() => notTls.close())
  const strangers = await makeHome(t, {}, join(home.dir, '..', 'strangers'))
  const wrongCa = await strangers.serve()
  const bases = {
    'refused connection': `http://127.0.0.1:${closed}`,
    'unknown name': 'https://no-such-host.invalid',
    'not TLS': `https://127.0.0.1:${(notTls.address() as AddressInfo).port}`,
    'a certificate of nobody we trust': `https://localhost:${wrongCa.port}`,
  }
  const tokens: [string, string][] = []
  for (const [title, baseUrl] of Object.entries(bases)) {
    const key = await home.addKey('openai', { secret: freshKey('openai'), baseUrl, name: title })
    tokens.push([title, (await home.createToken(['--key', key.id])).token])
  }
  const daemon = await home.serve()
  for (const [title, token] of tokens) {
    const answer = await within(chat(daemon, token), title)
    t.equal(answer.status, 502, title)
    t.match(answer.json(), { error: { message: String, code: 'provider_unreachable' } }, title)
    t.not(answer.headers['x-should-retry'], 'false', title)
  }
  const entries = await home.entries()
  t.equal(entries.filter(entry => entry.final).length, tokens.length)
  t.equal(entries.filter(entry => !entry.final).length, tokens.length, 'each was tried a second time')
  for (const entry of entries) t.match(entry, { outcome: 'failed', status: 502, errorCode: 'provider_unreachable' })
  t.equal((await call(daemon, { path: '/healthz' })).status, 200)
})

t.test('a provider that falls silent is given up after the time that is set', async t => {
  const { daemon, upstream, home, token } = await makeStage(t, { settings: { SOAKP_HEAD_TIMEOUT: '1s', SOAKP_IDLE_TIMEOUT: '1s' } })
  upstream.use(rawThenStall())
  const silent = await within(chat(daemon, token), 'a provider that says nothing')
  t.equal(silent.status, 504)
  t.equal(silent.json().error.code, 'provider_timeout')
  upstream.use(rawThenStall(sseHead, chunk(openaiEvent('a'))))
  const stalled = await within(chat(daemon, token, { stream: true }), 'a stream that stalls')
  t.notOk(stalled.complete, 'half a stream does not look whole')
  upstream.use(rawThenStall(head(200, [['Content-Length', '100']]), 'half'))
  t.notOk((await within(chat(daemon, token), 'a body that stalls')).complete)
  await until(() => upstream.open === 0, 'the upstream calls to end')
  const entries = await home.entries()
  t.strictSame(
    entries.map(entry => entry.outcome),
    ['failed', 'failed', 'failed'],
  )
})

/** A small file system of its own for a home; undefined where this user may not mount one. */
function mountSmall(dir: string, megabytes: number): (() => void) | undefined {
  mkdirSync(dir, { recursive: true })
  const ran = spawnSync('mount', ['-t', 'tmpfs', '-o', `size=${megabytes}m`, 'tmpfs', dir])
  return ran.status === 0 ? () => spawnSync('umount', ['-l', dir]) : undefined
}

/** Takes all the room that is left; gives it back when called. */
function fill(dir: string): () => void {
  const file = join(dir, 'filler')
  const { bavail, bsize } = statfsSync(dir)
  writeFileSync(file, Buffer.alloc(Math.max(0, bavail * bsize - bsize)))
  try {
    for (let index = 0; index < 64; index++) writeFileSync(`${file}${index}`, Buffer.alloc(bsize))
  } catch {
    // full
  }
  return () => {
    for (const name of ['', ...Array.from({ length: 64 }, (_, index) => `${index}`)]) rmSync(`${file}${name}`, { force: true })
  }
}

t.test('on a full disk calls are refused with 503, no unrecorded reply looks whole, and all goes on when there is room again', async t => {
  const upstream = await startUpstream(anyProvider)
  t.teardown(() => upstream.close())
  const small = join(t.testdir(), 'small')
  const unmount = mountSmall(small, 8)
  if (unmount !== undefined) t.teardown(unmount)
  const home: Home = await makeHome(t, {}, join(small, 'home'))
  await home.addKey('openai', { secret: freshKey('openai'), baseUrl: upstream.url })
  const { token } = await home.createToken(['--all'])
  // without the right to mount, the size of files is limited instead: a write beyond it fails just so
  const daemon = await home.serve(unmount === undefined ? { under: ['prlimit', '--fsize=400000'] } : {})
  const read = new Set<string>()
  t.equal((await chat(daemon, token)).status, 200)
  const release = unmount === undefined ? () => spawnSync('prlimit', ['--pid', `${daemon.pid}`, '--fsize=unlimited']) : fill(small)

  let refusal: string | undefined
  for (let tries = 0; tries < 3000 && refusal === undefined; tries++) {
    const answer = await within(chat(daemon, token), 'a call on a full disk').catch((): undefined => undefined)
    if (answer?.complete && answer.status === 200) read.add(String(answer.headers['x-request-id']))
    if (answer?.status === 503) refusal = answer.json().error.code
  }
  t.match(refusal, /^store_/)
  t.ok(daemon.alive())
  t.equal((await call(daemon, { path: '/healthz' })).status, 200, 'it is alive')
  t.equal((await call(daemon, { path: '/readyz' })).status, 503, 'but not ready')
  t.match(daemon.output(), /store_|disk/i, 'the log says so')

  release()
  await until(async () => (await chat(daemon, token).catch((): undefined => undefined))?.status === 200, 'calls to be served again')
  t.equal((await call(daemon, { path: '/readyz' })).status, 200)
  t.equal(await daemon.stop(), 0)
  const recorded = new Set((await home.entries()).map(entry => entry.id))
  t.strictSame(
    [...read].filter(id => !recorded.has(id)),
    [],
    'every reply that was read whole is in the ledger',
  )
  t.ok(recorded.size >= upstream.requests.length, 'and so is every call that reached the provider')
  t.strictSame(await home.verify(), [])
})

t.test('while another process holds the database, no unrecorded reply looks whole; when it lets go, nothing was lost', async t => {
  const { daemon, upstream, home, token } = await makeStage(t)
  const { databaseKey } = await openKeyring(home.dir, readMasterKey(join(home.dir, 'master.key')))
  t.equal((await chat(daemon, token)).status, 200)
  const db = connect({ file: join(home.dir, 'soakp.db'), databaseKey, create: false, durability: 'normal' })
  db.exec('BEGIN EXCLUSIVE')
  const read = new Set<string>()
  for (let index = 0; index < 3; index++) {
    const answer = await within(chat(daemon, token), 'a call on a locked store', 30_000).catch((): undefined => undefined)
    if (answer?.complete && answer.status === 200) read.add(String(answer.headers['x-request-id']))
    else if (answer?.complete) t.equal(answer.status, 503)
  }
  t.equal(read.size, 0, 'nothing looked whole that was not written')
  t.ok(daemon.alive())
  const ran = await within(home.run(['token', 'create', '--all']), 'a command on a locked store', 60_000)
  t.equal(ran.code, 75)
  t.match(ran.stderr, /^soakp: /)
  db.exec('ROLLBACK')
  db.close()
  await until(async () => (await chat(daemon, token).catch((): undefined => undefined))?.status === 200, 'calls to be served again')
  t.equal(await daemon.stop(), 0)
  const entries = await home.entries()
  t.ok(entries.length >= upstream.requests.length, 'every call that reached the provider is in the ledger')
})
