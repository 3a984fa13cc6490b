import t from 'tap'
import { corsHeaders } from '../../src/lib/cors.js'
import { get, get2, openDoor, session } from './door.js'

const preflight = (origin: string, more: Record<string, string> = {}) => ({
  method: 'OPTIONS',
  headers: {
    origin,
    'access-control-request-method': 'POST',
    'access-control-request-headers': 'authorization, Content-Type,x-stainless-os',
    ...more,
  },
})

t.test('a preflight is allowed for an origin of the settings or of a grant, and answered without a token', async t => {
  const door = await openDoor(t, { corsOrigins: ['https://app.example'] })
  door.relay.origins.push('https://granted.example')
  for (const origin of ['https://app.example', 'https://granted.example']) {
    const { status, headers } = await get(door, '/openai/v1/chat/completions', preflight(origin))
    t.equal(status, 204)
    t.match(headers, {
      'access-control-allow-origin': origin,
      'access-control-allow-headers': 'authorization, Content-Type, x-stainless-os',
      'access-control-allow-methods': /POST/,
      'access-control-max-age': '600',
      vary: 'Origin, Access-Control-Request-Method, Access-Control-Request-Headers',
    })
    t.notOk('access-control-allow-credentials' in headers)
  }
  t.equal(door.relay.calls.length, 0)
  const { headers, ...rest } = preflight('https://app.example')
  t.equal((await get2(session(t, door), { ':path': '/openai/x', ':method': rest.method, ...headers })).status, 204)
})

t.test('a preflight of any other origin is refused, and nothing in the refusal lets a browser go on', async t => {
  const door = await openDoor(t, { corsOrigins: ['https://app.example'] })
  for (const origin of ['https://evil.example', 'null', 'https://app.example.evil.example', 'http://app.example']) {
    const { status, headers, body } = await get(door, '/openai/v1/models', preflight(origin))
    t.equal(status, 403)
    t.match(JSON.parse(body), { code: 'origin_not_allowed' })
    t.same(
      Object.keys(headers).filter(name => name.startsWith('access-control')),
      [],
    )
    t.match(headers.vary, 'Origin')
  }
})

t.test('a preflight that asks for something that is no header name is refused', async t => {
  const door = await openDoor(t, { corsOrigins: ['https://app.example'] })
  for (const names of ['a b', 'x;y', ',', 'a'.repeat(200)]) {
    t.equal(
      (await get(door, '/openai/x', preflight('https://app.example', { 'access-control-request-headers': names }))).status,
      403,
      names,
    )
  }
})

t.test('with every origin allowed, the answer still names the one that asked', async t => {
  const door = await openDoor(t, { corsOrigins: ['*'] })
  t.match((await get(door, '/openai/x', preflight('https://any.example'))).headers, {
    'access-control-allow-origin': 'https://any.example',
  })
})

t.test('OPTIONS that is no preflight is a call like any other', async t => {
  const door = await openDoor(t)
  await get(door, '/openai/x', { method: 'OPTIONS' })
  await get(door, '/openai/x', { method: 'OPTIONS', headers: { origin: 'https://app.example' } })
  t.equal(door.relay.calls.length, 2)
})

t.test('a rule that cannot be asked refuses', async t => {
  const door = await openDoor(t)
  Object.defineProperty(door.relay, 'origins', {
    get() {
      throw new Error('the store is gone')
    },
  })
  const { status, headers } = await get(door, '/openai/x', preflight('https://app.example'))
  t.equal(status, 500)
  t.notOk('access-control-allow-origin' in headers)
})

t.test('replies to an allowed origin name it, vary by it and never allow credentials', async t => {
  t.same(corsHeaders('https://app.example'), {
    'access-control-allow-origin': 'https://app.example',
    'access-control-expose-headers': '*',
    vary: 'Origin',
  })
})
