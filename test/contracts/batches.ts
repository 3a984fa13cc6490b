import { createSecretKey, randomBytes } from 'node:crypto'
import { join } from 'node:path'
import type { Test } from 'tap'
import type { BatchRecord } from '../../src/stores/records.js'
import type { Store, StoreKind } from '../../src/stores/store.js'
import { aBatch, anEntry } from '../support/records.js'

const databaseKey = createSecretKey(randomBytes(32))
const day = { counter: 'grant/grt_1/microDollars/day', windowStartMs: 0, windowEndMs: 86_400_000 }
const held = (amount: number): Partial<BatchRecord> => ({ holds: [{ ...day, quantity: 'microDollars', amount, model: '' }] })

/** What every store promises of batches; run on each one in the registry. */
export function batchContract(t: Test, kind: StoreKind): void {
  async function fresh(t: Test): Promise<Store> {
    const location = join(t.testdir({}), 'soakp.db')
    const store = await kind.open({ location, databaseKey, durability: 'normal', create: true, now: () => 1 })
    t.teardown(() => store.close())
    await store.openInstance('a', 1000)
    return store
  }
  const total = async (store: Store) => (await store.counterTotals([day.counter]))[0]

  t.test(`${kind.scheme}: a batch comes back as it was kept, and once`, async t => {
    const store = await fresh(t)
    const batch = aBatch({ ...held(7), models: ['a', 'b'], requests: 3, subject: 'alice', app: 'app_1' })
    t.equal(await store.keepBatch(batch), true)
    t.equal(await store.keepBatch({ ...batch, callId: 'call_2' }), false, 'another call that was told of it changes nothing')
    t.same(await store.listBatches({}), [batch])
    t.match(await total(store), { used: 0, held: 7, lost: 0 }, 'and its hold is there once')
  })

  t.test(`${kind.scheme}: what a batch holds goes over from the process in one step, and stays when that is closed`, async t => {
    const store = await fresh(t)
    await store.claim('a', { ...day, used: 0, drawn: 10, mostHeld: 10, limit: 10, spare: 0, force: false }, 1)
    await store.keepBatch(aBatch(held(10)), { instance: 'a', states: [{ ...day, used: 0, drawn: 0, mostHeld: 0 }] })
    t.match(await total(store), { used: 0, held: 10, drawn: 10 })
    await store.closeInstance('a', false)
    await store.closeDead(5000, 0)
    t.match(await total(store), { used: 0, held: 10, lost: 0 })
    await store.openInstance('b', 9000)
    const claim = { ...day, used: 0, drawn: 1, mostHeld: 1, limit: 10, spare: 0, force: false }
    t.match(await store.claim('b', claim, 5000), { granted: false, others: 10 })
  })

  t.test(`${kind.scheme}: settled once, whoever tries: entries, what was used and the end of the hold together`, async t => {
    const store = await fresh(t)
    const batch = aBatch(held(10))
    await store.keepBatch(batch)
    const [leased] = await store.leaseBatches('one', 5, 100, 9)
    t.same(leased, batch)
    t.equal(await store.settleBatch(batch, 'two', [anEntry()], [3], 50), false, 'not by one who did not lease it')
    t.equal(await store.settleBatch(batch, 'one', [anEntry(), anEntry()], [3], 50), true)
    t.equal(await store.settleBatch(batch, 'one', [anEntry()], [3], 51), false)
    t.equal((await store.listEntries({})).length, 2)
    t.match(await total(store), { used: 3, held: 0, drawn: 3, lost: 0 })
    t.match(await store.listBatches({}), [{ settledAtMs: 50 }])
    t.same(await store.listBatches({ open: true }), [])
    t.equal(await store.keepBatch(batch), false, 'and it does not begin again')
  })

  t.test(`${kind.scheme}: those that are due are leased to one at a time, the longest due first, until the lease is over`, async t => {
    const store = await fresh(t)
    for (const at of [30, 10, 20, 900]) await store.keepBatch(aBatch({ id: `batch_${at}`, nextPollAtMs: at }))
    const ids = async (holder: string, now: number, most = 9) =>
      (await store.leaseBatches(holder, now, now + 100, most)).map(({ id }) => id)
    t.same(await ids('one', 50, 2), ['batch_10', 'batch_20'])
    t.same(await ids('two', 50), ['batch_30'])
    t.same(await ids('two', 149), [])
    const put = { nextPollAtMs: 500, polls: 4, misses: 1 }
    t.equal(await store.putBatchOff({ keyId: 'key_1', id: 'batch_10' }, 'one', put), true)
    t.equal(await store.putBatchOff({ keyId: 'key_1', id: 'batch_30' }, 'one', put), false)
    t.same((await ids('three', 151)).sort(), ['batch_20', 'batch_30'], 'a lease ends')
    t.match(await store.listBatches({ id: 'batch_10' }), [put])
  })

  t.test(`${kind.scheme}: all can be made due at once, or one; what was settled long ago is forgotten`, async t => {
    const store = await fresh(t)
    for (const at of [100, 200]) await store.keepBatch(aBatch({ id: `batch_${at}`, nextPollAtMs: at }))
    t.equal(await store.hurryBatches(5, 'batch_200'), 1)
    t.same(
      (await store.leaseBatches('one', 5, 100, 9)).map(({ id }) => id),
      ['batch_200'],
    )
    await store.settleBatch({ keyId: 'key_1', id: 'batch_200' }, 'one', [], [], 6)
    t.equal(await store.hurryBatches(5), 1)
    t.equal(await store.pruneBatches(6, 9), 0)
    t.equal(await store.pruneBatches(7, 9), 1)
    t.match(await store.listBatches({}), [{ id: 'batch_100' }])
  })
}
