import type { IncomingMessage } from 'node:http'
import t from 'tap'
import { readHead } from '../../src/relay/head.js'

function head(...rawHeaders: string[]) {
  return readHead({ rawHeaders } as unknown as IncomingMessage, text => text.startsWith('sk-'))
}

t.test('an access token is found wherever an SDK puts its key', async t => {
  for (const [name, value] of [
    ['Authorization', 'Bearer eyJ.a.b'],
    ['authorization', 'bearer   eyJ.a.b'],
    ['Authorization', 'Token eyJ.a.b'],
    ['Authorization', 'Key eyJ.a.b'],
    ['Authorization', 'eyJ.a.b'],
    ['x-api-key', 'eyJ.a.b'],
    ['api-key', 'eyJ.a.b'],
    ['X-Goog-Api-Key', 'eyJ.a.b'],
    ['xi-api-key', 'eyJ.a.b'],
  ] as const) {
    t.equal(head(name, value).token, 'eyJ.a.b', `${name}: ${value}`)
  }
  t.equal(head('Authorization', 'Bearer ').token, undefined)
  t.equal(head('Authorization', 'Bearer eyJ.a.b', 'x-api-key', 'eyJ.a.b').token, 'eyJ.a.b', 'the same one twice is one')
})

t.test('two different tokens are refused, and so is a real key, beside a token too', async t => {
  t.throws(() => head('Authorization', 'Bearer eyJ.a.b', 'x-api-key', 'eyJ.a.c'), { code: 'several_tokens' })
  t.throws(() => head('Authorization', 'Bearer eyJ.a.b', 'Authorization', 'Bearer eyJ.a.c'), { code: 'several_tokens' })
  t.throws(() => head('x-api-key', 'sk-live'), { code: 'real_key_sent' })
  t.throws(() => head('Authorization', 'Bearer eyJ.a.b', 'x-api-key', 'sk-live'), { code: 'real_key_sent' })
})

t.test('headers that Connection names end here', async t => {
  t.same(head('Connection', 'keep-alive').connectionNames, [])
  t.same(head('Connection', 'close, X-Secret , x-other').connectionNames, ['x-secret', 'x-other'])
})

t.test('a body is expected where a length or chunks are stated', async t => {
  t.equal(head('Content-Length', '5').hasBody, true)
  t.equal(head('Content-Length', '0').hasBody, false)
  t.equal(head('Transfer-Encoding', 'chunked').hasBody, true)
  t.equal(head().hasBody, false)
})
