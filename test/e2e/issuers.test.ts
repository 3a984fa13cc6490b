import { join } from 'node:path'
import t from 'tap'
import { type Answer, type Ask, call, chat } from '../support/clients.js'
import { startIssuer } from '../support/issuer.js'
import { makeStage } from '../support/stage.js'

// JWTs of an issuer, from its HTTPS server through the daemon to a call. The daemon trusts the issuer's certificate as Node does: NODE_EXTRA_CA_CERTS.

const origin = 'https://shop.example'

t.test('whoever a trusted issuer signed in gets through, by exchange or directly', async t => {
  const dir = t.testdir()
  const home0 = join(dir, 'home')
  const caFile = join(home0, 'certs', 'local', 'ca.pem')
  const { home, daemon } = await makeStage(
    { testdir: () => dir, teardown: handler => t.teardown(handler) },
    { settings: { NODE_EXTRA_CA_CERTS: caFile } },
  )
  const issuer = await startIssuer(join(home0, 'certs'))
  t.teardown(() => issuer.close())
  const app = await home.json<{ id: string }>(['app', 'create', 'shop', '--provider', 'openai', '--user-rate', '3/h', '--origin', origin])
  const exchange = (token: string, more: Partial<Ask> = {}): Promise<Answer> =>
    call(daemon, { method: 'POST', path: '/auth/exchange', body: JSON.stringify({ token }), headers: { origin }, ...more })
  const refused = (answer: Answer) => [answer.status, answer.json().code]
  const add = (...args: string[]) =>
    home.json<{ id: string }>(['issuer', 'add', issuer.url, '--audience', 'soakp', '--app', 'shop', '--allow-private', ...args])

  await t.test('nobody is trusted who was not added', async t => {
    t.same(refused(await exchange(await issuer.token())), [401, 'issuer_token_refused'])
    t.same(issuer.asked, [], 'and nobody is asked for keys')
  })

  await t.test('a page exchanges its sign-in for a token that works from that page', async t => {
    const record = await add('--name', 'idp')
    const jwt = await issuer.token()
    const preflight = await call(daemon, {
      method: 'OPTIONS',
      path: '/auth/exchange',
      headers: { origin, 'access-control-request-method': 'POST', 'access-control-request-headers': 'content-type' },
    })
    t.match(preflight, { status: 204, headers: { 'access-control-allow-origin': origin } })
    const answer = await exchange(jwt)
    t.match(answer, { status: 200, headers: { 'access-control-allow-origin': origin } })
    t.match(answer.json(), { subject: 'idp:u1', tokenType: 'Bearer' })
    const again = await exchange(jwt)
    t.equal(again.json().grantId, answer.json().grantId, 'exchanged twice, it is one user')
    const headers = { origin }
    const calls = [await chat(daemon, answer.json().token, { headers }), await chat(daemon, again.json().token, { headers })]
    t.same(
      calls.map(({ status }) => status),
      [200, 200],
    )
    t.equal((await chat(daemon, again.json().token, { headers })).status, 200)
    t.equal((await chat(daemon, answer.json().token, { headers })).status, 429, 'with one limit')
    t.equal((await chat(daemon, answer.json().token)).json().error.code, 'origin_not_allowed')
    t.same(refused(await exchange(jwt, { headers: { origin: 'https://evil.example' } })), [403, 'origin_not_allowed'])
    t.same(refused(await exchange(jwt, { headers: {} })), [403, 'origin_not_allowed'])
    t.same(refused(await call(daemon, { method: 'POST', path: '/auth/refresh', token: answer.json().token, headers })), [
      401,
      'session_ended',
    ])
    t.equal((await chat(daemon, jwt, { headers })).json().error.code, 'token_invalid', 'the sign-in itself opens nothing')
    await home.json(['issuer', 'remove', record.id])
    t.equal((await chat(daemon, answer.json().token, { headers })).json().error.code, 'token_revoked')
  })

  await t.test('the same as RFC 8693 has it', async t => {
    await add('--name', 'rfc')
    const form = (fields: Record<string, string>) =>
      call(daemon, {
        method: 'POST',
        path: '/auth/exchange',
        body: new URLSearchParams(fields).toString(),
        headers: { origin, 'content-type': 'application/x-www-form-urlencoded' },
      })
    const fields = {
      grant_type: 'urn:ietf:params:oauth:grant-type:token-exchange',
      subject_token: await issuer.token({ claims: { sub: 'u2' } }),
      subject_token_type: 'urn:ietf:params:oauth:token-type:id_token',
    }
    const answer = await form(fields)
    t.match(answer.json(), { token_type: 'Bearer', issued_token_type: /access_token$/, expires_in: Number })
    t.equal((await chat(daemon, answer.json().access_token, { headers: { origin } })).status, 200)
    t.same(refused(await form({ ...fields, grant_type: 'password' })), [400, 'invalid_request'])
    t.same(refused(await form({ ...fields, actor_token: 'x' })), [400, 'invalid_request'])
    const wanted = (kind: string) => form({ ...fields, requested_token_type: `urn:ietf:params:oauth:token-type:${kind}` })
    t.equal((await wanted('access_token')).status, 200)
    t.same(refused(await wanted('refresh_token')), [400, 'invalid_request'])
    t.same(refused(await form({ ...fields, subject_token_type: 'urn:ietf:params:oauth:token-type:saml2' })), [400, 'invalid_request'])
    t.match(await home.json(['issuer', 'remove', 'rfc']), { name: 'rfc', removed: true })
    t.match(await home.run(['issuer', 'remove', 'rfc']), { code: 66, stderr: /'rfc'/ })
  })

  await t.test('with --once, of twenty exchanges of one token over two processes, one gets through', async t => {
    const { id } = await add('--name', 'once', '--once')
    const second = await home.serve()
    const jwt = await issuer.token()
    const tries = Array.from({ length: 20 }, (_, index) =>
      call(index % 2 ? daemon : second, {
        method: 'POST',
        path: '/auth/exchange',
        body: JSON.stringify({ token: jwt }),
        headers: { origin },
      }),
    )
    const answers = await Promise.all(tries)
    t.equal(answers.filter(({ status }) => status === 200).length, 1)
    t.same(
      new Set(answers.filter(({ status }) => status !== 200).map(answer => answer.json().detail)),
      new Set(['It has been exchanged already.']),
    )
    t.equal((await exchange(await issuer.token({ claims: { jti: 'another' } }))).status, 200)
    await home.json(['issuer', 'remove', id])
  })

  await t.test(
    'with --direct the sign-in itself opens the relay, is logged out like any token, and a forged one opens nothing',
    async t => {
      const { id } = await add('--name', 'direct', '--direct')
      const headers = { origin }
      const jwt = await issuer.token({ claims: { sub: 'u3' } })
      t.equal((await chat(daemon, jwt, { headers })).status, 200)
      t.equal((await home.entries()).at(-1)?.subject, 'direct:u3')
      const forged = `${jwt.slice(0, -8)}AAAAAAAA`
      t.equal((await chat(daemon, forged, { headers })).json().error.code, 'issuer_token_refused')
      t.match(await home.json(['token', 'list', '--app', app.id]), [{}, {}, {}, { user: 'direct:u3', issuerId: id }])
      t.equal((await call(daemon, { method: 'POST', path: '/auth/logout', token: jwt, headers })).status, 200)
      t.equal((await chat(daemon, jwt, { headers })).json().error.code, 'token_revoked')
      await home.json(['issuer', 'remove', id])
    },
  )

  await t.test('an issuer that is down at first is 503 and not 401, and check says why', async t => {
    const { id } = await add('--name', 'down', '--no-check')
    issuer.behave = (_request, response) => response.destroy()
    t.same(refused(await exchange(await issuer.token())), [503, 'issuer_unavailable'])
    const ran = await home.run(['issuer', 'check', id])
    t.equal(ran.code, 69)
    t.match(ran.stderr, /cannot be reached/)
    issuer.behave = undefined
    t.match(await home.json(['issuer', 'check', id]), { keys: ['key-1'], algorithms: ['RS256', 'ES256'] })
  })
})
