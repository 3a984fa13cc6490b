import t from 'tap'
import { createUpkeep } from '../../src/ledger/upkeep.js'
import { openStore } from '../../src/stores/index.js'
import { anEntry, databaseKey } from '../contracts/store.js'
import { limitsAt } from '../support/limits.js'
import { aGrant } from '../support/records.js'
import { until } from '../support/until.js'

const silent = { warn: () => undefined, info: () => undefined }
const start = Date.parse('2026-03-01T00:00:00Z')
const dayMs = 86_400_000

t.test('single lines go after the time that was set, and what they add up to stays', async t => {
  const now = () => start + 100 * dayMs
  const store = await openStore(undefined, t.testdir({}), { databaseKey, durability: 'normal', create: true, now })
  t.teardown(() => store.close())
  await store.appendEntries(
    Array.from({ length: 700 }, (_, index) => anEntry({ startedAtMs: start + Math.floor(index * (dayMs / 7)), costMicroDollars: 1 })),
  )
  const upkeep = createUpkeep({ store, keepEntriesMs: 10 * dayMs, log: silent, now })
  upkeep.start()
  await until(async () => (await store.listEntries({})).length === 70, 'only lines of the last ten days to be left')
  await upkeep.stop()
  t.match(await store.usage({ by: [], sinceMs: 0 }), [{ calls: 700, costMicroDollars: 700 }])
})

t.test('counters of windows that are long over go, and those of this day and of all time stay', async t => {
  let now = start
  const store = await openStore(undefined, t.testdir({}), { databaseKey, durability: 'normal', create: true, now: () => now })
  t.teardown(() => store.close())
  const limits = limitsAt(() => now, store)
  const grant = aGrant({ quotas: ['1000/h', '1000/d', '1000/total'] })
  for (let hour = 0; hour < 300; hour++) {
    limits.reserve(grant).settle()
    now += 3_600_000
    if (hour % 10 !== 9) continue
    // what is over is on record
    const changes = limits.takeChanges()
    if (changes) await store.settleSlices(changes.instance, changes.states)
  }
  await limits.close()
  const rows = async () => (await store.counterTotals(['hour', 'day', 'total'].map(window => `grant/${grant.id}/calls/${window}`))).length
  const before = await rows()
  const upkeep = createUpkeep({ store, keepEntriesMs: undefined, log: silent, now: () => now })
  upkeep.start()
  await until(async () => (await rows()) < before / 2, 'the older ones to go')
  await until(async () => (await rows()) <= 48 + 4 + 1, 'all of them to go', rows)
  await upkeep.stop()
  t.match(await store.counterTotals([`grant/${grant.id}/calls/total`]), [{ windowStartMs: 0 }])
})

t.test('lines are kept for a day at least, and for good where nothing was set', async t => {
  const now = () => start + dayMs
  for (const keepEntriesMs of [1000, undefined]) {
    const store = await openStore(undefined, t.testdir({}), { databaseKey, durability: 'normal', create: true, now })
    await store.appendEntries(Array.from({ length: 20 }, (_, index) => anEntry({ startedAtMs: start + index })))
    let steps = 0
    const rollUp = (limit: number) => {
      steps++
      return store.rollUp(limit)
    }
    const upkeep = createUpkeep({
      store: { rollUp, pruneEntries: store.pruneEntries, pruneWindows: store.pruneWindows },
      keepEntriesMs,
      log: silent,
      now,
    })
    upkeep.start()
    await until(() => steps >= 3, 'three steps')
    await upkeep.stop()
    t.equal((await store.listEntries({})).length, 20)
    await store.close()
  }
})
