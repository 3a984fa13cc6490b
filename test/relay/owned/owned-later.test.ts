import { pino } from 'pino'
import t from 'tap'
import { SoakpError } from '../../../src/errors.js'
import { keepLater } from '../../../src/relay/owned/owned-later.js'
import type { OwnedRecord } from '../../../src/stores/records.js'
import { memoryStore, outageOf } from '../../support/limits.js'

const thing: OwnedRecord = {
  tenant: 'default',
  provider: 'openai',
  kind: 'response',
  id: 'resp_1',
  keyId: 'key_1',
  grantId: 'grt_1',
  createdAtMs: 1,
  endsAtMs: null,
  facts: null,
}
const named = { tenant: 'default', provider: 'openai', kind: 'response', id: 'resp_1' }

t.test('what a call makes while the store fails is its own at once, stays so, and is written when the store is back', async t => {
  const store = memoryStore(() => 1)
  let isBroken = true
  const broken =
    <A extends unknown[], R>(work: (...args: A) => R) =>
    (...args: A): R => {
      if (isBroken) throw new SoakpError('store_locked')
      return work(...args)
    }
  const outage = outageOf({ probe: broken(() => undefined) }, () => 1, true)
  const owned = keepLater({ ...store, keepOwned: broken(store.keepOwned) }, outage, pino({ level: 'silent' }))
  await store.keepOwned([{ ...thing, id: 'resp_0' }])
  await owned.keepOwned([thing])
  t.ok(outage.isOn)
  await owned.keepOwned([
    { ...thing, grantId: 'grt_2' },
    { ...thing, id: 'resp_0', grantId: 'grt_2' },
    { ...thing, id: 'resp_2' },
  ])
  t.strictSame(await owned.findOwned(named), [thing], 'nobody else can say that it is theirs')
  t.match(await owned.listOwned({ grantId: 'grt_1' }), [{ id: 'resp_2' }, { id: 'resp_1' }, { id: 'resp_0' }])
  t.strictSame(await owned.listOwned({ grantId: 'grt_2' }), [])
  t.ok(await owned.forgetOwned({ ...named, id: 'resp_2', keyId: 'key_1' }))
  t.strictSame(await store.findOwned(named), [])
  isBroken = false
  await outage.tryAgain()
  t.notOk(outage.isOn)
  t.strictSame(await store.findOwned(named), [thing])
  t.equal((await owned.listOwned({ grantId: 'grt_1' })).length, 2, 'and is there once')
})
