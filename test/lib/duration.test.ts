import t from 'tap'
import { formatDuration, parseDuration } from '../../src/lib/duration.js'

t.test('a duration is a whole number and one of s m h d', async t => {
  t.equal(parseDuration('30s'), 30_000)
  t.equal(parseDuration('15m'), 900_000)
  t.equal(parseDuration('24h'), 86_400_000)
  t.equal(parseDuration('30d'), 2_592_000_000)
  t.equal(parseDuration('0s'), 0)
})

t.test('anything that is not plainly a duration is refused', async t => {
  for (const text of ['', '30', 's', '-1s', '1.5h', '30 s', '30S', '1h30m', '30sec', '1e3s', '99999999999999d', '30s\n', '٣s']) {
    t.equal(parseDuration(text), undefined, JSON.stringify(text))
  }
})

t.test('what is written is read back as the same time', async t => {
  for (const text of ['30s', '90s', '15m', '24h', '30d', '0s']) {
    t.equal(parseDuration(formatDuration(parseDuration(text) ?? Number.NaN)), parseDuration(text), text)
  }
  t.equal(formatDuration(86_400_000), '1d')
  t.equal(formatDuration(1500), '1500ms')
})
