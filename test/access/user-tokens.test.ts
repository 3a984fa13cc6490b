import { decodeJwt } from 'jose'
import t from 'tap'
import { signToken } from '../../src/access/access-token.js'
import { readBasic, readCredential } from '../../src/access/app-credential.js'
import { rulesOf } from '../../src/access/rules.js'
import { accessRig } from '../support/access-rig.js'

const hour = 3_600_000
const day = 24 * hour

async function stage(rules: Partial<Parameters<Awaited<ReturnType<typeof accessRig>>['apps']['create']>[0]> = {}) {
  const rig = await accessRig()
  const { app, credential } = await rig.apps.create({ name: 'shop', scope: { kind: 'providers', providers: ['openai'] }, ...rules })
  const issue = (user = 'alice', wish: Partial<Parameters<typeof rig.users.issue>[1]> = {}) =>
    rig.users.issue(app, { user, refreshable: true, ...wish })
  return { ...rig, app, credential, issue }
}

t.test('a credential opens its app and no other, and is kept as a hash only', async t => {
  const { apps, store, app, credential } = await stage()
  const other = await apps.create({ name: 'other', scope: { kind: 'all' } })
  t.equal((await apps.authenticate(readCredential(credential))).id, app.id)
  t.notOk(JSON.stringify(await store.listApps()).includes(credential.slice(27)))
  const mixed = `${other.app.id}_${credential.slice(27)}`
  for (const text of [mixed, `${credential}x`, credential.slice(0, -1), credential.toLowerCase(), '', app.id, `${credential}\n`])
    await t.rejects(apps.authenticate(readCredential(text)), { code: 'app_credential_invalid' }, text)
  t.same(readBasic(app.id, credential.slice(27)), readCredential(credential))
  t.same(readBasic(app.id, credential), readCredential(credential))
  t.equal(readBasic('alice', credential), undefined)
})

t.test('a rotated credential works for its grace, and the new one at once', async t => {
  const { apps, clock, app, credential } = await stage()
  const next = await apps.rotate(app.id, hour)
  for (const text of [credential, next.credential]) t.equal((await apps.authenticate(readCredential(text))).id, app.id)
  clock.now += hour
  await t.rejects(apps.authenticate(readCredential(credential)), { code: 'app_credential_invalid' })
  const last = await apps.rotate(app.id, 0)
  await t.rejects(apps.authenticate(readCredential(next.credential)), { code: 'app_credential_invalid' })
  t.equal((await apps.authenticate(readCredential(last.credential))).credentials.length, 1)
})

t.test("a user's grant is the app's template as it is now", async t => {
  const { access, apps, issue, app } = await stage({ models: ['gpt-*'], userRate: '2/m', rate: '9/m', maxOutputTokens: 7 })
  const { token } = await issue()
  const live = await access.authenticate(token)
  t.match(live.record, { subject: 'alice', models: ['gpt-*'], rate: '2/m', maxOutputTokens: 7, app: { id: app.id, rate: '9/m' } })
  await apps.set(app.id, { models: ['o3'], userRate: '1/m' })
  t.match((await access.authenticate(token)).record, { models: ['o3'], rate: '1/m' })
})

t.test('a user is one grant whatever is issued, and another app’s user of the same name is another', async t => {
  const { apps, users, issue, store, app } = await stage()
  const ids = await Promise.all(Array.from({ length: 100 }, async () => (await issue()).grantId))
  t.equal(new Set(ids).size, 1)
  t.equal((await store.listAppUsers(app.id)).length, 1)
  const other = await apps.create({ name: 'other', scope: { kind: 'all' } })
  t.not((await users.issue(other.app, { user: 'alice', refreshable: true })).grantId, ids[0])
})

t.test('names that are none, or look like others, are refused; long and foreign ones are taken as they are', async t => {
  const { issue } = await stage()
  for (const user of ['', 'a'.repeat(10_240), 'a\0b', 'alice\n', ' alice', 'alice ', 'al\u200bice', '\u202ealice', '\ud800', '\u2028'])
    await t.rejects(issue(user), { code: 'usage' }, encodeURI(user.slice(0, 10).replace(/\p{Cs}/u, '?')))
  for (const user of ['ä'.repeat(200), '日本語', 'a@b.example', "'; DROP TABLE apps; --", '{"$ne":1}', '../x', '__proto__'])
    t.equal((await issue(user)).subject, user)
})

