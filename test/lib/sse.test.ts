import t from 'tap'
import { createEventReader } from '../../src/lib/sse.js'

function eventsOf(
  text: string,
  split: (bytes: Buffer) => readonly Buffer[],
  format: 'sse' | 'lines' = 'sse',
  maxEventBytes = 1024,
): string[] {
  const events: string[] = []
  const onData = (data: Buffer) => {
    events.push(data.toString())
    return false
  }
  const reader = createEventReader({ onData }, { format, maxEventBytes })
  for (const chunk of split(Buffer.from(text))) t.equal(reader.feed(chunk), chunk)
  reader.end()
  return events
}

const whole = (bytes: Buffer) => [bytes]
const bytewise = (bytes: Buffer) => Array.from(bytes, (_, i) => bytes.subarray(i, i + 1))

t.test('events are read whatever ends their lines and wherever they are split', async t => {
  const cases: readonly (readonly [string, readonly string[]])[] = [
    ['data: a\n\ndata: b\n\n', ['a', 'b']],
    ['data: a\r\n\r\ndata: b\r\n\r\n', ['a', 'b']],
    ['data: a\r\rdata: b\r\r', ['a', 'b']],
    ['data: a\ndata: b\n\n', ['a\nb']],
    ['data:a\n\n', ['a']],
    ['data:  a \n\n', [' a ']],
    ['data\n\ndata: x\n\n', ['', 'x']],
    [': comment\n\nevent: x\nid: 1\ndata: a\nretry: 3\n\n', ['a']],
    ['\ufeffdata: a\n\n', ['a']],
    ['data: a\n\n\ufeffdata: b\n\n', ['a']],
    ['database: a\n\ndata : b\n\n', []],
    ['data: ü😀\n\n', ['ü😀']],
    ['data: left', ['left']],
    ['data: left\n', ['left']],
    ['', []],
  ]
  for (const [text, expected] of cases) {
    t.same(eventsOf(text, whole), expected, JSON.stringify(text))
    t.same(eventsOf(text, bytewise), expected, `${JSON.stringify(text)} byte by byte`)
  }
})

t.test('an event over the limit passes unread, in one line or in many, and the next is read', async t => {
  const long = 'x'.repeat(3000)
  for (const text of [`data: ${long}\n\ndata: a\n\n`, `${'data: 0123456789\n'.repeat(300)}\ndata: a\n\n`, `: ${long}\n\ndata: a\n\n`]) {
    t.same(eventsOf(text, bytewise), ['a'])
    t.same(
      eventsOf(text, bytes => [bytes.subarray(0, 2000), bytes.subarray(2000)]).filter(event => event.length < 9),
      ['a'],
    )
  }
})

t.test('lines are events where the format says so', async t => {
  t.same(eventsOf('{"a":1}\n\n{"b":2}\r\n{"c":3}', bytewise, 'lines'), ['{"a":1}', '{"b":2}', '{"c":3}'])
  t.same(eventsOf(`${'x'.repeat(3000)}\nok\n`, bytewise, 'lines'), ['ok'])
})
