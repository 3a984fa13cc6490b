import { createSecretKey, randomBytes } from 'node:crypto'
import { join } from 'node:path'
import type { Test } from 'tap'
import type { ClaimRequest } from '../../src/stores/slices.js'
import type { Store, StoreKind } from '../../src/stores/store.js'

const databaseKey = createSecretKey(randomBytes(32))
const day = { counter: 'grant/grt_1/calls/day', windowStartMs: 0, windowEndMs: 86_400_000 }

function ask(drawn: number, more: Partial<ClaimRequest> = {}): ClaimRequest {
  return { ...day, used: 0, drawn, mostHeld: drawn, limit: 10, spare: 0, force: false, ...more }
}

/** What every store promises of counters that several processes share; run on each one in the registry. */
export function sliceContract(t: Test, kind: StoreKind): void {
  async function fresh(t: Test): Promise<Store> {
    const location = join(t.testdir({}), 'soakp.db')
    const store = await kind.open({ location, databaseKey, durability: 'normal', create: true, now: () => 1 })
    t.teardown(() => store.close())
    for (const instance of ['a', 'b']) await store.openInstance(instance, 1000)
    return store
  }

  t.test(`${kind.scheme}: of two instances racing for a limit, both together draw exactly as much as there is`, async t => {
    const store = await fresh(t)
    // each instance asks for one after the other, and both at once
    const drawn = await Promise.all(
      ['a', 'b'].map(async instance => {
        let own = 0
        for (let index = 0; index < 20; index++) if ((await store.claim(instance, ask(own + 1), 1)).granted) own++
        return own
      }),
    )
    t.equal((drawn[0] ?? 0) + (drawn[1] ?? 0), 10)
    t.match(await store.counterTotals([day.counter]), [{ used: 0, drawn: 10, lost: 0 }])
  })

  t.test(`${kind.scheme}: a refused claim changes nothing and tells what the others have`, async t => {
    const store = await fresh(t)
    await store.claim('a', ask(4), 1)
    t.same(await store.claim('b', ask(7), 1), { granted: false, drawn: 7, others: 4 })
    t.match(await store.counterTotals([day.counter]), [{ drawn: 4 }])
    t.match(await store.claim('b', ask(6), 1), { granted: true, drawn: 6, others: 4 })
  })

  t.test(`${kind.scheme}: what is drawn ahead is a small part of what is left, and never past the limit`, async t => {
    const store = await fresh(t)
    const { drawn } = await store.claim('a', ask(1, { limit: 161, spare: 1000 }), 1)
    t.equal(drawn, 11)
    t.match(await store.claim('a', ask(161, { limit: 161, spare: 1000 }), 1), { granted: true, drawn: 161 })
  })

  t.test(`${kind.scheme}: what is only watched is drawn past the limit`, async t => {
    const store = await fresh(t)
    t.match(await store.claim('a', ask(12, { force: true, spare: 5 }), 1), { granted: true, drawn: 12 })
    t.match(await store.claim('b', ask(1), 1), { granted: false, others: 12 })
  })

  t.test(
    `${kind.scheme}: an instance that is overdue is closed when its part is needed: used stays used, what it held counts as lost, the rest is free`,
    async t => {
      const store = await fresh(t)
      await store.claim('a', ask(9, { used: 2, mostHeld: 3 }), 1)
      t.match(await store.claim('b', ask(5), 999), { granted: false, others: 9 })
      await store.renewInstance('b', 5000)
      t.match(await store.claim('b', ask(5), 1000), { granted: true, others: 5 })
      t.match(await store.counterTotals([day.counter]), [{ used: 5, drawn: 10, lost: 3 }])
      t.equal(await store.otherInstances('b', 1001), 0)
      t.equal(await store.renewInstance('a', 9000), 'closed', 'and it hears of it')
      t.equal(await store.renewInstance('a', 9000), 'open')
      t.equal(await store.renewInstance('c', 9000), 'gone')
    },
  )

  t.test(
    `${kind.scheme}: an instance that only stood still says its own numbers when it goes on, and nothing of it is counted twice`,
    async t => {
      const store = await fresh(t)
      await store.claim('a', ask(9, { used: 2, mostHeld: 3 }), 1)
      await store.closeDead(1000, 0)
      const state = { ...day, used: 4, drawn: 5, mostHeld: 1 }
      await store.settleSlices('a', [state])
      t.match(await store.counterTotals([day.counter]), [{ used: 4, drawn: 5, held: 1, lost: 0 }])
      await store.openInstance('c', 9000)
      t.match(await store.claim('c', ask(6), 2000), { granted: false, others: 5 }, 'what it says again is closed again')
      t.match(await store.counterTotals([day.counter]), [{ used: 5, drawn: 5, held: 0, lost: 1 }])
      await store.renewInstance('a', 9000)
      await store.settleSlices('a', [{ ...state, drawn: 4, mostHeld: 0 }])
      t.match(await store.counterTotals([day.counter]), [{ used: 4, drawn: 4, lost: 0 }])
    },
  )

  t.test(`${kind.scheme}: one that has been away for longer than windows are remembered is settled for good`, async t => {
    const store = await fresh(t)
    await store.claim('a', ask(9, { used: 2, mostHeld: 3, windowEndMs: 1e9 }), 1)
    await store.closeDead(1000, 0)
    await store.closeDead(5000, 2000)
    t.equal(await store.renewInstance('a', 9000), 'gone')
    t.match(await store.counterTotals([day.counter]), [{ used: 5, drawn: 5, lost: 3 }])
  })

  t.test(`${kind.scheme}: what others have of a counter can be read, drawn ahead or lost`, async t => {
    const store = await fresh(t)
    await store.claim('a', ask(4), 1)
    await store.claim('b', ask(2), 1)
    t.equal(await store.drawnByOthers('a', day), 2)
    t.equal(await store.drawnByOthers('nobody', day), 6)
    t.equal(await store.drawnByOthers('a', { ...day, windowStartMs: 86_400_000 }), 0)
  })

  t.test(`${kind.scheme}: an instance that ends in order loses nothing`, async t => {
    const store = await fresh(t)
    await store.claim('a', ask(9, { used: 2 }), 1)
    await store.closeInstance('a', true)
    t.match(await store.counterTotals([day.counter]), [{ used: 2, drawn: 2, lost: 0, held: 0 }])
    t.match(await store.claim('b', ask(8), 1), { granted: true, others: 2 })
  })

  t.test(`${kind.scheme}: what calls used becomes durable with their entries, and saying it twice does no harm`, async t => {
    const store = await fresh(t)
    await store.claim('a', ask(5), 1)
    const states = [{ ...day, used: 3, drawn: 5, mostHeld: 2 }]
    await store.appendEntries([], { instance: 'a', states })
    await store.settleSlices('a', states)
    t.match(await store.counterTotals([day.counter]), [{ used: 3, drawn: 5, held: 2 }])
  })

  t.test(`${kind.scheme}: an idle slice that is retired is remembered, and the instance begins at nothing`, async t => {
    const store = await fresh(t)
    await store.claim('a', ask(5, { used: 4 }), 1)
    await store.retireSlices('a', [day])
    t.match(await store.claim('a', ask(6), 1), { granted: true, others: 4 })
    t.match(await store.claim('a', ask(7), 1), { granted: false })
  })

  t.test(`${kind.scheme}: every window counts for itself, and those long over are forgotten, a few at a time`, async t => {
    const store = await fresh(t)
    const next = { windowStartMs: 86_400_000, windowEndMs: 2 * 86_400_000 }
    await store.claim('a', ask(10), 1)
    t.match(await store.claim('a', ask(10, next), 1), { granted: true, others: 0 })
    t.same(
      (await store.counterTotals([day.counter])).map(total => total.windowStartMs),
      [86_400_000, 0],
    )
    const total = { counter: 'grant/grt_1/calls/total', windowStartMs: 0, windowEndMs: Number.MAX_SAFE_INTEGER }
    await store.claim('a', ask(1, total), 1)
    await store.claim('b', ask(1, next), 1)
    const twoDays = 2 * 86_400_000
    t.equal(await store.pruneWindows(day.windowEndMs + twoDays, 10), 0)
    t.equal(await store.pruneWindows(day.windowEndMs + twoDays + 1, 10), 1)
    t.same(
      (await store.counterTotals([day.counter])).map(total => total.windowStartMs),
      [86_400_000],
    )
    t.equal(await store.pruneWindows(next.windowEndMs + twoDays + 1, 1), 1)
    t.equal(await store.pruneWindows(next.windowEndMs + twoDays + 1, 5), 0)
    t.match(await store.counterTotals([day.counter, total.counter]), [{ counter: total.counter }], 'what never ends stays')
  })

  t.test(`${kind.scheme}: limits are listed by tenant, replaced by what they are on, and every change of them is seen`, async t => {
    const store = await fresh(t)
    const limit = {
      tenant: 'default',
      kind: 'key',
      subject: 'key_1',
      model: '',
      rate: '5/m',
      concurrency: 2,
      quotas: ['10/day'],
      budgets: ['5.00usd/month'],
      shadow: true,
      createdAtMs: 1,
    } as const
    const before = await store.policyGeneration()
    await store.putLimit(limit)
    await store.putLimit({ ...limit, model: 'gpt-*', rate: null })
    await store.putLimit({ ...limit, tenant: 'acme' })
    await store.putLimit({ ...limit, shadow: false, quotas: [], createdAtMs: 2 })
    t.strictSame(await store.listLimits('default'), [
      { ...limit, shadow: false, quotas: [] },
      { ...limit, model: 'gpt-*', rate: null },
    ])
    const between = await store.policyGeneration()
    t.ok(between > before)
    t.equal(await store.removeLimit('default', 'key', 'key_1', ''), true)
    t.equal(await store.removeLimit('default', 'key', 'key_1', ''), false)
    t.equal((await store.listLimits('acme')).length, 1)
    t.ok((await store.policyGeneration()) > between)
  })
}
