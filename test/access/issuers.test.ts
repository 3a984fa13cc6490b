import { readFileSync } from 'node:fs'
import type { ServerResponse } from 'node:http'
import { join } from 'node:path'
import { SignJWT } from 'jose'
import { pino } from 'pino'
import t from 'tap'
import { Pool } from 'undici'
import type { NewIssuer } from '../../src/access/issuers.js'
import { openCertificates } from '../../src/tls/certificates.js'
import { caFiles } from '../../src/tls/local-ca.js'
import { accessRig } from '../support/access-rig.js'
import { startIssuer } from '../support/issuer.js'
import { until } from '../support/until.js'

// Against an issuer with real keys on a real HTTPS server.

const certsDir = join(t.testdir({}), 'certs')
const certificates = await openCertificates({ log: pino({ level: 'silent' }), now: Date.now, certsDir })
const ca = readFileSync(caFiles(certsDir).cert, 'utf8')
t.teardown(() => certificates.close())

async function stage(rules: Partial<NewIssuer> = {}, mayCheck?: (address: string) => boolean) {
  const issuer = await startIssuer(certsDir)
  const pools: Pool[] = []
  t.teardown(async () => {
    await issuer.close()
    await Promise.all(pools.map(pool => pool.destroy()))
  })
  const pool = (origin: string) => {
    const made = new Pool(origin, { connect: { ca } })
    pools.push(made)
    return made
  }
  const rig = await accessRig({ pool }, mayCheck)
  rig.clock.now = Date.now()
  const { app } = await rig.apps.create({ name: 'shop', scope: { kind: 'all' } })
  const add = (more: Partial<NewIssuer> = {}) =>
    rig.issuers.add({ url: issuer.url, app: app.id, audiences: ['soakp'], allowPrivate: true, ...rules, ...more })
  const verify = async (parts?: Parameters<typeof issuer.token>[0]) =>
    rig.issuers.verify(await issuer.token({ atMs: rig.clock.now, ...parts }), undefined)
  return { ...rig, issuer, app, add, verify }
}

t.test('whom the issuer signed in is known by issuer and sub', async t => {
  const { add, verify, users, app } = await stage()
  const record = await add({ name: 'idp' })
  t.match(await verify(), { user: 'u1', issuer: { id: record.id } })
  const issued = await users.issue(app, { user: 'u1', issuer: record, refreshable: false })
  t.equal(issued.subject, 'idp:u1')
  await t.rejects(users.issue(app, { user: 'idp:u1', refreshable: false }), { code: 'usage' }, 'the backend cannot name this user')
  t.equal((await users.issue(app, { user: 'idp', refreshable: false })).subject, 'idp')
})

t.test('a JWT that is not for us, not now, or not of the kind is refused', async t => {
  const { add, verify, issuer, issuers, clock } = await stage({ claims: [{ name: 'email_verified', value: 'true' }] })
  await add()
  const good = { email_verified: true }
  const refused = async (what: string, claims: object, header: object = {}) =>
    t.rejects(verify({ claims: { ...good, ...claims }, header }), { code: 'issuer_token_refused' }, what)
  t.ok(await verify({ claims: good }))
  t.ok(await verify({ claims: { ...good, aud: ['else', 'soakp'] } }), 'one of several audiences')
  const at = clock.now / 1000
  await refused('another audience', { aud: 'else' })
  await refused('no audience', { aud: undefined })
  await refused('an audience that only begins alike', { aud: 'soakp2' })
  await refused('another issuer', { iss: `${issuer.url}/` })
  await refused('no subject', { sub: '' })
  await refused('a subject that is no text', { sub: 7 })
  await refused('expired', { exp: at - 61 })
  await refused('no end', { exp: undefined })
  await refused('an end that is a text', { exp: `${at + 99}` })
  await refused('of tomorrow', { iat: at + 61 })
  await refused('not yet', { nbf: at + 61 })
  await refused('without the claim', { email_verified: false })
  await refused('a logout token', {}, { typ: 'logout+jwt' })
  await refused('an unknown critical header', {}, { crit: ['x'], x: 1 })
  t.ok(await verify({ claims: { ...good, exp: at - 30 } }), 'clocks may lie a minute apart')
  for (const token of ['', 'a.b.c', 'a.b', `${'a'.repeat(9000)}.b.c`, await issuer.token().then(text => `${text}.x`)])
    await t.rejects(issuers.verify(token, undefined), { code: 'issuer_token_refused' })
})

