import t from 'tap'
import { compilePointers, type Scan, scanJson } from '../../src/lib/json-scan.js'
import { spliceStreamOptions, streamOptionsPointers } from '../../src/lib/json-splice.js'

const pointers = compilePointers(['/model', '/stream', '/max_tokens', '/models/*', '/tools/*/model', '/a/b/c', ...streamOptionsPointers])
const scan = (text: string | Buffer): Scan => scanJson(typeof text === 'string' ? Buffer.from(text) : text, pointers)

function values(text: string): Record<string, unknown[]> {
  const result = scan(text)
  if (!result.ok) throw new Error(`${result.fault} at ${result.at}`)
  const all: Record<string, unknown[]> = {}
  for (const { pointer, value } of result.found) {
    all[pointer] ??= []
    all[pointer]?.push(value)
  }
  return all
}

const fault = (text: string | Buffer) => {
  const result = scan(text)
  return result.ok ? 'none' : result.fault
}

t.test('values are found at their pointers, through arrays and objects, and nowhere else', async t => {
  const body = {
    model: 'm-1',
    max_tokens: -1.5e2,
    stream: true,
    models: ['a', 'b', null, { model: 'no' }],
    tools: [{ model: 'x' }, { type: 'function', function: { model: 'no' } }, { model: ['no'] }, 7],
    a: { b: { c: false, model: 'no' }, model: 'no' },
    messages: [{ model: 'no', role: 'user', content: '"model":"no"' }],
  }
  t.same(values(JSON.stringify(body)), {
    '/model': ['m-1'],
    '/max_tokens': [-150],
    '/stream': [true],
    '/models/*': ['a', 'b', null, undefined],
    '/tools/*/model': ['x', undefined],
    '/a/b/c': [false],
  })
  t.same(values(JSON.stringify(body, null, '\r\n\t ')), values(JSON.stringify(body)))
  t.same(values('{"models":{"x":"a","x":"b"},"tools":{"k":{"model":"m"}}}'), { '/models/*': ['a', 'b'], '/tools/*/model': ['m'] })
})

t.test('offsets give back the bytes of a value', async t => {
  const text = '{"ü":"ö", "model" : "gpt-\\u00fc" ,"stream_options": { "x" : 1 } }'
  const result = scan(text)
  if (!result.ok) throw new Error(result.fault)
  t.same(
    result.found.map(({ start, end }) => Buffer.from(text).subarray(start, end).toString()),
    ['"gpt-\\u00fc"', '{ "x" : 1 }'],
  )
  t.equal(result.found[0]?.value, 'gpt-ü')
})

t.test('a name written with escapes is the name', async t => {
  t.same(values('{"\\u006dodel":"x"}'), { '/model': ['x'] })
  t.same(values('{"\\u006d\\u006F\\u0064\\u0065\\u006c":"\\ud83d\\ude00"}'), { '/model': ['😀'] })
})

t.test('a ruled name that stands twice, or in two spellings, is refused', async t => {
  for (const body of [
    '{"model":"a","model":"b"}',
    '{"model":"a","\\u006dodel":"b"}',
    '{"model":"a","Model":"b"}',
    '{"MODEL":"b"}',
    '{"mod\\u0045l":"b"}',
    '{"model\\u0000x":"b"}',
    '{"max_to\u212Aens":1}',
    '{"max_token\u017F":1}',
    '{"\\u017ftream":true}',
    '{"ｍodel":"b"}',
    '{"tools":[{"model":"a"}],"tools":[]}',
    '{"tools":[{"model":"a","Model":"b"}]}',
    '{"tools":[],"Tools":[{"model":"b"}]}',
    '{"a":{"b":{}},"a":{"b":{"c":1}}}',
    '{"a":{"b":{},"B":{}}}',
    '{"stream_options":{"include_usage":true,"include_usage":false}}',
  ]) {
    t.equal(fault(body), 'ambiguous', body)
  }
})

t.test('names that no rule depends on may stand as often as they like', async t => {
  t.equal(fault('{"x":1,"x":2,"X":3,"messages":[{"model":1,"Model":2,"model":3}],"modelx":1,"mode":2}'), 'none')
  t.equal(fault('{"a":{"model":1,"MODEL":2}}'), 'none')
})

