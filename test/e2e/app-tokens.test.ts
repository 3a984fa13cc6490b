import { Agent } from 'node:https'
import { setTimeout as delay } from 'node:timers/promises'
import t from 'tap'
import { type Answer, type Ask, answerOf, call, chat, chatAsk, open } from '../support/clients.js'
import type { Daemon } from '../support/daemon.js'
import { anyProvider, endlessSse, openaiEvent } from '../support/scripts.js'
import { makeStage } from '../support/stage.js'
import { within } from '../support/until.js'

// Access tokens that an app's backend fetches for its users.

interface AppJson {
  readonly id: string
  readonly credential: string
}

const basic = (user: string, password: string) => `Basic ${Buffer.from(`${user}:${password}`).toString('base64')}`

function post(daemon: Daemon, path: string, token: string | undefined, body: unknown = {}, more: Partial<Ask> = {}): Promise<Answer> {
  return call(daemon, { method: 'POST', path, ...(token === undefined ? {} : { token }), body: JSON.stringify(body), ...more })
}

t.test("tokens for an app's users", async t => {
  const { daemon, upstream, home } = await makeStage(t)
  const makeApp = (...args: string[]) => home.json<AppJson>(['app', 'create', 'shop', '--provider', 'openai', ...args])
  const app = await makeApp('--user-ttl', '10m')
  const agent = new Agent({ keepAlive: true, maxSockets: 50 })
  t.teardown(() => agent.destroy())
  const tokenOf = async (credential: string, userId: string, wish: object = {}): Promise<string> => {
    const answer = await post(daemon, '/auth/token', credential, { userId, ...wish }, { agent })
    if (answer.status !== 200) throw new Error(answer.text())
    return answer.json().token
  }
  const refused = (answer: Answer) => [answer.status, answer.json().code]

  await t.test('from the backend to a call, with its line in the ledger under the name of the user', async t => {
    const answer = await post(daemon, '/auth/token', app.credential, { userId: 'alice', appId: app.id })
    t.equal(answer.status, 200)
    t.match(answer.json(), { tokenType: 'Bearer', subject: 'alice', expiresIn: Number, expiresAt: String, refreshableUntil: String })
    t.match(answer.headers, { 'cache-control': 'no-store' })
    const { token, grantId } = answer.json()
    t.equal((await chat(daemon, token)).status, 200)
    t.match((await home.entries()).at(-1), { subject: 'alice', grantId, outcome: 'ok' })
    t.match(await home.json(['usage', '--by', 'user']), [{ user: 'alice', calls: 1 }])
    t.same(
      (await home.json<{ id: string }[]>(['token', 'list'])).filter(({ id }) => id === grantId),
      [],
      'not among those the operator made',
    )
    t.match(await home.json(['token', 'list', '--app', 'shop']), [{ id: grantId, user: 'alice', state: 'active' }])
  })

  await t.test('a credential opens nothing but its own door', async t => {
    t.equal((await chat(daemon, app.credential)).status, 401)
    for (const [method, path] of [
      ['GET', '/auth/verify'],
      ['POST', '/auth/refresh'],
    ] as const)
      t.equal((await call(daemon, { method, path, token: app.credential })).status, 401)
    const token = await tokenOf(app.credential, 'alice')
    t.same(refused(await post(daemon, '/auth/token', token, { userId: 'bob' })), [401, 'app_credential_invalid'])
    t.same(refused(await post(daemon, '/auth/token', undefined, { userId: 'bob' })), [401, 'app_credential_missing'])
    const other = await makeApp()
    t.same(refused(await post(daemon, '/auth/token', other.credential, { userId: 'a', appId: app.id })), [400, 'invalid_request'])
    const info = await post(daemon, '/auth/token-info', other.credential, { token })
    t.same(info.json(), { active: false }, "another app's users are nobody")
    t.match((await post(daemon, '/auth/token-info', app.credential, { token })).json(), { active: true, subject: 'alice' })
    await post(daemon, '/auth/logout', other.credential, { userId: 'alice' })
    t.equal((await chat(daemon, token)).status, 200)
    await home.json(['app', 'revoke', other.id])
  })

  await t.test('a page gets no token by a credential, and is told why', async t => {
    const headers = { origin: 'https://shop.example' }
    for (const path of ['/auth/token', '/get-jwt', '/jwt/generate'])
      t.same(refused(await post(daemon, path, app.credential, { userId: 'a' }, { headers })), [403, 'credential_in_page'], path)
    const preflight = await call(daemon, {
      method: 'OPTIONS',
      path: '/auth/token',
      headers: { ...headers, 'access-control-request-method': 'POST' },
    })
    t.same(refused(preflight), [403, 'credential_in_page'])
    t.notOk(preflight.headers['access-control-allow-origin'])
  })

  await t.test('bodies that are none are refused, and nothing crashes', async t => {
    const bodies = [
      '',
      'null',
      '[]',
      '"x"',
      '{',
      '{"userId":1}',
      '{"userId":"a","x":1}',
      '{"userId":"a","ttl":0}',
      '{"userId":"a","ttl":"soon"}',
    ]
    const odd = [
      '{"userId":"a","models":[]}',
      '{"userId":"","ttl":5}',
      `{"userId":"${'a'.repeat(10_240)}"}`,
      '{"userId":"a\\u0000"}',
      '{"userId":"\\ud800"}',
    ]
    for (const body of [...bodies, ...odd]) {
      const answer = await call(daemon, { method: 'POST', path: '/auth/token', token: app.credential, body })
      t.equal(answer.status, 400, body.slice(0, 40))
    }
    const large = await call(daemon, { method: 'POST', path: '/auth/token', token: app.credential, body: 'x'.repeat(100_000) })
    t.equal(large.status, 413)
    t.ok(daemon.alive())
  })

  await t.test('a wish narrows, and only narrows', async t => {
    const short = await post(daemon, '/auth/token', app.credential, { userId: 'alice', ttl: 60, models: ['gpt-4o-mini'] })
    t.ok(short.json().expiresIn <= 60)
    t.notOk(short.json().refreshableUntil, 'a wish for a short life is not prolonged')
    t.equal((await chat(daemon, short.json().token)).status, 200)
    t.equal((await chat(daemon, short.json().token, { model: 'gpt-4o' })).json().error.code, 'model_not_allowed')
    t.ok((await post(daemon, '/auth/token', app.credential, { userId: 'alice', ttl: '30d' })).json().expiresIn <= 600)
  })

  await t.test('a hundred tokens at once for one user have one limit, and inventing users gives no more than the app has', async t => {
    const limited = await makeApp('--user-rate', '7/h', '--rate', '30/h')
    const tokens = await Promise.all(Array.from({ length: 100 }, () => tokenOf(limited.credential, 'alice')))
    t.equal((await home.json<unknown[]>(['token', 'list', '--app', limited.id])).length, 1)
    upstream.forget()
    const answers = await Promise.all(tokens.map(token => chat(daemon, token, { agent })))
    t.equal(answers.filter(({ status }) => status === 200).length, 7)
    t.equal(upstream.requests.length, 7)
    const info = await call(daemon, { path: '/auth/token-info', token: tokens[0] as string })
    t.match(info.json(), { active: true, scope: { providers: ['openai'] }, rate: { limit: 7, remaining: 0 } })
    let left = 0
    for (let batch = 0; batch < 20; batch++) {
      const invented = await Promise.all(Array.from({ length: 50 }, (_, index) => tokenOf(limited.credential, `bot-${batch}-${index}`)))
      const replies = await Promise.all(invented.map(token => chat(daemon, token, { agent })))
      left += replies.filter(({ status }) => status === 200).length
    }
    t.equal(left, 23, 'the thousand got what alice had left of the app')
    t.equal(upstream.requests.length, 30)
    await home.json(['app', 'revoke', limited.id])
  })

  await t.test('refresh, logout, and what is told of a token then', async t => {
    const first = await tokenOf(app.credential, 'carol')
    t.match((await call(daemon, { path: '/auth/verify', token: first })).json(), { active: true, subject: 'carol', appId: app.id })
    const second = (await post(daemon, '/auth/refresh', first)).json().token
    t.equal((await chat(daemon, second)).status, 200)
    t.same((await post(daemon, '/auth/logout', second)).json(), { ended: true })
    const challenge = { status: 401, headers: { 'www-authenticate': 'Bearer realm="soakp", error="invalid_token"' } }
    for (const token of [first, second]) {
      t.match(await chat(daemon, token), challenge)
      t.match(await call(daemon, { path: '/auth/verify', token }), challenge)
      t.same((await call(daemon, { path: '/auth/token-info', token })).json(), { active: false })
      t.equal((await post(daemon, '/auth/refresh', token)).status, 401)
      t.equal((await post(daemon, '/auth/logout', token)).status, 401, 'also the second time')
    }
    const again = await Promise.all([tokenOf(app.credential, 'carol'), tokenOf(app.credential, 'carol')])
    t.same((await post(daemon, '/auth/logout', app.credential, { userId: 'carol' })).json(), { ended: true })
    for (const token of again) t.equal((await chat(daemon, token)).status, 401)
    const own = await home.createToken(['--all'])
    t.equal((await post(daemon, '/auth/refresh', own.token)).json().code, 'session_ended')
    t.equal((await post(daemon, '/auth/logout', own.token)).status, 200)
    t.equal((await chat(daemon, own.token)).status, 401)
  })

  await t.test('HTTP Basic, for clients that know nothing else', async t => {
    const secret = app.credential.slice(app.id.length + 1)
    for (const [path, password, body] of [
      ['/get-jwt', secret, undefined],
      ['/jwt/generate', app.credential, undefined],
      ['/get-jwt', secret, JSON.stringify({ key: `sk-${'a'.repeat(40)}`, org: 'org-x' })],
      ['/jwt/generate', secret, '{"userId":"dave","anything":1}'],
    ] as const) {
      const answer = await call(daemon, {
        method: 'POST',
        path,
        headers: { authorization: basic(app.id, password) },
        ...(body && { body }),
      })
      const { token, data, status } = answer.json()
      t.same([answer.status, status, data.jwt], [200, 201, token], answer.text())
      t.equal((await chat(daemon, token)).status, 200)
    }
    t.equal((await home.entries()).at(-1)?.subject, 'dave')
    for (const [user, password] of [
      [app.id, 'wrong'],
      ['admin', secret],
      ['', ''],
      [`${app.id}:`, secret],
    ] as const) {
      const answer = await call(daemon, { method: 'POST', path: '/get-jwt', headers: { authorization: basic(user, password) } })
      t.same(refused(answer), [401, 'app_credential_invalid'])
    }
  })

  await t.test('pages of allowed origins, and no others, may ask about their own token', async t => {
    const origin = 'https://shop.example'
    const web = await makeApp('--origin', origin)
    const token = await tokenOf(web.credential, 'erin')
    for (const [method, path] of [
      ['GET', '/auth/verify'],
      ['GET', '/auth/token-info'],
      ['POST', '/auth/refresh'],
      ['POST', '/auth/logout'],
    ] as const) {
      const asked = (from: string) =>
        call(daemon, {
          method: 'OPTIONS',
          path,
          headers: { origin: from, 'access-control-request-method': method, 'access-control-request-headers': 'authorization' },
        })
      t.match(await asked(origin), {
        status: 204,
        headers: { 'access-control-allow-origin': origin, 'access-control-allow-headers': 'authorization' },
      })
      t.equal((await asked('https://evil.example')).status, 403)
      const evil = await call(daemon, { method, path, token, headers: { origin: 'https://evil.example' } })
      t.same(refused(evil), [403, 'origin_not_allowed'])
      t.notOk(evil.headers['access-control-allow-origin'])
      const good = await call(daemon, { method, path, token, headers: { origin } })
      t.match(good, { status: 200, headers: { 'access-control-allow-origin': origin, vary: /Origin/ } }, path)
      t.notOk(good.headers['access-control-allow-credentials'])
    }
    const bad = await call(daemon, { path: '/auth/verify', token, headers: { origin } })
    t.match(bad, { status: 401, headers: { 'access-control-allow-origin': origin } }, 'a refusal can be read, too')
  })

  await t.test('what is set holds from the next call on, and a revoked app ends every user in one step, in every process', async t => {
    const second = await home.serve()
    const doomed = await makeApp()
    const tokens = await Promise.all(Array.from({ length: 20 }, (_, index) => tokenOf(doomed.credential, `user-${index}`)))
    for (const where of [daemon, second]) for (const token of tokens.slice(0, 3)) t.equal((await chat(where, token)).status, 200)
    await home.json(['app', 'set', doomed.id, '--models', 'nothing'])
    for (const where of [daemon, second]) t.equal((await chat(where, tokens[0] as string)).json().error.code, 'model_not_allowed')
    await home.json(['app', 'set', doomed.id, '--no-models'])
    upstream.use(
      endlessSse(
        () => openaiEvent('x'),
        () => delay(20),
      ),
    )
    const streams = await Promise.all(tokens.slice(0, 4).map(token => open(daemon, chatAsk(token, { stream: true }))))
    const answers = streams.map(answerOf)
    await home.json(['app', 'revoke', doomed.id, '--now'])
    for (const answer of answers) t.notOk((await within(answer, 'the stream of a revoked app')).complete)
    upstream.use(anyProvider)
    for (const where of [daemon, second]) {
      for (const token of tokens) t.equal((await chat(where, token)).json().error.code, 'token_revoked')
      t.same(refused(await post(where, '/auth/token', doomed.credential, { userId: 'a' })), [401, 'app_revoked'])
    }
  })
})

t.test('guessing is slowed down, and who has the right credential does not notice', async t => {
  const { daemon, home } = await makeStage(t, { settings: { SOAKP_AUTH_FAILURE_RATE: '10/h' } })
  const { id, credential } = await home.json<AppJson>(['app', 'create', 'shop', '--all'])
  const guess = async () => (await post(daemon, '/auth/token', `${id}_${'x'.repeat(43)}`, { userId: 'a' })).status
  const answers: number[] = []
  for (let index = 0; index < 30; index++) answers.push(await guess())
  t.same([answers.filter(status => status === 401).length, answers.filter(status => status === 429).length], [10, 20])
  const basicGuess = await call(daemon, { method: 'POST', path: '/get-jwt', headers: { authorization: basic(id, 'wrong') } })
  t.equal(basicGuess.status, 429)
  t.ok(Number(basicGuess.headers['retry-after']) > 0)
  const right = await post(daemon, '/auth/token', credential, { userId: 'a' })
  t.equal(right.status, 200)
  t.equal((await chat(daemon, right.json().token)).status, 200)
})
