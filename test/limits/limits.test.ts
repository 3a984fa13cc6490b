import t from 'tap'
import type { SoakpError } from '../../src/errors.js'
import type { Rate } from '../../src/lib/rate.js'
import { createCalendars } from '../../src/limits/calendars.js'
import { createGuessing } from '../../src/limits/guessing.js'
import { createLimits } from '../../src/limits/limits.js'
import { SlidingWindow } from '../../src/limits/rate.js'
import { limitsAt, memoryStore, outageOf, type SyncLimits } from '../support/limits.js'
import { aGrant } from '../support/records.js'
import { until } from '../support/until.js'

const perMinute: Rate = { count: 5, windowMs: 60_000 }

t.test('of forty racing calls on a rate of five, exactly five leave', async t => {
  const limits = limitsAt(() => 1_000_000)
  const grant = aGrant({ rate: '5/m' })
  const tries = Array.from({ length: 40 }, () => {
    try {
      return limits.reserve(grant)
    } catch (error) {
      t.equal((error as SoakpError).code, 'rate_limited')
      return undefined
    }
  })
  t.equal(tries.filter(Boolean).length, 5)
})

t.test('a call that never reached a provider gives its place back, once', async t => {
  const limits = limitsAt(() => 1_000_000)
  const grant = aGrant({ rate: '5/m' })
  const holds = Array.from({ length: 5 }, () => limits.reserve(grant))
  holds[0]?.release()
  holds[0]?.release()
  holds[1]?.settle()
  holds[1]?.release()
  limits.reserve(grant)
  t.throws(() => limits.reserve(grant), { code: 'rate_limited' })
})

t.test('soon after the last of its calls is over nothing is said to be held, whether it left or not', async t => {
  const now = () => 1_000_000
  const store = memoryStore(now)
  let renewals = 0
  const renewInstance: typeof store.renewInstance = (...args) => {
    renewals++
    return store.renewInstance(...args)
  }
  const limits = limitsAt(now, { ...store, renewInstance })

  const grant = aGrant({ budgets: ['5usd/month'] })
  const facts = { keyId: 'key_1', model: 'm', mayNameModel: true, worst: () => 3000 }
  const standing = async () =>
    (await store.counterTotals([`grant/${grant.id}/microDollars/month`])).map(({ used, held }) => [used, held > 0])
  const begin = () => {
    const hold = limits.reserve(grant)
    limits.admit(hold, facts)
    return hold
  }
  const never = begin()
  t.same(await standing(), [[0, true]])
  never.release()
  await until(async () => (await standing())[0]?.[1] === false, 'nothing to be held')
  begin().settle({ microDollars: 10 })
  // as with its entry
  const changes = limits.takeChanges()
  await store.settleSlices(changes?.instance ?? '', changes?.states ?? [])
  changes?.done(true)
  await until(async () => JSON.stringify(await standing()) === '[[10,false]]', 'what was used to be told, and nothing to be held')
  t.equal(renewals, 0, 'without waiting for the next renewal of the lease')
  await limits.close()
})

t.test('no stretch of a window ever holds more than the limit, and waiting as told is enough', async t => {
  const window = new SlidingWindow()
  const used: number[] = []
  let now = 1_700_000_000_000
  let seed = 7
  for (let step = 0; step < 3_000; step++) {
    seed = (seed * 1103515245 + 12345) % 2147483648
    const state = window.take(perMinute, now)
    if (state.allowed) used.push(now)
    const recent = used.filter(at => at > now - perMinute.windowMs)
    t.ok(recent.length <= perMinute.count, `at most five in a minute, at ${now}`)
    if (!state.allowed && step % 3 === 0) {
      now += state.resetMs
      t.ok(window.take(perMinute, now).allowed, 'waiting as told opens a place')
      used.push(now)
    } else now += seed % 9_000
  }
})

t.test('a clock that steps back reopens nothing', async t => {
  const window = new SlidingWindow()
  for (let i = 0; i < 5; i++) t.ok(window.take(perMinute, 1_000_000).allowed)
  t.notOk(window.take(perMinute, 900_000).allowed)
  t.notOk(window.take(perMinute, 1_000_000).allowed)
})

