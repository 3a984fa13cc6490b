import t from 'tap'
import { csv } from '../../src/cli/format.js'
import { parseCsv } from '../../src/lib/csv.js'

t.test('what is written as CSV is read back as it was', async t => {
  const rows = [
    ['a', 'b', ''],
    ['with, comma', 'with "quotes"', 'two\r\nlines'],
    ['', '', 'x'],
  ]
  t.same(parseCsv(csv(rows)), rows)
})

t.test('other habits of writing CSV are understood', async t => {
  t.same(parseCsv('\ufeffa,b\n1,2'), [
    ['a', 'b'],
    ['1', '2'],
  ])
  t.same(parseCsv('a\tb\r\n1\t2,5\r\n\r\n'), [
    ['a', 'b'],
    ['1', '2,5'],
  ])
  t.same(parseCsv('a,\n,b,'), [
    ['a', ''],
    ['', 'b', ''],
  ])
  t.same(parseCsv('"open'), [['open']])
  t.same(parseCsv(''), [])
})