t.test('none, shared secrets, foreign keys and keys that the token brings along are refused', async t => {
  const { add, issuer, issuers, clock } = await stage()
  await add()
  const token = await issuer.token({ atMs: clock.now })
  const [head, body, signature] = token.split('.') as [string, string, string]
  const encode = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url')
  const other = await startIssuer(certsDir)
  t.teardown(() => other.close())
  const claims = { iss: issuer.url, aud: 'soakp', sub: 'u1' }
  const hs = new SignJWT(claims).setIssuedAt().setExpirationTime('1h').setProtectedHeader({ alg: 'HS256', kid: 'key-1' })
  const forged: Record<string, string> = {
    none: `${encode({ alg: 'none' })}.${body}.`,
    'none, with a signature': `${encode({ alg: 'none' })}.${body}.${signature}`,
    'a shared secret': await hs.sign(Buffer.from('secret-of-more-than-thirty-two-bytes')),
    'another key of the same name': await other.token({ claims: { iss: issuer.url } }),
    'another key with jwk': await other.token({ claims: { iss: issuer.url }, header: { jwk: { kty: 'EC' } } as never }),
    'another key with jku': await other.token({ claims: { iss: issuer.url }, header: { jku: `${other.url}/keys` } as never }),
    'another body': `${head}.${encode({ ...claims, sub: 'admin', iat: 1, exp: 9_999_999_999 })}.${signature}`,
    'no signature': `${head}.${body}.`,
  }
  for (const [what, text] of Object.entries(forged))
    await t.rejects(issuers.verify(text, undefined), { code: 'issuer_token_refused' }, what)
  t.same(other.asked, [], 'nobody went to fetch a key from where the token said')
})

t.test('an algorithm that the issuer does not list is refused, though it is its key', async t => {
  const { add, issuer, verify } = await stage()
  await issuer.rotate('PS256')
  await add()
  await t.rejects(verify(), { code: 'issuer_token_refused' })
})

t.test('a rotated key is fetched when it is first seen, at most twice a minute; the old one ends with that', async t => {
  const { add, issuer, issuers, verify, clock } = await stage()
  await add()
  const old = await issuer.token({ atMs: clock.now })
  await verify()
  const keysAsked = () => issuer.asked.filter(path => path === '/keys').length
  const before = keysAsked()
  await issuer.rotate()
  for (let count = 0; count < 50; count++)
    await t.rejects(verify({ header: { kid: `unknown-${count}` } }), { code: 'issuer_token_refused' })
  t.equal(keysAsked(), before, 'fetched a moment ago: unknown names cost the issuer nothing')
  clock.now += 31_000
  await Promise.all([verify(), verify(), verify()])
  t.equal(keysAsked(), before + 1)
  await t.rejects(issuers.verify(old, undefined), { code: 'issuer_token_refused' })
})

t.test('keys of one name are all tried, and a new one is found by whatever name, or none', async t => {
  const { add, issuer, issuers, verify, clock } = await stage()
  await add()
  const byNoName = { header: { kid: undefined } } as object
  t.ok(await verify(byNoName))
  await issuer.rotate('ES256', { kid: 'key-1' })
  await t.rejects(verify(), { code: 'issuer_token_refused' }, 'fetched a moment ago')
  clock.now += 31_000
  t.ok(await verify(), 'the same name')
  await issuer.rotate()
  clock.now += 31_000
  t.ok(await verify(byNoName), 'no name')
  await issuer.rotate('ES256', { kid: 'twin' })
  const older = await issuer.token({ atMs: clock.now })
  await issuer.rotate('ES256', { kid: 'twin', keep: true })
  clock.now += 31_000
  for (const token of [older, await issuer.token({ atMs: clock.now }), await issuer.token({ atMs: clock.now, ...byNoName })])
    t.ok(await issuers.verify(token, undefined), 'either of two')
})

t.test('who shows an unknown key waits for an issuer that is slow; those whose key is known do not', async t => {
  const { add, issuer, verify, clock } = await stage()
  await add()
  t.ok(await verify())
  const held: ServerResponse[] = []
  issuer.behave = (_request, response) => held.push(response)
  const heldBack = async (count: number) => until(() => held.length === count, 'the issuer to be asked')
  clock.now += 31_000
  let isOver = false
  const strange = t.rejects(verify({ header: { kid: 'unknown' } }), { code: 'issuer_token_refused' }).then(() => {
    isOver = true
  })
  await heldBack(1)
  t.ok(await verify())
  t.notOk(isOver)
  held[0]?.writeHead(500).end()
  await strange
  // too old by now, and the issuer failed the last time
  clock.now += 3_600_000
  t.ok(await verify())
  await heldBack(2)
  t.ok(await verify())
  held[1]?.writeHead(500).end()
})

t.test('keys go on for a day while the issuer is down, then it is told that they cannot be had', async t => {
  const { add, issuer, verify, clock } = await stage()
  await add()
  await verify()
  issuer.behave = (_request, response) => response.writeHead(500).end('<html>')
  clock.now += 23 * 3_600_000
  t.ok(await verify())
  clock.now += 2 * 3_600_000
  await t.rejects(verify(), { code: 'issuer_unavailable', retryAfterSeconds: 30 })
  issuer.behave = undefined
  clock.now += 31_000
  t.ok(await verify())
})

