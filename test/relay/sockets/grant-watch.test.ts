import t from 'tap'
import type { SoakpError } from '../../../src/errors.js'
import { createGrantWatch } from '../../../src/relay/sockets/grant-watch.js'
import { accessRig } from '../../support/access-rig.js'
import { aKey } from '../../support/records.js'

t.test('a connection whose grant could not be read is looked at again until it can', async t => {
  const { access, store, policy, clock } = await accessRig()
  const key = aKey()
  await store.insertKey(key)
  const closed: (string | undefined)[] = []
  const connections = await Promise.all(
    ['first', 'second'].map(async (name, at) => {
      const { token } = await access.create({ name, scope: { kind: 'all' }, lifetimeMs: 3_600_000 })
      return { exchange: { grant: await access.authenticate(token), key }, refuse: (error: SoakpError) => (closed[at] = error.code) }
    }),
  )
  let fails = false
  const watch = createGrantWatch(
    {
      ...policy,
      grant(id) {
        if (fails) throw new Error('the disk is gone')
        return policy.grant(id)
      },
    },
    () => clock.now,
  )
  await watch.closeUnallowed(connections)
  t.same(closed, [])
  for (const { exchange } of connections) await access.revoke(exchange.grant.record.id, false)
  fails = true
  await t.rejects(watch.closeUnallowed(connections), { message: 'the disk is gone' })
  await t.rejects(watch.closeUnallowed(connections), { message: 'the disk is gone' }, 'though nothing has changed since')
  t.same(closed, [])
  fails = false
  await watch.closeUnallowed(connections)
  t.same(closed, ['token_revoked', 'token_revoked'])
})
