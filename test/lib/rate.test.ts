import t from 'tap'
import { parseRate } from '../../src/lib/rate.js'

t.test('a rate is a count and the window it holds for', async t => {
  t.same(parseRate('60/m'), { count: 60, windowMs: 60_000 })
  t.same(parseRate('1/s'), { count: 1, windowMs: 1000 })
  t.same(parseRate('1000/h'), { count: 1000, windowMs: 3_600_000 })
  t.same(parseRate('5/d'), { count: 5, windowMs: 86_400_000 })
})

t.test('anything that is not plainly a rate is refused', async t => {
  for (const text of ['', '60', '60/', '/m', '0/m', '-1/m', '1.5/s', '60/min', '60 / m', '60/M', '60/m\n'])
    t.equal(parseRate(text), undefined, JSON.stringify(text))
})