t.test('what RFC 8259 does not allow is refused, at the byte where it stands', async t => {
  for (const body of [
    '',
    ' ',
    '{',
    '{"a"',
    '{"a":',
    '{"a":1',
    '{"a":1,',
    '{"a":1,}',
    '{,}',
    '{a:1}',
    "{'a':1}",
    '[1,]',
    '[,]',
    '[1 2]',
    '{"a" 1}',
    '{"a":1 "b":2}',
    '{} {}',
    '{}x',
    '01',
    '-',
    '+1',
    '1.',
    '.5',
    '1e',
    '1e+',
    'NaN',
    'Infinity',
    'tru',
    'nulL',
    'undefined',
    '"',
    '"\\x"',
    '"\\u12g4"',
    '"\\u12',
    '"\\',
    '"a\nb"',
    '"a\tb"',
    '"a\u0000b"',
    '/**/{}',
    '{"a":1}//',
    '\ufeff{}',
    '\u00a0{}',
    '{"a":1]',
    '[1}',
    '{"a":{"b":[}}',
  ]) {
    t.equal(fault(body), 'invalid', JSON.stringify(body))
    t.throws(() => JSON.parse(body), 'and no parser takes it')
  }
  t.same(scan('{"a":x}'), { ok: false, fault: 'invalid', at: 5 })
})

t.test('bytes that are no UTF-8 are refused, in names and in values', async t => {
  for (const bytes of [
    [0x22, 0xff, 0x22],
    [0x22, 0xc0, 0xaf, 0x22],
    [0x22, 0xed, 0xa0, 0x80, 0x22],
    [0x22, 0xe2, 0x82, 0x22],
  ]) {
    const text = Buffer.from(bytes)
    t.equal(fault(text), 'invalid')
    t.equal(fault(Buffer.concat([Buffer.from('{'), text, Buffer.from(':1}')])), 'invalid')
  }
  t.equal(fault('{"é":"ü"}'), 'none')
})

t.test('every document that JSON.parse takes is taken, and none that it refuses', async t => {
  const seeds = ['{"model":"a\\n","x":[1,-2.5e3,true,null,{"y":"ü"}]}', '[[],{},"",0]', '{"stream_options":{"include_usage":false}}']
  let state = 7
  const random = (below: number) => {
    state = (Math.imul(state, 1103515245) + 12345) >>> 0
    return (state >>> 8) % below
  }
  const alphabet = '{}[]",:\\u0n1et \n-.a'
  for (let round = 0; round < 20_000; round++) {
    const seed = seeds[random(seeds.length)] ?? ''
    const at = random(seed.length)
    const text = seed.slice(0, at) + alphabet[random(alphabet.length)] + seed.slice(at + random(2))
    let valid = true
    try {
      JSON.parse(text)
    } catch {
      valid = false
    }
    const result = fault(text)
    if ((result === 'invalid') === valid) t.fail(`${text}: ${result}`)
  }
  t.pass('20 000 mutated documents')
})

t.test('nesting is limited, and a hostile body takes no more than its length', async t => {
  t.equal(fault('['.repeat(512) + ']'.repeat(512)), 'none')
  t.equal(fault('['.repeat(513) + ']'.repeat(513)), 'too_deep')
  t.equal(fault('['.repeat(5_000_000)), 'too_deep')
  t.equal(fault(`{"models":[${'1,'.repeat(200_000)}1]}`), 'too_many')
  t.equal(fault(`{${'"Xodel":1,'.repeat(300_000)}"y":1}`), 'none')
  t.equal(fault(`{"${'\\u0041'.repeat(500_000)}":1}`), 'none')
})

function splice(text: string) {
  const result = scan(text)
  if (!result.ok) throw new Error(result.fault)
  const { body, asked, injected } = spliceStreamOptions(Buffer.from(text), result)
  return { text: body.toString(), asked, injected }
}

t.test('usage is asked for by bytes, and nothing else of the body changes', async t => {
  for (const [before, after] of [
    ['{"model":"a", "stream":true}', '{"stream_options":{"include_usage":true},"model":"a", "stream":true}'],
    [' { } ', ' {"stream_options":{"include_usage":true} } '],
    ['{"stream_options":null,"x":1}', '{"stream_options":{"include_usage":true},"x":1}'],
    ['{"stream_options": { } }', '{"stream_options": {"include_usage":true } }'],
    ['{"stream_options":{"a":1}}', '{"stream_options":{"include_usage":true,"a":1}}'],
    ['{"stream_options":{"include_usage": false}}', '{"stream_options":{"include_usage": true}}'],
    ['{"stream_options":{"include_usage":null,"a":"ü"}}', '{"stream_options":{"include_usage":true,"a":"ü"}}'],
  ] as const) {
    t.same(splice(before), { text: after, asked: false, injected: true })
  }
})

t.test('a client that asked for usage itself is left alone, and so is what cannot be merged', async t => {
  const asked = '{"stream_options":{"include_usage":true}}'
  t.same(splice(asked), { text: asked, asked: true, injected: false })
  for (const text of ['{"stream_options":7}', '{"stream_options":[]}', '[]', '"x"'])
    t.same(splice(text), { text, asked: false, injected: false })
})
