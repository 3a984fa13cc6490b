import t from 'tap'
import { holdsKey } from '../../src/relay/leaks.js'

const key = Buffer.from('sk-canary-0123456789abcdefghijklmnop')

const echoes: Record<string, string> = {
  'as it is': `Incorrect API key: ${key}`,
  'twelve bytes of it': `ends in ${key.toString().slice(-12)}`,
  'in base64': `got ${key.toString('base64')}`,
  'in base64, behind something': Buffer.from(`Bearer ${key}`).toString('base64'),
  'in base64url': Buffer.from(`x${key}`).toString('base64url'),
  'in hex': key.toString('hex'),
  'in upper-case hex': key.toString('hex').toUpperCase(),
  'percent-encoded': encodeURIComponent(key.toString()).replace(/-/g, '%2D'),
  'with JSON escapes': key.toString().replace(/-/g, '\\u002d'),
}

for (const [how, text] of Object.entries(echoes)) {
  t.test(`a key echoed ${how} is recognised`, async t => {
    t.ok(holdsKey(Buffer.from(`{"error":{"message":${JSON.stringify(text)}}}`), key))
    t.ok(holdsKey(Buffer.from(text), key))
  })
}

t.test('an error that only shows a beginning and an end of a key, as providers mask it, is not taken for the key', async t => {
  t.notOk(holdsKey(Buffer.from('{"error":"Incorrect API key provided: sk-can******mnop."}'), key))
  t.notOk(holdsKey(Buffer.alloc(0), key))
})

t.test('every twelve bytes of a key are recognised wherever they stand, and eleven are not, whatever is around them', async t => {
  const long = Buffer.from(Array.from({ length: 400 }, (_, at) => `${at.toString(36)}-aaaa`).join(''))
  const wrong: string[] = []
  for (let at = 0; at + 12 <= long.length; at += 97) {
    const part = long.subarray(at, at + 12)
    for (const text of [part, Buffer.concat([part, Buffer.from('#')]), Buffer.concat([Buffer.from('##'), part])])
      if (!holdsKey(text, long)) wrong.push(`${at} is not seen`)
    if (holdsKey(Buffer.concat([part.subarray(0, 11), Buffer.from('#')]), long)) wrong.push(`${at} is seen though cut`)
  }
  t.strictSame(wrong, [])
  const other = Buffer.from('aaaa-'.repeat(13_000))
  t.notOk(holdsKey(other, long))
  t.ok(holdsKey(Buffer.concat([other, long.subarray(100, 112)]), long))
  t.ok(holdsKey(Buffer.from('short'), Buffer.from('short')), 'a key of fewer bytes is recognised whole')
})
