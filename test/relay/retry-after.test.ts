import t from 'tap'
import { retryAfterMs } from '../../src/relay/retry-after.js'

const now = Date.UTC(2026, 0, 1, 12)

t.test('every form of Retry-After is read', async t => {
  t.equal(retryAfterMs(['retry-after', '20'], now), 20_000)
  t.equal(retryAfterMs(['retry-after', '0.5'], now), 500)
  t.equal(retryAfterMs(['retry-after', 'Thu, 01 Jan 2026 12:00:07 GMT'], now), 7000)
  t.equal(retryAfterMs(['retry-after', '3', 'retry-after-ms', '2500'], now), 2500, 'the exacter one')
  t.equal(retryAfterMs(['retry-after-ms', '2500', 'retry-after', '3'], now), 2500)
})

t.test('what says nothing to wait for is none', async t => {
  for (const value of ['0', '-1', '', 'soon', 'NaN', '1e999', 'Thu, 01 Jan 2026 11:00:00 GMT'])
    t.equal(retryAfterMs(['retry-after', value], now), undefined, value)
  t.equal(retryAfterMs(['content-type', 'text/plain'], now), undefined)
})
