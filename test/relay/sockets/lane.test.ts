import t from 'tap'
import { Lane } from '../../../src/relay/sockets/lane.js'
import { deferred } from '../../support/until.js'

t.test('messages keep their order however often one has to wait, and what is done afterwards comes last', async t => {
  const seen: string[] = []
  const waits = new Map(['b', 'd'].map(name => [name, deferred()]))
  const over = deferred()
  const lane: Lane = new Lane(
    data => {
      const name = data.toString()
      const wait = waits.get(name)
      if (wait) lane.wait(wait.promise.then(() => void seen.push(name)))
      else seen.push(name)
    },
    () => seen.push('idle'),
  )
  const shared = Buffer.alloc(1)
  for (const name of ['a', 'b', 'c', 'd', 'e']) {
    shared.write(name)
    lane.push(shared, false)
  }
  lane.afterwards(() => over.resolve())
  t.strictSame(seen, ['a'])
  t.ok(lane.isWaiting)
  waits.get('d')?.resolve()
  waits.get('b')?.resolve()
  await over.promise
  t.strictSame(seen, ['a', 'b', 'c', 'd', 'e', 'idle'])
  t.notOk(lane.isWaiting)
})
