import { pino } from 'pino'
import t from 'tap'
import { createLedger } from '../../src/ledger/ledger.js'
import { createTally } from '../../src/ledger/tally.js'
import type { Entry } from '../../src/stores/records.js'
import { outageOf } from '../support/limits.js'
import { anEntry } from '../support/records.js'

const log = pino({ level: 'silent' })

function recording(fail: () => boolean = () => false) {
  const commits: string[][] = []
  const store = {
    appendEntries(entries: readonly Entry[]) {
      if (fail()) throw new Error('disk full')
      commits.push(entries.map(entry => entry.id))
    },
  }
  return { commits, store }
}

t.test('entries of one turn of the event loop are one commit, and each call hears when its line is durable', async t => {
  const { commits, store } = recording()
  const ledger = createLedger({ store, log, outage: outageOf({ probe: () => undefined }) })
  const told: string[] = []
  await new Promise<void>(resolve => {
    for (const id of ['a', 'b', 'c']) {
      ledger.record(anEntry({ id }), error => {
        t.equal(error, undefined)
        t.same(commits, [['a', 'b', 'c']], 'told only after the commit')
        told.push(id)
        if (told.length === 3) resolve()
      })
    }
    t.same(commits, [])
  })
  t.same(told, ['a', 'b', 'c'])
  t.ok(ledger.healthy)
})

t.test('when the store fails, the call hears of it, no new call may leave, and nothing is lost', async t => {
  let broken = true
  const { commits, store } = recording(() => broken)
  const ledger = createLedger({ store, log, outage: outageOf({ probe: () => undefined }) })
  const error = await new Promise(resolve => ledger.record(anEntry({ id: 'a' }), resolve))
  t.match(error, { code: 'store_unavailable', cause: { message: 'disk full' } })
  t.notOk(ledger.healthy)
  broken = false
  t.ok(await ledger.settle(10_000))
  t.ok(ledger.healthy)
  t.same(commits, [['a']])
})

t.test('a store that stays broken does not keep the process from ending', async t => {
  const { store } = recording(() => true)
  const ledger = createLedger({ store, log, outage: outageOf({ probe: () => undefined }) })
  await new Promise(resolve => ledger.record(anEntry(), resolve))
  t.notOk(await ledger.settle(1))
  t.equal(ledger.waiting, 1)
})

t.test('an entry recorded while a slow commit is under way goes into the next one', async t => {
  const commits: string[][] = []
  let finish: () => void = () => {}
  const store = {
    appendEntries(entries: readonly Entry[]) {
      commits.push(entries.map(entry => entry.id))
      return new Promise<void>(resolve => {
        finish = resolve
      })
    },
  }
  const ledger = createLedger({ store, log, outage: outageOf({ probe: () => undefined }) })
  const first = new Promise(resolve => ledger.record(anEntry({ id: 'a' }), resolve))
  await new Promise(resolve => setImmediate(resolve))
  const second = new Promise(resolve => ledger.record(anEntry({ id: 'b' }), resolve))
  finish()
  await first
  await new Promise(resolve => setImmediate(resolve))
  finish()
  await second
  t.same(commits, [['a'], ['b']])
})

t.test('a call that fails on the news of its line keeps it from no other', async t => {
  const { store } = recording()
  const ledger = createLedger({ store, log, outage: outageOf({ probe: () => undefined }) })
  await new Promise<void>(resolve => {
    ledger.record(anEntry({ id: 'a' }), () => {
      throw new Error('broken')
    })
    ledger.record(anEntry({ id: 'b' }), () => resolve())
  })
  t.equal(ledger.waiting, 0)
})

t.test(
  'what waits to be written is counted, with when the oldest was over; each line is counted once, however often it is written',
  async t => {
    let broken = true
    const { commits, store } = recording(() => broken)
    const tally = createTally(['openai'])
    const ledger = createLedger({ store, log, tally, outage: outageOf({ probe: () => undefined }) })
    t.equal(ledger.oldestWaitingMs, undefined)
    const told = new Promise(resolve =>
      ledger.record(anEntry({ id: 'a', provider: 'openai', startedAtMs: 5000, durationMs: 250 }), resolve),
    )
    ledger.record(anEntry({ id: 'b', provider: 'openai', startedAtMs: 4000, durationMs: 2000 }), () => {})
    t.match(ledger, { waiting: 2, oldestWaitingMs: 5250 })
    await told
    t.match(ledger, { waiting: 2, oldestWaitingMs: 5250 })
    t.ok(tally.storeFailures.entries >= 1)
    broken = false
    t.ok(await ledger.settle(10_000))
    t.match(ledger, { waiting: 0, oldestWaitingMs: undefined })
    t.same(commits, [['a', 'b']])
    t.equal(tally.providers.get('openai')?.calls.ok, 2)
  },
)

t.test('however many names clients think of for providers, they are counted as one; those that had a key by name, up to a limit', t => {
  const tally = createTally(['openai'])
  for (let at = 0; at < 1000; at++) tally.count(anEntry({ provider: `made-up-${at}`, keyId: null, outcome: 'refused', status: 404 }))
  tally.count(anEntry({ provider: 'openai', keyId: null }))
  t.strictSame([...tally.providers.keys()].sort(), ['openai', 'other'])
  t.equal(tally.providers.get('other')?.calls.refused, 1000)
  for (let at = 0; at < 1000; at++) tally.count(anEntry({ provider: `own-${at}`, keyId: 'key_1' }))
  t.equal(tally.providers.size, 202)
  t.equal(tally.providers.get('other')?.calls.ok, 800)
  t.end()
})