t.test('a wish can only narrow', async t => {
  const { access, issue, clock } = await stage({ models: ['gpt-*'], userTtlMs: hour })
  t.equal((await issue('a', { ttlMs: 9 * hour })).expiresAtMs, clock.now + hour)
  t.equal((await issue('a', { ttlMs: 60_000 })).expiresAtMs, clock.now + 60_000)
  await t.rejects(issue('a', { models: ['claude-x'] }), { code: 'model_not_allowed' })
  const rules = async (models: string[]) => rulesOf((await access.authenticate((await issue('a', { models })).token)).record)
  const wide = await rules(['*'])
  t.same([wide.allowsModel('gpt-5'), wide.allowsModel('claude-x')], [true, false])
  const narrow = await rules(['gpt-4o', 'claude-*'])
  t.same(['gpt-4o', 'gpt-5', 'claude-x'].map(narrow.allowsModel), [true, false, false])
  for (const models of [[], [''], ['a b'], ['é'], Array(21).fill('gpt-1'), ['g'.repeat(65)]])
    await t.rejects(issue('a', { models }), { code: 'usage' })
})

t.test('the largest token that can be asked for is one that is accepted', async t => {
  const { access, issue } = await stage()
  const models = Array.from({ length: 20 }, (_, index) => `${index}`.padEnd(64, 'x'))
  const { token } = await issue('😀'.repeat(100), { models })
  t.ok((await access.authenticate(token)).record.app, `${token.length} characters`)
})

t.test('a token ends with its logout, and with it all it was exchanged for and from', async t => {
  const { access, users, issue } = await stage()
  const first = (await issue()).token
  const other = (await issue()).token
  const second = (await users.refresh(await access.authenticate(first))).token
  await access.logout(await access.authenticate(second), false)
  for (const token of [first, second]) t.throws(() => access.authenticate(token), { code: 'token_revoked' })
  t.equal((await access.authenticate(other)).record.subject, 'alice', 'another session goes on')
  await access.logout(await access.authenticate(other), true)
  t.throws(() => access.authenticate(other), { code: 'token_revoked' })
  t.equal((await access.authenticate((await issue()).token)).record.subject, 'alice', 'who signs in again is in')
})

t.test('the backend ends every token of a user, of no other, and who never came is no error', async t => {
  const { access, users, issue, app } = await stage()
  const [alice, bob] = [(await issue('alice')).token, (await issue('bob')).token]
  t.equal(await users.logout(app, 'alice'), true)
  t.equal(await users.logout(app, 'nobody'), false)
  await t.rejects(async () => access.authenticate(alice), { code: 'token_revoked' })
  t.ok(await access.authenticate(bob))
})

t.test('a token is exchanged for a new one until its session ends, never for a longer one', async t => {
  const { access, users, issue, clock } = await stage({ sessionMs: 3 * hour })
  let { token } = await issue()
  const until = clock.now + 3 * hour
  for (const at of [0.9, 1.8, 2.7]) {
    clock.now = until - 3 * hour + at * hour
    const next = await users.refresh(await access.authenticate(token))
    t.ok(next.expiresAtMs <= until && next.expiresAtMs <= clock.now + hour)
    t.equal(next.sessionEndsAtMs, until)
    token = next.token
  }
  clock.now = until
  await t.rejects(async () => access.authenticate(token), { code: 'token_expired' })
  const short = await issue('a', { ttlMs: 60_000 })
  t.equal((await users.refresh(await access.authenticate(short.token))).expiresAtMs, clock.now + 60_000)
  const final = await issue('a', { refreshable: false })
  await t.rejects(users.refresh(await access.authenticate(final.token)), { code: 'session_ended' })
})

