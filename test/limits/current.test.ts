import assert from 'node:assert/strict'
import t from 'tap'
import type { MaybePromise } from '../../src/lib/maybe.js'
import { createLimits, type Limited, type Limits } from '../../src/limits/limits.js'
import { memoryStore, outageOf } from '../support/limits.js'
import { aGrant } from '../support/records.js'

const now = () => 1_800_000_000_000

/** Two processes on one store, and a grant whose budgets change. */
function stage(budget: string) {
  const store = memoryStore(now)
  const policy = { grant: aGrant({ budgets: [budget] }) }
  const start = (current: () => MaybePromise<Limited> = () => ({ grant: policy.grant, limits: [] })) =>
    createLimits({ store, outage: outageOf(store), now, current })
  const change = (...budgets: string[]) => {
    policy.grant = { ...policy.grant, budgets }
  }
  const hold = async (limits: Limits, tokens: number) => {
    const held = await limits.reserve(policy.grant)
    await limits.admit(held, { keyId: 'k', model: 'm', mayNameModel: true, worst: () => tokens })
    return held
  }
  const used = async () => (await store.counterTotals([`grant/${policy.grant.id}/tokens/day`])).map(({ drawn }) => drawn)
  return { store, start, change, hold, used }
}

t.test('a call that needs more than was held for it is measured by the limit of that moment, lowered or raised', async t => {
  const { start, change, hold, used } = stage('1000tokens/day')
  const [one, other] = [start(), start()]
  const stream = await hold(one, 300)
  const open = await hold(other, 300)
  change('700tokens/day')
  t.match(await one.cover(stream, { tokens: 500 }), { code: 'budget_exhausted', message: /has 700tokens\/day/ })
  t.match(
    await hold(other, 150).catch(error => error),
    { code: 'budget_exhausted' },
    'what the old limit would have allowed is not added to',
  )
  t.equal(await one.cover(stream, { tokens: 400 }), undefined)
  change('2000tokens/day')
  t.equal(await one.cover(stream, { tokens: 1500 }), undefined)
  stream.settle({ tokens: 1500 })
  open.settle({ tokens: 300 })
  await Promise.all([one.close(), other.close()])
  t.same(await used(), [1800])
})

t.test('a budget that is taken away while a call runs cuts it no more, and counts it to its end', async t => {
  const { start, change, hold, used } = stage('1000tokens/day')
  const limits = start()
  const stream = await hold(limits, 900)
  change()
  t.equal(await limits.cover(stream, { tokens: 5000 }), undefined)
  stream.settle({ tokens: 5000 })
  await limits.close()
  t.same(await used(), [5000])
})

for (const [how, current] of [
  ['throws', () => assert.fail('gone')],
  ['rejects', () => Promise.reject(new Error('gone'))],
] as const)
  t.test(`where the limits of the moment cannot be read, a call is measured by those that it came with: the store ${how}`, async t => {
    const { start, hold } = stage('1000tokens/day')
    const limits = start(current)
    const stream = await hold(limits, 500)
    t.equal(await limits.cover(stream, { tokens: 1000 }), undefined)
    t.match(await limits.cover(stream, { tokens: 1001 }), { code: 'budget_exhausted' })
  })