t.test("days go by the tenant's midnight, and a change of its zone opens nothing before the day that is open ends", async t => {
  let now = Date.parse('2026-11-22T15:00:00Z')
  const store = memoryStore(() => now)
  const calendars = createCalendars({ zones: tenant => store.listTimeZones(tenant) })
  const limits = createLimits({ store, outage: outageOf(store), now: () => now, calendars })
  const grant = aGrant({ quotas: ['1/day'] })
  const opens = (text: string) => {
    now = Date.parse(text)
    try {
      limits.reserve(grant)
      return true
    } catch {
      return false
    }
  }
  t.ok(opens('2026-11-22T15:00:00Z'))
  t.notOk(opens('2026-11-22T15:00:01Z'))
  await store.addTimeZone({ tenant: 'default', timeZone: 'America/Los_Angeles', fromMs: now })
  calendars.forget()
  for (const used of ['2026-11-22T15:00:02Z', '2026-11-22T23:59:59Z']) t.notOk(opens(used), used)
  t.ok(opens('2026-11-23T00:00:00Z'))
  for (const used of ['2026-11-23T00:00:01Z', '2026-11-23T08:00:00Z', '2026-11-24T07:59:59Z']) t.notOk(opens(used), used)
  for (const midnight of ['2026-11-24T08:00:00Z', '2026-11-25T08:00:00Z']) t.ok(opens(midnight), midnight)
  await limits.close()
})

t.test('as many calls are open at once as the grant allows, and an ended one makes room', async t => {
  const limits = limitsAt(() => 0)
  const grant = aGrant({ concurrency: 2 })
  const first = limits.reserve(grant)
  limits.reserve(grant)
  t.throws(() => limits.reserve(grant), { code: 'concurrency_limited' })
  first.settle()
  limits.reserve(grant)
  t.throws(() => limits.reserve(grant), { code: 'concurrency_limited' })
})

t.test('guessing from one address, or one /64, is stopped, and its neighbours are not', async t => {
  let now = 1_000_000
  const guessing = createGuessing(perMinute, () => now)
  for (let i = 0; i < 5; i++) guessing.failed(`2001:db8:0:1::${i}`)
  t.ok(guessing.blockedForMs('2001:db8:0:1:ffff::1') > 0)
  t.equal(guessing.blockedForMs('2001:db8:0:2::1'), 0)
  now += 70_000
  t.equal(guessing.blockedForMs('2001:db8:0:1::1'), 0)
})

t.test('a rate that is changed to another length of time counts anew, and lets go again in its own time', async t => {
  let now = 1_700_000_000_000
  const limits = limitsAt(() => now)
  const id = aGrant({}).id
  const hourly = aGrant({ id, rate: '5/h' })
  const daily = aGrant({ id, rate: '5/d' })
  for (let call = 0; call < 5; call++) limits.reserve(hourly)
  t.throws(() => limits.reserve(hourly), { code: 'rate_limited' })
  for (let call = 0; call < 5; call++) limits.reserve(daily)
  t.throws(() => limits.reserve(daily), { code: 'rate_limited' })
  now += 2 * 86_400_000
  t.ok(limits.reserve(daily))
})

t.test('a process that stood still while others took what it had spare gets back no more than is left', async t => {
  let now = 1_000_000
  const clock = () => now
  const store = memoryStore(clock)
  const [slow, quick] = [limitsAt(clock, store), limitsAt(clock, store)]
  const grant = aGrant({ quotas: ['1000/day'] })
  // alone, it draws ahead
  slow.reserve(grant).release()
  now += 31_000
  let taken = 0
  const take = (limits: SyncLimits) => {
    for (; taken < 2000; taken++) {
      try {
        limits.reserve(grant)
      } catch (error) {
        t.match(error, { code: 'quota_exhausted' })
        return
      }
    }
  }
  take(quick)
  t.ok(taken > 990)
  // something else makes it renew its lease
  slow.reserve(aGrant({ quotas: ['5/day'] })).release()
  take(slow)
  t.ok(taken <= 1000, `${taken} of 1000`)
})
