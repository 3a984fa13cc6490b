import { mock } from 'node:test'
import t from 'tap'
import { createShed } from '../../src/server/shed.js'

mock.timers.enable({ apis: ['setInterval'] })
const second = () => mock.timers.tick(1_000)

t.test('calls are turned away while the event loop lags for longer than a second, and taken again when it does not', async t => {
  const delaysMs = [250, 30, 250, 250, 300, 30]
  const shed = createShed({ openCalls: () => 0, maxCalls: 10, maxLagMs: 200, readDelayNs: () => (delaysMs.shift() ?? 0) * 1e6 })
  t.teardown(() => shed.close())
  const seen = Array.from({ length: 6 }, () => {
    second()
    return shed.refusal()
  })
  t.same(seen, [undefined, undefined, undefined, 'overloaded', 'overloaded', undefined], 'one long turn is no overload')
})

t.test('calls are turned away while as many are open as may be', async t => {
  let open = 9
  const shed = createShed({ openCalls: () => open, maxCalls: 10, maxLagMs: 200, readDelayNs: () => 0 })
  t.teardown(() => shed.close())
  t.equal(shed.refusal(), undefined)
  open = 10
  t.equal(shed.refusal(), 'overloaded')
})

t.test('a daemon that ends says so, whatever else is the case', async t => {
  const shed = createShed({ openCalls: () => 99, maxCalls: 10, maxLagMs: 200 })
  t.teardown(() => shed.close())
  shed.drain()
  second()
  t.equal(shed.refusal(), 'shutting_down')
})
