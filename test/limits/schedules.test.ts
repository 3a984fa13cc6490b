import { randomInt } from 'node:crypto'
import { mock } from 'node:test'
import t, { type Test } from 'tap'
import { SoakpError } from '../../src/errors.js'
import { openStore } from '../../src/stores/index.js'
import { databaseKey } from '../contracts/store.js'
import { limitsAt, memoryStore } from '../support/limits.js'
import { aGrant } from '../support/records.js'
import { dice, World, type WorldOptions } from '../support/schedule.js'

/** Of a schedule that went wrong: `SEED=12 node dist/test/limits/schedules.test.js` runs it again, as the first of its kind. */
const given = Number(process.env.SEED ?? Number.NaN)
const first = Number.isNaN(given) ? randomInt(2 ** 31) : given

interface Kind extends Omit<WorldOptions, 'roll' | 'store'> {
  readonly title: string
  readonly schedules: number
  readonly processes: number
  /** Of a hundred. */
  readonly crashes: number
  readonly troubles: number
  /** How far clocks may step back. */
  readonly mostBackMs: number
  readonly sqlite?: true
}

mock.timers.enable({ apis: ['setInterval'] })
t.teardown(() => mock.timers.reset())

/** Below what a lease is given up before its end. */
const littleMs = 1500

const kinds: readonly Kind[] = [
  { title: 'one process, any step of the clock', schedules: 30, processes: 1, crashes: 0, troubles: 0, mostBackMs: 90_000_000 },
  {
    title: 'three processes that crash, vanish and stand still',
    schedules: 60,
    processes: 3,
    crashes: 4,
    troubles: 0,
    mostBackMs: littleMs,
  },
  { title: 'a store that fails, too', schedules: 60, processes: 3, crashes: 3, troubles: 8, mostBackMs: littleMs },
  {
    title: 'a store that answers later, and fails',
    schedules: 30,
    processes: 2,
    crashes: 2,
    troubles: 5,
    mostBackMs: littleMs,
    isLate: true,
  },
  {
    title: 'calls that go on without the store',
    schedules: 30,
    processes: 1,
    crashes: 0,
    troubles: 15,
    mostBackMs: littleMs,
    goesOn: true,
  },
  { title: 'the database', schedules: 4, processes: 3, crashes: 3, troubles: 5, mostBackMs: littleMs, sqlite: true },
]

async function step(world: World, kind: Kind): Promise<string | undefined> {
  const { roll } = world
  const process = world.processes[roll(world.processes.length)]
  if (!process) return undefined
  const call = process.calls[roll(Math.max(1, process.calls.length))]
  const chance = roll(100)
  if (chance < kind.crashes) {
    world.crash(process)
    world.start(roll(littleMs))
  } else if (chance < kind.crashes + kind.troubles) {
    const trouble = roll(3) === 0 ? 'none' : roll(2) === 0 ? 'gone' : 'unwritable'
    for (const one of roll(2) === 0 ? world.processes : [process]) one.trouble = trouble
    if (trouble === 'none') for (const one of world.processes) await one.outage.tryAgain()
  } else if (chance < 52) return (await Promise.all(Array.from({ length: 1 + roll(3) }, () => world.call(process)))).find(Boolean)
  else if (chance < 82) {
    if (call) world.settle(process, call, true)
    if (roll(2) === 0) await world.committed()
  } else if (chance < 86) {
    if (call) world.release(process, call)
  } else if (chance < 89) {
    if (call) world.settle(process, call, false)
  } else if (chance < 92) {
    if (call) await world.cover(process, call)
  } else if (chance < 94) world.changeLimits()
  else if (chance < 95) await world.beat()
  else if (chance < 99) world.moveClock(roll(3) === 0 ? -roll(kind.mostBackMs + 1) : roll(400_000 / 10), kind.mostBackMs)
  else world.moveClock(roll(2) === 0 ? 31_000 : 3_600_000, kind.mostBackMs)
}

async function run(t: Test, kind: Kind, seed: number): Promise<void> {
  const roll = dice(seed)
  const options = { databaseKey, durability: 'normal', create: true, now: () => world.now } as const
  const store = kind.sqlite ? await openStore(undefined, t.testdir({}), options) : memoryStore(() => world.now)
  const world: World = new World({ ...kind, roll, store })
  for (let index = 0; index < kind.processes; index++) world.start(roll(littleMs))
  for (let count = 0; count < 150; count++) {
    const wrong = await step(world, kind)
    if (wrong) t.fail(`SEED=${seed}, step ${count}: ${wrong}`)
  }
  const wrong = await world.rest()
  if (wrong.length > 0) t.fail(`SEED=${seed}: ${wrong.join('; ')}`)
  await opensExactly(t, world, seed)
  await store.close()
}

/** A counter that is stuck would keep something back. */
async function opensExactly(t: Test, world: World, seed: number): Promise<void> {
  const left = await world.left()
  if (left <= 0) return
  world.moveClock(40 * 86_400_000, 0)
  const next = world.start(0)
  const ask = async (microDollars: number) => {
    const hold = await next.limits.reserve(world.unlimitedBut(['microDollars']))
    await next.limits.admit(hold, { keyId: 'k', model: 'm', mayNameModel: true, worst: () => microDollars })
    return hold
  }
  const whole = await ask(left).catch(error => error)
  if (whole instanceof SoakpError) t.fail(`SEED=${seed}: ${left} should be left: ${whole.message}`)
  await t.rejects(ask(1), { code: 'budget_exhausted' }, `SEED=${seed}`)
}

for (const kind of kinds) {
  t.test(
    `whatever the order of what happens, no limit is passed, and at rest what was spent is what the ledger holds: ${kind.title}`,
    async t => {
      for (let index = 0; index < kind.schedules; index++) await run(t, kind, first + index)
      t.pass(`${kind.schedules} schedules from SEED=${first} on`)
    },
  )
}

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