t.test('an issuer that answers with anything but its keys is refused in time and with words', async t => {
  const { add, issuer } = await stage()
  const behaviours: Record<string, NonNullable<typeof issuer.behave>> = {
    'a redirect': (_request, response) => response.writeHead(302, { location: '/keys' }).end(),
    'a page': (_request, response) => response.writeHead(200).end('<html>'),
    'a list': (_request, response) => response.writeHead(200).end('[]'),
    'a megabyte': (_request, response) => response.writeHead(200).end(JSON.stringify({ keys: 'x'.repeat(1_000_000) })),
    nothing: (_request, response) => response.destroy(),
    'a byte, and then nothing': (_request, response) => response.writeHead(200).write('{'),
  }
  for (const [what, behave] of Object.entries(behaviours)) {
    issuer.behave = behave
    await t.rejects(add(), { code: 'issuer_unavailable' }, what)
  }
  issuer.behave = undefined
  for (const [what, discovery] of Object.entries({
    'another name': { issuer: 'https://else.example' },
    'shared secrets only': { id_token_signing_alg_values_supported: ['HS256', 'none'] },
    'no keys': { jwks_uri: undefined },
  })) {
    issuer.discovery = discovery
    await t.rejects(add(), { code: 'issuer_refused' }, what)
  }
  issuer.discovery = { jwks_uri: 'http://localhost/keys' }
  await t.rejects(add(), { code: 'base_url_refused' }, 'keys in the clear')
})

t.test('what cannot be meant is refused before it is stored', async t => {
  const { add, issuers } = await stage()
  await t.rejects(add({ audiences: [] }), { code: 'usage' })
  await t.rejects(add({ direct: true, once: true }), { code: 'usage' })
  await t.rejects(add({ app: 'app_none' }), { code: 'app_not_found' })
  await t.rejects(add({ url: 'http://issuer.example' }), { code: 'base_url_refused' })
  await t.rejects(add({ url: 'https://10.0.0.1', allowPrivate: false }), { code: 'base_url_refused' })
  await t.rejects(add({ url: 'https://u:p@issuer.example' }), { code: 'base_url_refused' })
  t.same(await issuers.list(), [])
  await add()
  await t.rejects(add(), { code: 'usage' }, 'the name is taken')
})

t.test('Clerk: no audience, but a party', async t => {
  const { add, verify } = await stage({ audiences: [], parties: ['https://app.example'] })
  await add()
  t.ok(await verify({ claims: { aud: undefined, azp: 'https://app.example' } }))
  for (const claims of [{ aud: undefined }, { aud: undefined, azp: 'https://evil.example' }, { aud: 'else', azp: 'https://app.example' }])
    await t.rejects(verify({ claims }), { code: 'issuer_token_refused' })
})

t.test('claims are looked up by their whole name, along their dots, and in lists', async t => {
  const { add, verify } = await stage({
    claims: [
      { name: 'https://shop.example/plan', value: 'pro' },
      { name: 'firebase.sign_in_provider', value: 'google.com' },
      { name: 'roles', value: 'user' },
    ],
  })
  await add()
  const good = { 'https://shop.example/plan': 'pro', firebase: { sign_in_provider: 'google.com' }, roles: ['admin', 'user'] }
  t.ok(await verify({ claims: good }))
  for (const bad of [
    { roles: ['admin'] },
    { roles: { user: true } },
    { firebase: { sign_in_provider: 'password' } },
    { firebase: 'google.com' },
  ])
    await t.rejects(verify({ claims: { ...good, ...bad } }), { code: 'issuer_token_refused' })
})

t.test('a token opens the relay itself only where the issuer may, and ends with its user, its issuer and its app', async t => {
  const { add, access, apps, issuers, issuer, app, clock, users } = await stage()
  const closed = await add({ name: 'closed' })
  const token = () => issuer.token({ atMs: clock.now, claims: { jti: `${Math.random()}` } })
  await t.rejects(async () => access.authenticate(await token()), { code: 'token_invalid' })
  await issuers.remove(closed.id)
  const record = await add({ direct: true, name: 'idp' })
  const first = await token()
  const live = await access.authenticate(first)
  t.match(live.record, { subject: 'idp:u1', app: { id: app.id } })
  t.equal(
    (await users.issue(app, { user: 'u1', issuer: record, refreshable: false })).grantId,
    live.record.id,
    'exchanged or not, it is one user',
  )
  await access.logout(live, false)
  t.throws(() => access.authenticate(first), { code: 'token_revoked' })
  clock.now += 2000
  const second = await token()
  await access.logout(await access.authenticate(second), true)
  clock.now += 2000
  const third = await token()
  t.throws(() => access.authenticate(second), { code: 'token_revoked' })
  t.ok(await access.authenticate(third), 'who signed in since is in')
  await issuers.remove(record.id)
  t.throws(() => access.authenticate(third), { code: 'token_revoked' })
  await apps.revoke(app.id, false)
  await t.rejects(add({ name: 'late' }), { code: 'app_revoked' })
})

t.test('no signature is checked for whoever sent too many bad ones', async t => {
  const { add, issuer, issuers, clock } = await stage({}, address => address !== '203.0.113.9')
  await add()
  const token = await issuer.token({ atMs: clock.now })
  await t.rejects(issuers.verify(token, '203.0.113.9'), { code: 'too_many_failures' })
  t.ok(await issuers.verify(token, '203.0.113.10'))
})
