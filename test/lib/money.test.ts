import t from 'tap'
import { formatDollars, parseDollars, toDollars } from '../../src/lib/money.js'

t.test('dollars become whole micro-dollars without rounding', async t => {
  t.equal(parseDollars('5'), 5_000_000)
  t.equal(parseDollars('0.1'), 100_000)
  t.equal(parseDollars('0.000001'), 1)
  t.equal(parseDollars('1.15'), 1_150_000)
  t.equal(parseDollars('$5'), 5_000_000)
  t.equal(parseDollars('5usd'), 5_000_000)
  t.equal(parseDollars('999999999.999999'), 999_999_999_999_999)
})

t.test('anything that is not plainly an amount is refused', async t => {
  for (const text of ['', '-1', '.5', '5.', '1,5', '0.0000001', '1e3', 'NaN', '5eur', '12345678901'])
    t.equal(parseDollars(text), undefined, JSON.stringify(text))
})

t.test('an amount reads back as itself', async t => {
  for (const [microDollars, text] of [
    [0, '0.00'],
    [1, '0.000001'],
    [2500, '0.0025'],
    [5_000_000, '5.00'],
    [1_234_500, '1.2345'],
    [1_500_000, '1.50'],
  ] as const) {
    t.equal(formatDollars(microDollars), text)
    t.equal(parseDollars(text), microDollars)
  }
  t.equal(formatDollars(-1_500_000), '-1.50')
  t.equal(toDollars(1_500_000), 1.5)
})
