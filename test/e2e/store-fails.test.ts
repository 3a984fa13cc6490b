import { spawnSync } from 'node:child_process'
import { mkdtempSync, renameSync, rmSync, statfsSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { type Connection, connect } from '../../src/stores/sqlite/connection.js'
import { openKeyring } from '../../src/vault/keyring.js'
import { readMasterKey } from '../../src/vault/master-key.js'
import { type Answer, chat } from '../support/clients.js'
import { type Daemon, type Home, makeHome } from '../support/daemon.js'
import { withSoakp, withStore } from '../support/home-store.js'
import { anyProvider } from '../support/scripts.js'
import { freshKey } from '../support/stage.js'
import { until, within } from '../support/until.js'
import { startUpstream, type Upstream } from '../support/upstream.js'

// A store that really fails: locked by another process, slow, full, moved away. Calls are refused before they leave, or go on where the operator says so; either way the accounts are right
// afterwards, to the call.

const quota = 30
const ask = JSON.stringify({ model: 'gpt-4o-mini', messages: [{ role: 'user', content: 'hi' }], max_tokens: 100 })

interface House {
  readonly home: Home
  readonly daemon: Daemon
  readonly upstream: Upstream
}

/** One grant and its calls, which the upstream knows by the query. */
interface Caller {
  readonly id: string
  call(): Promise<Answer | undefined>
  /** How many of them reached the provider. */
  seen(): number
  /** What is counted of it. */
  totals(): Promise<{ readonly calls: number; readonly money: number; readonly held: number; readonly lost: number }>
}

async function house(t: Test, mode: 'refuse' | 'go-on'): Promise<House> {
  const upstream = await startUpstream(anyProvider)
  t.teardown(() => upstream.close())
  const home = await makeHome(t, { SOAKP_WHEN_STORE_FAILS: mode }, join(smallDisk(t), 'home'))
  await home.addKey('openai', { secret: freshKey('openai'), baseUrl: upstream.url })
  return { home, daemon: await home.serve(), upstream }
}

/** A file system of its own, where this user may mount one. */
function smallDisk(t: Test): string {
  const folder = mkdtempSync(join(tmpdir(), 'soakp-disk-'))
  const mounted = spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=8m', 'tmpfs', folder]).status === 0
  t.teardown(() => {
    if (mounted) spawnSync('umount', ['-l', folder])
    rmSync(folder, { recursive: true, force: true })
  })
  return folder
}

async function callerOf({ home, daemon, upstream }: House): Promise<Caller> {
  const { grant, token } = await withSoakp(home.dir, ({ access }) =>
    access.create({ scope: { kind: 'all' }, name: 'one', lifetimeMs: 3_600_000, quotas: [`${quota}/month`], budgets: ['1usd/month'] }),
  )
  const path = `/openai/v1/chat/completions?of=${grant.id}`
  const count = async (quantity: string) =>
    withStore(
      home.dir,
      async store => (await store.counterTotals([`grant/${grant.id}/${quantity}/month`]))[0] ?? { used: 0, held: 0, lost: 0 },
    )
  return {
    id: grant.id,
    call: () => within(chat(daemon, token, { body: ask, path }), 'a call').catch((): undefined => undefined),
    seen: () => upstream.requests.filter(({ target }) => target.endsWith(grant.id)).length,
    async totals() {
      const [calls, money] = [await count('calls'), await count('microDollars')]
      return { calls: calls.used, money: money.used, held: calls.held + money.held, lost: calls.lost + money.lost }
    },
  }
}

async function otherProcess(home: Home): Promise<Connection> {
  const { databaseKey } = await openKeyring(home.dir, readMasterKey(join(home.dir, 'master.key')))
  return connect({ file: join(home.dir, 'soakp.db'), databaseKey, create: false, durability: 'normal' })
}

/** Makes the store fail; resolves with what mends it. */
type Failure = (house: House) => Promise<() => void | Promise<void>>

const locked: Failure = async ({ home }) => {
  const db = await otherProcess(home)
  db.exec('BEGIN EXCLUSIVE')
  return () => {
    db.exec('ROLLBACK')
    db.close()
  }
}

const movedAway: Failure = async ({ home }) => {
  const file = join(home.dir, 'soakp.db')
  renameSync(file, `${file}.away`)
  return () => renameSync(`${file}.away`, file)
}

/** Takes all the room of the home's own file system, or, where none may be mounted, ends the growth of files. */
const full: Failure = async ({ home, daemon }) => {
  const parent = join(home.dir, '..')
  if (!spawnSync('findmnt', ['-n', '-o', 'FSTYPE', parent]).stdout.toString().startsWith('tmpfs')) {
    spawnSync('prlimit', ['--pid', `${daemon.pid}`, '--fsize=1'])
    return () => void spawnSync('prlimit', ['--pid', `${daemon.pid}`, '--fsize=unlimited'])
  }
  const { bavail, bsize } = statfsSync(parent)
  const filler = join(parent, 'filler')
  try {
    writeFileSync(filler, Buffer.alloc(Math.max(0, bavail * bsize)))
  } catch (error) {
    // the daemon took some of it meanwhile: then it is full all the sooner
    if ((error as NodeJS.ErrnoException).code !== 'ENOSPC') throw error
  }
  return () => rmSync(filler)
}

const failures: Readonly<Record<string, Failure>> = { locked, full, 'moved away': movedAway }

/** When calls are served again, the quota opens to its very end, and no further. */
async function opensExactly(t: Test, { call, seen, totals }: Caller): Promise<void> {
  await until(async () => (await call())?.status === 200, 'calls to be served again')
  const before = seen()
  await until(
    async () => (await totals()).calls === before,
    `${before} calls to be counted`,
    async () => JSON.stringify(await totals()),
  )
  for (let more = before; more < quota; more++) t.equal((await call())?.status, 200)
  t.equal((await call())?.json().error.code, 'quota_exhausted')
  t.equal(seen(), quota)
}

/** What the provider saw is what is written down, and what was counted. */
async function accountsAreRight(t: Test, { home, daemon }: House, callers: readonly Caller[]): Promise<void> {
  t.equal(await daemon.stop(), 0)
  const all = await home.entries()
  for (const { id, totals } of callers) {
    const entries = all.filter(({ grantId, status }) => grantId === id && status === 200)
    t.equal(new Set(entries.map(entry => entry.id)).size, quota, 'each call that the provider saw')
    t.equal(entries.length, quota, 'once')
    const money = entries.reduce((sum, entry) => sum + (entry.costMicroDollars ?? 0), 0)
    t.strictSame(await totals(), { calls: quota, money, held: 0, lost: 0 })
  }
  t.strictSame(await home.verify(), [])
}

t.test('a store that fails: calls get 503 before they leave, and when it is back the accounts are right to the call', async t => {
  const rig = await house(t, 'refuse')
  const callers: Caller[] = []
  for (const [title, fail] of Object.entries(failures)) {
    await t.test(title, async t => {
      const caller = await callerOf(rig)
      callers.push(caller)
      const { call, seen } = caller
      for (let before = 0; before < 3; before++) t.equal((await call())?.status, 200)
      const mend = await fail(rig)
      await until(async () => (await call())?.status === 503, 'the failure to be noticed')
      const before = seen()
      for (let more = 0; more < 3; more++) {
        const refused = await call()
        t.match(refused?.json().error, { code: /^store_/, message: String, type: 'server_error' })
        t.match(refused?.headers, { 'retry-after': /^\d+$/ })
      }
      t.equal(seen(), before, 'none of them left')
      await mend()
      await opensExactly(t, caller)
    })
  }

  await t.test('another writer that leaves little room for others', async t => {
    const caller = await callerOf(rig)
    callers.push(caller)
    const db = await otherProcess(rig.home)
    let isHogging = true
    const hog = (async () => {
      for (let turn = 0; isHogging; turn++) {
        db.exec('BEGIN IMMEDIATE')
        // longer than a statement of the daemon waits, every other time
        await delay(turn % 2 === 0 ? 400 : 60)
        db.exec('COMMIT')
        await delay(40)
      }
    })()
    const answers: (Answer | undefined)[] = []
    for (let round = 0; round < 4; round++) answers.push(...(await Promise.all([caller.call(), caller.call(), caller.call()])))
    isHogging = false
    await hog
    db.close()
    for (const answer of answers) t.ok(answer?.status === 200 || answer?.status === 503, 'answered or refused, and nothing else')
    await opensExactly(t, caller)
  })
  await accountsAreRight(t, rig, callers)
})

t.test('where calls go on without the store they are answered, up to the quota, and written down when it is back', async t => {
  const rig = await house(t, 'go-on')
  const callers: Caller[] = []
  for (const [title, fail] of Object.entries(failures)) {
    await t.test(title, async t => {
      const caller = await callerOf(rig)
      callers.push(caller)
      const { call, seen, totals } = caller
      for (let before = 0; before < 3; before++) t.equal((await call())?.status, 200)
      const mend = await fail(rig)
      for (let more = 0; more < 15; more++) t.equal((await call())?.status, 200)
      t.equal(seen(), 18)
      if (title === 'locked') {
        t.ok((await totals()).calls < 18, 'they are not written yet')
        while (seen() < quota) t.equal((await call())?.status, 200)
        t.equal((await call())?.json().error.code, 'quota_exhausted', 'no more than the quota, without the store too')
      }
      await mend()
      if (title !== 'locked') return opensExactly(t, caller)
      await until(async () => (await totals()).calls === quota, 'all to be counted')
      t.equal((await call())?.json().error.code, 'quota_exhausted')
    })
  }
  t.match(rig.daemon.output(), /the store cannot be written; calls go on, counted in memory/)
  await accountsAreRight(t, rig, callers)
})
