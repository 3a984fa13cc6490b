import { randomInt } from 'node:crypto'
import t from 'tap'
import type { Hold } from '../../src/limits/limits.js'
import { limitsAt, memoryStore, type SyncLimits } from '../support/limits.js'
import { aGrant } from '../support/records.js'

const day = 86_400_000

interface Open {
  readonly hold: Hold
  readonly worst: number
  readonly of: SyncLimits
  readonly startedAt: number
}

function attempt(work: () => void): void {
  try {
    work()
  } catch {
    // the quota is used up
  }
}

t.test(
  'whatever the order of holds, settlements, crashes, changed limits and steps of the clock, no budget is over, and at rest what was spent is what calls cost',
  async t => {
    for (let schedule = 0; schedule < 150; schedule++) {
      let now = Date.UTC(2026, 10, 22, 23, 59)
      const clock = () => now
      const store = memoryStore(clock)
      let processes = [limitsAt(clock, store), limitsAt(clock, store)]
      const id = aGrant().id
      const limit = 1000 + randomInt(4000)
      const grant = aGrant({ id, budgets: [`${limit}tokens/day`], quotas: ['200/day'] })
      /** By the day a call was held in: what it cost, or at most may have. */
      const spent = new Map<number, number>()
      const lost = new Map<number, number>()
      let open: Open[] = []
      let latest = now
      const dayOf = (at: number) => Math.floor(at / day) * day
      const add = (sums: Map<number, number>, at: number, amount: number) => sums.set(dayOf(at), (sums.get(dayOf(at)) ?? 0) + amount)

      for (let step = 0; step < 120; step++) {
        const which = randomInt(2)
        const limits = processes[which] as SyncLimits
        const chance = randomInt(100)
        latest = Math.max(latest, now)
        if (chance < 55) {
          const worst = 1 + randomInt(400)
          const hold = limits.reserve(grant)
          try {
            limits.admit(hold, { keyId: 'key_1', model: 'm', mayNameModel: true, worst: () => worst })
            open.push({ hold, worst, of: limits, startedAt: hold.budgets[0]?.slice.windowStartMs ?? 0 })
          } catch {
            hold.release()
          }
        } else if (chance < 90) {
          const [call] = open.splice(randomInt(Math.max(1, open.length)), 1)
          if (!call) continue
          const cost = randomInt(call.worst + 1)
          if (randomInt(10) === 0) call.hold.release()
          else {
            call.hold.settle({ tokens: cost })
            add(spent, call.startedAt, cost)
          }
          const changes = call.of.takeChanges()
          if (changes) await store.settleSlices(changes.instance, changes.states)
          changes?.done(true)
        } else if (chance < 94) {
          for (const call of open.filter(({ of }) => of === limits)) add(lost, call.startedAt, call.worst)
          open = open.filter(({ of }) => of !== limits)
          processes = processes.map(one => (one === limits ? limitsAt(clock, store) : one))
          // a crash on another machine: it is known when the lease is over, which the others renew meanwhile
          for (const wait of [20_000, 11_000]) {
            now += wait
            for (const one of processes) if (one !== limits) attempt(() => one.reserve(grant).release())
          }
        } else now += randomInt(3) === 0 ? -randomInt(2_000) : randomInt(4_000)

        for (const [of, sum] of spent) {
          const held = open.filter(({ startedAt }) => dayOf(startedAt) === of).reduce((all, { worst }) => all + worst, 0)
          if (sum + held > limit) t.fail(`${sum} spent and ${held} held of ${limit}`)
        }
      }
      for (const call of open) call.hold.release()
      for (const one of processes) await one.close()
      now = latest + 60_000
      await store.closeDead(now, 0)
      const totals = await store.counterTotals([`grant/${id}/tokens/day`])
      const counted = totals.reduce((sum, total) => sum + total.used - total.lost, 0)
      const cost = [...spent.values()].reduce((a, b) => a + b, 0)
      if (lost.size === 0) t.equal(counted, cost, `schedule ${schedule}`)
      else t.ok(counted >= cost - 1, `schedule ${schedule}, with crashes`)
    }
  },
)

t.test('a day begins at midnight in UTC, and a clock that steps back opens no day again', async t => {
  let now = Date.UTC(2026, 10, 22, 23, 59, 59)
  const limits = limitsAt(() => now)
  const grant = aGrant({ quotas: ['2/day'] })
  for (const _ of [1, 2]) limits.reserve(grant).settle()
  t.throws(() => limits.reserve(grant), { code: 'quota_exhausted', message: /2026-11-23T00:00Z/ })
  now += 1000
  for (const _ of [1, 2]) limits.reserve(grant).settle()
  t.throws(() => limits.reserve(grant), { code: 'quota_exhausted', message: /2026-11-24T00:00Z/ })
  now -= 3_600_000
  t.throws(() => limits.reserve(grant), { code: 'quota_exhausted' })
})
