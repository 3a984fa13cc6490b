import t from 'tap'
import type { SoakpError } from '../../src/errors.js'
import type { CallFacts } from '../../src/limits/limits.js'
import { limitsAt, memoryStore } from '../support/limits.js'
import { aBatch, aGrant } from '../support/records.js'

const facts = (microDollars: number): CallFacts => ({ keyId: 'key_1', model: 'm', mayNameModel: true, worst: () => microDollars })
const now = () => 1_000_000

t.test('what is held for a batch is off the budget until it is settled, exactly, and is not had twice', async t => {
  const store = memoryStore(now)
  const limits = limitsAt(now, store)
  const grant = aGrant({ budgets: ['0.0001usd/d'] })
  const take = (amount: number) => {
    const hold = limits.reserve(grant)
    try {
      limits.admit(hold, facts(amount))
      return hold
    } catch (error) {
      hold.release()
      return (error as SoakpError).code
    }
  }
  const making = take(60)
  if (typeof making === 'string') return t.fail(making)
  const parked = limits.park(making)
  if (!parked) return t.fail('nothing was parked')
  const batch = aBatch({ holds: parked.holds })
  t.equal(await store.keepBatch(batch, parked.from), true)
  parked.done(true)
  making.settle({ microDollars: 0 })
  t.equal(take(41), 'budget_exhausted')
  const call = take(40)
  if (typeof call === 'string') return t.fail(call)
  t.equal(take(1), 'budget_exhausted')
  call.release()
  await store.leaseBatches('p', 1, 2, 1)
  await store.settleBatch(batch, 'p', [], [10], 2)
  limits.forget(parked.holds.map(({ counter }) => counter))
  t.equal(take(91), 'budget_exhausted')
  t.not(take(90), 'budget_exhausted', 'what the batch did not use is free again')
  await limits.close()
})

t.test('a batch that could not be written down is held for by its call again', async t => {
  const store = memoryStore(now)
  const limits = limitsAt(now, store)
  const hold = limits.reserve(aGrant({ budgets: ['0.0001usd/d'] }))
  limits.admit(hold, facts(60))
  limits.park(hold)?.done(false)
  t.same(
    hold.budgets.map(({ amount }) => amount),
    [60],
  )
  hold.settle()
  await limits.close()
})