t.test('a session that is made shorter, or ended, is so for tokens that are out', async t => {
  const { access, apps, users, issue, app, clock } = await stage({ sessionMs: 24 * hour })
  const { token } = await issue()
  const issuedAt = clock.now
  clock.now += hour / 2
  await apps.set(app.id, { sessionMs: 2 * hour })
  const next = await users.refresh(await access.authenticate(token))
  t.equal(next.sessionEndsAtMs, issuedAt + 2 * hour)
  clock.now += hour / 2
  await apps.set(app.id, { sessionMs: hour / 4 })
  await t.rejects(users.refresh(await access.authenticate(next.token)), { code: 'session_ended' })
  await apps.set(app.id, { sessionMs: 0 })
  await t.rejects(users.refresh(await access.authenticate(next.token)), { code: 'session_ended' })
  t.ok(await access.authenticate(next.token), 'the token itself lasts to its end')
})

t.test('a revoked app opens nothing: credential, tokens, new users; a blocked user stays blocked', async t => {
  const { access, apps, issue, credential, app, users } = await stage()
  const alice = await issue('alice')
  const bob = await issue('bob')
  await access.revoke(alice.grantId, true)
  await t.rejects(async () => access.authenticate(alice.token), { code: 'token_revoked' })
  await t.rejects(issue('alice'), { code: 'user_blocked' })
  t.ok(await access.authenticate(bob.token))
  await t.rejects(access.set(bob.grantId, { rate: '9/m' }), { code: 'usage' })
  await t.rejects(access.rotate(bob.grantId, 0), { code: 'usage' })
  await apps.revoke(app.id, true)
  await t.rejects(async () => access.authenticate(bob.token), { code: 'token_revoked' })
  t.match(await access.show(bob.grantId), { grant: { revokedAtMs: Number, cutStreams: true } })
  await t.rejects(apps.authenticate(readCredential(credential)), { code: 'app_revoked' })
  await t.rejects(users.issue(app, { user: 'carol', refreshable: true }), { code: 'user_blocked' })
  await t.rejects(apps.set(app.id, { name: 'x' }), { code: 'app_revoked' })
})

t.test('an app has as many users as it may; those whose tokens ended long ago make room', async t => {
  const { issue, clock } = await stage({ maxUsers: 2 })
  await issue('a')
  await issue('b')
  await t.rejects(issue('c'), { code: 'app_full' })
  await issue('a')
  clock.now += 2 * day
  await issue('c')
})

t.test('a day of tokens for one user is one or two writes', async t => {
  const { issue, clock, store } = await stage()
  let writes = 0
  const keep = store.keepAppUser
  store.keepAppUser = (...args) => {
    writes++
    return keep(...args)
  }
  for (let count = 0; count < 48; count++) {
    await issue()
    clock.now += hour / 2
  }
  t.ok(writes <= 2, `${writes}`)
})

t.test('a token that we signed for another grant, epoch or kind of grant opens nothing', async t => {
  const { access, issue, signingKey, clock } = await stage()
  const { token, grantId } = await issue()
  const own = await access.create({ scope: { kind: 'all' }, name: 'x', lifetimeMs: hour })
  const claims = { jti: 'tok_x', grantId, subject: 'alice', issuedAtMs: clock.now, expiresAtMs: clock.now + hour }
  const sign = (more: object) => signToken({ ...claims, ...more }, 'inst_1', signingKey)
  await t.rejects(async () => access.authenticate(await sign({})), { code: 'token_revoked' }, 'no epoch')
  await t.rejects(async () => access.authenticate(await sign({ epoch: 2 })), { code: 'token_revoked' })
  await t.rejects(async () => access.authenticate(await sign({ epoch: 1, grantId: own.grant.id })), { code: 'token_invalid' })
  const [head, body, signature] = token.split('.')
  const wider = Buffer.from(JSON.stringify({ ...decodeJwt(token), exp: 9_999_999_999 })).toString('base64url')
  await t.rejects(async () => access.authenticate(`${head}.${wider}.${signature}`), { code: 'token_invalid' })
  t.ok(body)
})
