import { spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { openStore } from '../../src/stores/index.js'
import { type Entry, type UsageDimension, type UsageQuery, type UsageRow, usageDimensions, usageFilters } from '../../src/stores/records.js'
import { connect } from '../../src/stores/sqlite/connection.js'
import type { Store } from '../../src/stores/store.js'
import { anEntry, databaseKey } from '../contracts/store.js'

const start = Date.parse('2026-02-27T20:00:00Z')
const hourMs = 3_600_000
const options = { databaseKey, durability: 'normal', create: true, now: () => start } as const

/** Numbers drawn from a seed, so that a schedule that fails can be run again. */
function drawing(seed: number): (below: number) => number {
  let state = seed
  return below => {
    state = createHash('sha256').update(String(state)).digest().readUInt32BE(0)
    return state % below
  }
}

function someEntry(draw: (below: number) => number): Entry {
  const pick = <T>(...values: readonly T[]): T => values[draw(values.length)] as T
  const unit = pick(null, null, null, 'characters', 'audioSeconds')
  const usageSource = pick('provider', 'estimated', 'none')
  return anEntry({
    startedAtMs: start + draw(60 * hourMs),
    attempt: draw(2) + 1,
    final: draw(5) > 0,
    tenant: pick('default', 'default', 'acme'),
    grantId: pick('grt_1', 'grt_2', 'grt_3'),
    subject: pick(null, 'alice', 'bob'),
    app: pick(null, 'app_1'),
    keyId: pick(null, 'key_1', 'key_2'),
    provider: pick('openai', 'groq'),
    model: pick(null, 'gpt-4o', 'gpt-4o-mini'),
    outcome: pick('ok', 'ok', 'refused', 'failed', 'cut', 'client_gone'),
    errorCode: pick(null, null, 'quota_exhausted', 'budget_exhausted', 'budget_overrun', 'provider_timeout'),
    usageSource,
    inputTokens: draw(1000),
    outputTokens: draw(1000),
    cachedInputTokens: draw(100),
    cacheWriteInputTokens: draw(100),
    reasoningTokens: draw(100),
    audioInputTokens: draw(10),
    audioOutputTokens: draw(10),
    unit,
    units: unit === null ? 0 : draw(100),
    costMicroDollars: usageSource === 'none' || draw(3) === 0 ? null : draw(100_000),
  })
}

function someQuery(draw: (below: number) => number): UsageQuery {
  const by = usageDimensions.filter(() => draw(4) === 0)
  // at the edge of an hour, of a day, and anywhere
  const one = <T>(values: readonly T[]): T => values[draw(values.length)] as T
  const moment = () => start - hourMs + one([draw(64) * hourMs, draw(64 * hourMs), (draw(3) * 24 + 4) * hourMs])
  const [sinceMs, untilMs] = [moment(), moment()].sort((a, b) => a - b) as [number, number]
  const filter = one(usageFilters)
  const values = { tenant: 'acme', app: '', grant: 'grt_1', user: 'alice', key: 'key_2', provider: 'groq', model: 'gpt-4o' }
  return { by, sinceMs, ...(draw(3) > 0 ? { untilMs } : {}), ...(draw(3) === 0 ? { where: { [filter]: values[filter] } } : {}) }
}

const sorted = (rows: readonly UsageRow[]) => [...rows].sort((a, b) => (JSON.stringify(a.values) < JSON.stringify(b.values) ? -1 : 1))

t.test('a report is the sum of the entries, whatever was summed up when, by whichever process', async t => {
  for (let seed = 1; seed <= 12; seed++) {
    const draw = drawing(seed)
    const home = t.testdir({})
    const first = await openStore(undefined, home, options)
    const second = await openStore(undefined, home, { ...options, create: false })
    const reference = await openStore('memory:', home, options)
    const either = () => (draw(2) === 0 ? first : second)
    for (let turn = 0; turn < 40; turn++) {
      const entries = Array.from({ length: draw(20) }, () => someEntry(draw))
      await either().appendEntries(entries)
      await reference.appendEntries(entries)
      if (draw(2) === 0) await either().rollUp(1 + draw(30))
      if (turn % 4 !== 0) continue
      const query = someQuery(draw)
      t.strictSame(
        sorted(await either().usage(query)),
        sorted(await reference.usage(query)),
        `seed ${seed}, turn ${turn}: ${JSON.stringify(query)}`,
      )
    }
    while ((await either().rollUp(50)) > 0);
    for (let i = 0; i < 10; i++) {
      const query = someQuery(draw)
      t.strictSame(
        sorted(await either().usage(query)),
        sorted(await reference.usage(query)),
        `seed ${seed}, at rest: ${JSON.stringify(query)}`,
      )
    }
    for (const store of [first, second, reference]) await store.close()
  }
})

t.test('entries go after their time, sums stay, and what is written later is counted', async t => {
  const store = await openStore(undefined, t.testdir({}), options)
  t.teardown(() => store.close())
  const draw = drawing(99)
  const entries = Array.from({ length: 500 }, (_, index) => ({ ...someEntry(draw), startedAtMs: start + index * 60_000 }))
  await store.appendEntries(entries)
  const whole = { by: ['day', 'model'] as const, sinceMs: start }
  const before = await store.usage(whole)
  const late = start + 600 * 60_000
  t.equal(await store.pruneEntries(late, 1000), 0, 'what is in no sum yet stays')
  await store.rollUp(300)
  t.equal(await store.pruneEntries(late, 100), 100)
  await store.rollUp(1000)
  t.equal(await store.pruneEntries(start + 250 * 60_000, 1000), 150, 'younger ones stay')
  t.strictSame(await store.usage(whole), before)
  t.equal(await store.pruneEntries(late, 1000), 249, 'the last stays: the numbers of the next ones follow its own')
  t.strictSame(await store.usage(whole), before)
  await store.appendEntries([anEntry({ startedAtMs: late, costMicroDollars: 5 })])
  t.equal(await store.rollUp(10), 1)
  const calls = (rows: readonly UsageRow[]) => rows.reduce((sum, row) => sum + row.calls, 0)
  t.equal(calls(await store.usage(whole)), calls(before) + 1)
  // the hour is known as a whole only
  t.equal(
    calls(await store.usage({ by: [], sinceMs: start + 1, untilMs: start + hourMs })),
    calls(await store.usage({ by: [], sinceMs: start, untilMs: start + hourMs })),
  )
})

t.test('entries of an earlier version are in reports at once, and are summed up', async t => {
  const home = t.testdir({})
  const store = await openStore(undefined, home, options)
  await store.appendEntries([anEntry({ startedAtMs: start }), anEntry({ startedAtMs: start + 1 })])
  t.match(await store.usage({ by: [], sinceMs: 0 }), [{ calls: 2 }])
  await store.close()
  const again = await openStore(undefined, home, { ...options, create: false })
  t.teardown(() => again.close())
  t.equal(await again.rollUp(10), 2)
  t.equal(await again.rollUp(10), 0)
  t.match(await again.usage({ by: [], sinceMs: 0 }), [{ calls: 2 }])
})

const writer = `
import { createSecretKey } from 'node:crypto'
import { openStore } from './dist/src/stores/index.js'
import { anEntry } from './dist/test/contracts/store.js'
const databaseKey = createSecretKey(Buffer.from(process.env.KEY, 'hex'))
const store = await openStore(undefined, process.env.HOME_DIR, { databaseKey, durability: 'normal', create: false, now: Date.now })
for (let i = 0; ; i++) {
  const entry = n => anEntry({ startedAtMs: ${start} + ((i * 7 + n) % 50) * 1800000, model: 'm' + (n % 3), inputTokens: i, costMicroDollars: n })
  await store.appendEntries(Array.from({ length: 10 }, (_, n) => entry(n)))
  if (i % 3 === 0) await store.rollUp(25)
  process.stdout.write('.')
}
`

/** The sums as they ought to be. */
async function byHand(store: Store): Promise<Map<string, readonly number[]>> {
  const sums = new Map<string, readonly number[]>()
  for (const entry of await store.listEntries({})) {
    const name = `${new Date(entry.startedAtMs).toISOString().slice(0, 13)} ${entry.model}`
    const [calls = 0, input = 0, cost = 0] = sums.get(name) ?? []
    sums.set(name, [calls + 1, input + entry.inputTokens, cost + (entry.costMicroDollars ?? 0)])
  }
  return sums
}

async function killed(t: Test, home: string, afterWrites: number): Promise<void> {
  const env = { HOME_DIR: home, KEY: databaseKey.export().toString('hex') }
  const child = spawn(process.execPath, ['--input-type=module', '-e', writer], {
    cwd: process.cwd(),
    env,
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  t.teardown(() => child.kill('SIGKILL'))
  let writes = 0
  child.stdout.on('data', (text: Buffer) => {
    writes += text.length
    if (writes > afterWrites) child.kill('SIGKILL')
  })
  await new Promise(resolve => child.once('close', resolve))
}

t.test('after a kill at any moment the sums are those of the entries', async t => {
  const home = t.testdir({})
  await (await openStore(undefined, home, options)).close()
  for (let kill = 0; kill < 6; kill++) {
    await killed(t, home, 10 + kill * 17)
    const store = await openStore(undefined, home, { ...options, create: false })
    const by: readonly UsageDimension[] = ['hour', 'model']
    const reported = async () =>
      new Map(
        (await store.usage({ by, sinceMs: 0 })).map(row => [row.values.join(' '), [row.calls, row.inputTokens, row.costMicroDollars ?? 0]]),
      )
    const expected = await byHand(store)
    t.ok(expected.size > 10)
    t.strictSame(await reported(), expected, `kill ${kill}`)
    while ((await store.rollUp(1000)) > 0);
    t.strictSame(await reported(), expected, `kill ${kill}, all summed up`)
    await store.close()
  }
})

t.test('sums that pass what a number can hold stay there, and the report of everybody else is as it was', async t => {
  const store = await openStore(undefined, t.testdir({}), options)
  t.teardown(() => store.close())
  const most = Number.MAX_SAFE_INTEGER
  const entries = Array.from({ length: 600 }, (_, at) =>
    anEntry({
      startedAtMs: start + at * 4 * hourMs,
      grantId: 'grt_1',
      inputTokens: most,
      units: most,
      unit: 'characters',
      costMicroDollars: most,
    }),
  )
  const ordinary = anEntry({ startedAtMs: start, grantId: 'grt_2', inputTokens: 7, units: 0, unit: null, costMicroDollars: 5 })
  await store.appendEntries([...entries, ...entries.slice(0, 1), ...entries, ordinary])
  for (const isSummedUp of [false, true]) {
    if (isSummedUp) while ((await store.rollUp(500)) > 0);
    const rows = await store.usage({ by: ['grant'], sinceMs: 0 })
    t.match(rows, [
      { values: ['grt_1'], calls: 1201 },
      { values: ['grt_2'], calls: 1, inputTokens: 7, costMicroDollars: 5, units: {} },
    ])
    t.ok((rows[0]?.inputTokens ?? 0) >= most && (rows[0]?.costMicroDollars ?? 0) >= most)
  }
})

t.test('what entries had in common goes with the last of them, and no entry that is left loses any of it', async t => {
  const folder = t.testdir({})
  let at = start
  const store = await openStore(undefined, folder, { ...options, now: () => at })
  const daysAgo = 86_400_000
  // each hour another token, as an app's users have them, and one that is used all the time
  for (let hour = 0; hour < 72; hour++) {
    at = start + hour * hourMs
    await store.appendEntries([
      anEntry({ startedAtMs: at - 60_000, tokenId: `tok_${hour}` }),
      anEntry({ startedAtMs: at, tokenId: 'tok_always' }),
    ])
  }
  await store.rollUp(1000)
  const before = at - daysAgo
  const kept = (await store.listEntries({})).filter(({ startedAtMs }) => startedAtMs >= before)
  await store.pruneEntries(before, 1000)
  t.strictSame(await store.listEntries({}), kept)
  t.ok(kept.length > 40)
  const held = () => {
    const db = connect({ file: join(folder, 'soakp.db'), databaseKey, create: false, durability: 'normal' })
    const count = db.prepare<[], number>('SELECT count(*) FROM contexts').pluck().get() as number
    db.close()
    return count
  }
  t.ok(held() < 60, 'of more than a hundred')

  at += 40 * daysAgo
  t.equal(await store.pruneEntries(at - daysAgo, 1000), kept.length - 1)
  t.strictSame(await store.listEntries({}), kept.slice(-1), 'the last one is whole, however old')
  t.ok(held() <= 2)
  await store.appendEntries([anEntry({ startedAtMs: at, tokenId: 'tok_new' })])
  t.same(
    (await store.listEntries({})).map(({ tokenId }) => tokenId),
    ['tok_always', 'tok_new'],
  )
  await store.close()
})
