import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import t from 'tap'
import { SoakpError } from '../../src/errors.js'
import { until } from '../support/until.js'
import { get, get2, openDoor, session } from './door.js'

t.test('health is told without details', async t => {
  const door = await openDoor(t)
  for (const path of ['/healthz', '/readyz']) {
    const { status, body, headers } = await get(door, path)
    t.equal(status, 200)
    t.same(JSON.parse(body), { status: 'ok' })
    t.match(headers, {
      'cache-control': 'no-store',
      'x-content-type-options': 'nosniff',
      'content-security-policy': /default-src 'none'/,
      'x-request-id': /^call_/,
    })
    const head = await get(door, path, { method: 'HEAD' })
    t.match(head, { status: 200, body: '' })
  }
})

t.test('a store that takes no writes makes it not ready, alive all the same, and tells no stranger why', async t => {
  const door = await openDoor(t)
  for (const fault of [
    new SoakpError('store_full', '/var/lib/soakp', { cause: new Error('SQLITE_FULL') }),
    new Error('a driver said /etc/passwd'),
  ]) {
    door.store.fault = fault
    const { status, body, headers } = await get(door, '/readyz')
    t.ok(status >= 500)
    t.match(headers['content-type'], 'application/problem+json')
    t.notMatch(body, /var|passwd|SQLITE/)
    t.equal((await get(door, '/healthz')).status, 200)
  }
  door.store.fault = undefined
  await until(async () => (await get(door, '/readyz')).status === 200, 'it to be ready again')
})

t.test('the public keys of access tokens are there for all, and only their public halves', async t => {
  const door = await openDoor(t)
  const { status, body, headers } = await get(door, '/.well-known/jwks.json')
  t.equal(status, 200)
  t.same(JSON.parse(body), { keys: [{ kty: 'OKP', crv: 'Ed25519', x: 'public', kid: 'one' }] })
  t.match(headers, { 'content-type': /application\/jwk-set\+json/, 'cache-control': 'public, max-age=300' })
  t.match(await get(door, '/.well-known/jwks.json', { method: 'HEAD' }), { status: 200, body: '' })
})

t.test('what is not served is a problem that says so', async t => {
  const door = await openDoor(t)
  for (const path of ['/', '/admin/v1/keys', '/auth/other', '/docs', '/metrics', '//openai/v1', '/healthz/x']) {
    const { status, body, headers } = await get(door, path)
    t.match({ status, type: headers['content-type'] }, { status: 404, type: 'application/problem+json' }, path)
    t.match(JSON.parse(body), { code: 'not_found', status: 404, title: String, type: String, requestId: headers['x-request-id'] })
  }
  const wrong = await get(door, '/healthz', { method: 'POST', body: '{}', headers: { 'content-type': 'application/json' } })
  t.match(wrong, { status: 405, headers: { allow: 'GET, HEAD' } })
  const odd = await get(door, '/docs/x', { method: 'POST', body: 'x', headers: { 'content-type': 'application/odd' } })
  t.equal(odd.status, 404, 'whatever the body is')
  t.equal(door.relay.calls.length, 0)
})

t.test('odd request targets are refused without harm', async t => {
  const door = await openDoor(t)
  t.equal((await get(door, '*', { method: 'OPTIONS' })).status, 404)
  t.ok((await get(door, 'http://localhost/openai/x')).status >= 400)
  t.ok((await get(door, '/.well-known/%ff%')).status >= 400)
  t.equal((await get(door, '/healthz')).status, 200)
})

t.test('problems are the same in HTTP/2', async t => {
  const door = await openDoor(t)
  const client = session(t, door)
  t.match(await get2(client, { ':path': '/nothing/../healthz' }), { status: Number })
  const { status, body, headers } = await get2(client, { ':path': '/docs/models' })
  t.equal(status, 404)
  t.match(headers['content-type'], 'application/problem+json')
  t.match(JSON.parse(body), { code: 'not_found' })
})

t.test('an address that asks too often is told when to come back, and others are not affected', async t => {
  const door = await openDoor(t, { addressRate: '3/m', trustProxy: ['127.0.0.1'] })
  const ask = (from: string) => get(door, '/docs/models', { headers: { 'x-forwarded-for': from } })
  for (let index = 0; index < 3; index++) t.equal((await ask('2001:db8::1')).status, 404)
  const { status, body, headers } = await ask('2001:db8::2')
  t.equal(status, 429, 'the whole /64 counts as one')
  t.match(headers, { 'content-type': /problem\+json/, 'retry-after': /^\d+$/, 'ratelimit-limit': '3', 'ratelimit-remaining': '0' })
  t.match(JSON.parse(body), { code: 'too_many_requests' })
  t.equal((await ask('2001:db8:0:1::1')).status, 404)
})

t.test('browsers are told to stay with HTTPS only for a name of a certificate that is not of the local CA', async t => {
  const dir = t.testdir()
  const files = { tlsCertFile: `${dir}/cert.pem`, tlsKeyFile: `${dir}/key.pem` }
  const make = ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-subj', '/CN=x']
  await promisify(execFile)('openssl', [
    ...make,
    '-addext',
    'subjectAltName=DNS:ai.example.test,DNS:localhost',
    '-keyout',
    files.tlsKeyFile,
    '-out',
    files.tlsCertFile,
  ])
  const door = await openDoor(t, files)
  const hsts = async (from: typeof door, host: string) =>
    (await get(from, '/healthz', { headers: { host }, rejectUnauthorized: false })).headers['strict-transport-security']
  t.equal(await hsts(door, 'ai.example.test'), 'max-age=31536000')
  t.equal(await hsts(door, 'localhost'), undefined)
  const local = await openDoor(t, { publicUrl: 'https://ai.example.test' }, ['ai.example.test'])
  t.equal(await hsts(local, 'ai.example.test'), undefined)
})
