import t from 'tap'
import { csv, facts, printable, table } from '../../src/cli/format.js'

t.test('a table lines up, shows nothing as a dash, and lets no text move the cursor', async t => {
  const rows = [
    { name: 'a', count: 5 },
    { name: '', count: 12_345 },
    { name: 'gpt\u001b[2J\u202e', count: null },
  ]
  const text = table(rows, [
    { title: 'NAME', value: row => row.name },
    { title: 'COUNT', value: row => row.count, right: true },
  ])
  t.equal(
    text,
    ['NAME                COUNT', 'a                       5', '-                   12345', 'gpt\\u001b[2J\\u202e      -'].join('\n'),
  )
  t.equal(
    facts([
      ['id', 'x'],
      ['name', null],
    ]),
    'id    x\nname  -',
  )
  t.equal(printable('naïve 日本'), 'naïve 日本')
})

t.test('a table may have more rows than a call takes arguments', async t => {
  const rows = Array.from({ length: 250_000 }, (_, index) => index)
  const text = table(rows, [{ title: 'N', value: row => row, right: true }])
  t.equal(text.slice(0, 13), '     N\n     0')
  t.equal(text.length, 7 * 250_001 - 1)
})

t.test('CSV is as RFC 4180 says, and nothing in it is a formula', async t => {
  t.equal(
    csv([
      ['model', 'calls', 'usd'],
      ['a,b', 1, null],
      ['say "hi"\nthere', -2, '0.10'],
      ['=HYPERLINK("http://x")', 3, '1'],
      ['+1', 4, '@x'],
      ['-2+3', 5, '\tx'],
    ]),
    ['model,calls,usd', '"a,b",1,', '"say ""hi""\nthere",-2,0.10', `"'=HYPERLINK(""http://x"")",3,1`, `'+1,4,'@x`, `'-2+3,5,'\tx`, ''].join(
      '\r\n',
    ),
  )
})
