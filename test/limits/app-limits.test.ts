import t from 'tap'
import type { SoakpError } from '../../src/errors.js'
import { limitsAt } from '../support/limits.js'
import { aGrant } from '../support/records.js'

const user = (rate: string | null, app: { rate?: string; concurrency?: number } = {}) =>
  aGrant({ rate, app: { id: 'app_1', rate: app.rate ?? null, concurrency: app.concurrency ?? null, quotas: [], budgets: [] } })

function tries(count: number, call: () => unknown): { left: number; codes: Set<string> } {
  let left = 0
  const codes = new Set<string>()
  for (let index = 0; index < count; index++) {
    try {
      call()
      left++
    } catch (error) {
      codes.add((error as SoakpError).code)
    }
  }
  return { left, codes }
}

t.test('a thousand invented users get together what their app has, to the call', async t => {
  const limits = limitsAt(() => 1_000_000)
  t.same(
    tries(1000, () => limits.reserve(user('5/m', { rate: '70/m' }))),
    { left: 70, codes: new Set(['rate_limited']) },
  )
  t.same(tries(50, () => limits.reserve(user(null, { concurrency: 1000 }))).left, 50)
})

t.test('as many calls are open at once as the app may have, whoever makes them, and a place is free again when one ends', async t => {
  const limits = limitsAt(() => 1_000_000)
  const holds = Array.from({ length: 3 }, () => limits.reserve(user(null, { concurrency: 3 })))
  t.throws(() => limits.reserve(user(null, { concurrency: 3 })), { code: 'concurrency_limited' })
  holds[0]?.settle()
  holds[0]?.release()
  limits.reserve(user(null, { concurrency: 3 }))
  t.throws(() => limits.reserve(user(null, { concurrency: 3 })), { code: 'concurrency_limited' })
})

t.test('who is over his own limit takes nothing from the others, and whom the app refuses keeps his own', async t => {
  const limits = limitsAt(() => 1_000_000)
  const greedy = user('2/m', { rate: '10/m' })
  t.equal(tries(100, () => limits.reserve(greedy)).left, 2)
  t.equal(limits.look(user('9/m', { rate: '10/m' }))?.remaining, 8)
  const other = user('20/m', { rate: '10/m' })
  t.equal(tries(100, () => limits.reserve(other)).left, 8)
  t.equal(limits.look({ ...other, app: { id: 'app_2', rate: null, concurrency: null, quotas: [], budgets: [] } })?.remaining, 12)
})

t.test('a call that never reached a provider gives both places back, once', async t => {
  const limits = limitsAt(() => 1_000_000)
  const grant = user('1/m', { rate: '1/m', concurrency: 1 })
  const hold = limits.reserve(grant)
  t.equal(hold.rate?.remaining, 0)
  hold.release()
  hold.release()
  limits.reserve(grant).settle()
  t.throws(() => limits.reserve(grant), { code: 'rate_limited' })
})

t.test('what a call is told is the limit that is nearer', async t => {
  const limits = limitsAt(() => 1_000_000)
  t.match(limits.reserve(user('5/m', { rate: '100/m' })).rate, { limit: 5, remaining: 4 })
  t.match(limits.reserve(user('500/m', { rate: '100/m' })).rate, { limit: 100, remaining: 98 })
})
