import { createHash, randomUUID } from 'node:crypto'
import { generateKeyPair, generateProof, type KeyPair } from 'dpop'
import { calculateJwkThumbprint, exportJWK, type JWTHeaderParameters, generateKeyPair as joseKeyPair, SignJWT } from 'jose'
import t from 'tap'
import { WebSocket } from 'ws'
import { type Answer, type Ask, call, callHttp2, chatAsk, http2 } from '../support/clients.js'
import type { Daemon } from '../support/daemon.js'
import { startIssuer } from '../support/issuer.js'
import { makeStage } from '../support/stage.js'
import { echo, startSocketUpstream } from '../support/ws-upstream.js'

// Access tokens that are bound to a key of the client's (RFC 9449). Proofs are made by the `dpop` package, the bad ones by hand.

const chatPath = '/openai/v1/chat/completions'

interface AppJson {
  readonly id: string
  readonly credential: string
}

interface Said {
  readonly token: string
  readonly tokenType: string
}

const hashOf = (text: string) => createHash('sha256').update(text).digest('base64url')
const thumbprintOf = async ({ publicKey }: KeyPair) => calculateJwkThumbprint(await exportJWK(publicKey))
const codeOf = (answer: { text(): string }) => {
  const body = JSON.parse(answer.text())
  return body.code ?? body.error?.code
}

/** A client that holds a key and keeps the nonce it was last told. */
function holderOf(daemon: Daemon, key: KeyPair, token: string) {
  const holder = {
    nonce: undefined as string | undefined,
    proof: (path: string, method: string, more: Partial<Record<'htu' | 'token', string>> = {}) =>
      generateProof(key, more.htu ?? `${daemon.origin}${path}`, method, holder.nonce, more.token ?? token),
    /** Asks once; `proof` in place of a good one. */
    async once(ask: Ask, proof?: string): Promise<Answer> {
      const method = ask.method ?? (ask.body === undefined ? 'GET' : 'POST')
      const dpop = proof ?? (await holder.proof(ask.path, method))
      const { token: _, ...rest } = ask
      const answer = await call(daemon, { ...rest, headers: { authorization: `DPoP ${token}`, dpop, ...ask.headers } })
      const told = answer.headers['dpop-nonce']
      if (typeof told === 'string') holder.nonce = told
      return answer
    },
    /** Asks as RFC 9449 has it: once more, where a nonce is wanted. */
    async ask(ask: Ask): Promise<Answer> {
      const first = await holder.once(ask)
      return first.status === 401 && /error="use_dpop_nonce"/.test(first.headers['www-authenticate'] ?? '') ? holder.once(ask) : first
    },
  }
  return holder
}

t.test('tokens bound to a key of the client', async t => {
  const { daemon, upstream, home, keys } = await makeStage(t)
  const app = await home.json<AppJson>(['app', 'create', 'shop', '--provider', 'openai', '--dpop', '--user-ttl', '10m'])
  const key = (await generateKeyPair('ES256')) as KeyPair
  const otherKey = (await generateKeyPair('ES256')) as KeyPair
  const jkt = await thumbprintOf(key)
  const issue = (body: object, headers: Record<string, string> = {}) =>
    call(daemon, { path: '/auth/token', token: app.credential, headers, body: JSON.stringify({ userId: 'alice', ...body }) })
  const tokenFor = async (pair: KeyPair) => ((await issue({ jkt: await thumbprintOf(pair) })).json() as Said).token
  const token = await tokenFor(key)
  const { path, body = '' } = chatAsk('')
  const ask: Ask = { path, body }

  await t.test('an app that asks for a key gets no token without one, by thumbprint or by proof', async t => {
    t.same([(await issue({})).status, codeOf(await issue({}))], [401, 'dpop_missing'])
    t.equal((await issue({ jkt: 'short' })).status, 400)
    t.match((await issue({ jkt })).json(), { tokenType: 'DPoP' })
    const proof = await generateProof(key, `${daemon.origin}/auth/token`, 'POST')
    t.match((await issue({}, { dpop: proof })).json(), { tokenType: 'DPoP' })
    t.equal(codeOf(await issue({}, { dpop: proof })), 'dpop_invalid', 'the same proof a second time')
    t.equal(codeOf(await issue({}, { dpop: await generateProof(key, 'https://elsewhere.example/auth/token', 'POST') })), 'dpop_invalid')
    t.equal(
      codeOf(await issue({ jkt: await thumbprintOf(otherKey) }, { dpop: await generateProof(key, `${daemon.origin}/auth/token`, 'POST') })),
      'dpop_invalid',
    )
    for (const path of ['/get-jwt', '/jwt/generate'])
      t.equal(codeOf(await call(daemon, { path, token: app.credential, body: '{"userId":"alice"}' })), 'dpop_missing', path)
    t.match((await call(daemon, { path: '/auth/token-info', token: app.credential, body: JSON.stringify({ token }) })).json(), {
      active: true,
      tokenType: 'DPoP',
      cnf: { jkt },
    })
  })

  await t.test('with a proof it opens the relay, under each algorithm, over HTTP/1.1 and HTTP/2, and the proof stays here', async t => {
    for (const algorithm of ['ES256', 'Ed25519'] as const) {
      const pair = (await generateKeyPair(algorithm)) as KeyPair
      const bound = await tokenFor(pair)
      const holder = holderOf(daemon, pair, bound)
      const first = await holder.once(ask)
      t.equal(codeOf(first), 'dpop_nonce_needed', 'the first one lacks the nonce')
      t.match(first.headers, { 'www-authenticate': /^DPoP .*error="use_dpop_nonce"/, 'dpop-nonce': String })
      const answer = await holder.ask({ ...ask, path: `${chatPath}?x=1` })
      t.equal(answer.status, 200, answer.text())
      t.ok(answer.headers['dpop-nonce'], 'and the next nonce is told')
      const session = await http2(daemon)
      const proof = await holder.proof(chatPath, 'POST')
      const headers = { authorization: `DPoP ${bound}`, dpop: proof }
      t.equal((await callHttp2(session, { ...ask, headers })).status, 200)
      t.equal(codeOf(await callHttp2(session, { ...ask, headers })), 'dpop_invalid', 'replayed over the other protocol')
      session.close()
    }
    for (const request of upstream.requests) t.notMatch(JSON.stringify(request.headers), /dpop/i)
    t.match((await home.entries()).at(-1), { subject: 'alice', outcome: 'ok' })
  })

  await t.test('without a proof, or as Bearer, it opens nothing, wherever it stands', async t => {
    const before = upstream.requests.length
    const holder = holderOf(daemon, key, token)
    await holder.ask(ask)
    const proof = () => holder.proof(chatPath, 'POST')
    for (const headers of [
      { authorization: `Bearer ${token}` },
      { authorization: `Bearer ${token}`, dpop: await proof() },
      { authorization: `DPoP ${token}` },
      { 'x-api-key': token, dpop: await proof() },
      { 'x-goog-api-key': token },
    ]) {
      const answer = await call(daemon, { ...ask, headers })
      t.same([answer.status, codeOf(answer)], [401, 'dpop_missing'])
      t.match(answer.headers['www-authenticate'], /^DPoP .*error="invalid_token"/)
    }
    t.equal((await call(daemon, { ...ask, headers: { authorization: `DPoP ${token}`, dpop: [await proof(), await proof()] } })).status, 401)
    t.equal(upstream.requests.length, before + 1)
    t.equal(codeOf(await call(daemon, { ...ask, path: '/v1/chat/completions', token })), 'dpop_missing', 'nor the unified endpoint')
    const plain = await home.createToken(['--all'])
    t.equal(
      codeOf(await call(daemon, { ...ask, headers: { authorization: `DPoP ${plain.token}` } })),
      'token_invalid',
      'one that is bound to nothing is none',
    )
  })

  await t.test('forged, replayed and foreign proofs are refused', async t => {
    const holder = holderOf(daemon, key, token)
    t.equal((await holder.ask(ask)).status, 200)
    const good = await holder.proof(chatPath, 'POST')
    t.equal((await holder.once(ask, good)).status, 200)
    const es = await joseKeyPair('ES256', { extractable: true })
    const jwk = await exportJWK(es.publicKey)
    const mine = holderOf(daemon, es as KeyPair, await tokenFor(es as KeyPair))
    t.equal((await mine.ask(ask)).status, 200)
    const bound = await tokenFor(es as KeyPair)
    const now = Math.floor(Date.now() / 1000)
    const make = (claims: Record<string, unknown> = {}, header: Record<string, unknown> = {}) =>
      new SignJWT(
        JSON.parse(
          JSON.stringify({
            jti: randomUUID(),
            htm: 'POST',
            htu: `${daemon.origin}${chatPath}`,
            iat: now,
            ath: hashOf(bound),
            nonce: mine.nonce,
            ...claims,
          }),
        ),
      )
        .setProtectedHeader({ alg: 'ES256', typ: 'dpop+jwt', jwk, ...header } as unknown as JWTHeaderParameters)
        .sign(es.privateKey)
    const part = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url')
    const [head = '', claims = '', signature = ''] = (await make()).split('.')
    const rsa = await joseKeyPair('RS256')
    const rs = await new SignJWT({ jti: 'x', htm: 'POST', htu: `${daemon.origin}${chatPath}`, iat: now, ath: hashOf(bound) })
      .setProtectedHeader({ alg: 'RS256', typ: 'dpop+jwt', jwk: await exportJWK(rsa.publicKey) })
      .sign(rsa.privateKey)
    const hs = await new SignJWT({ jti: 'x', htm: 'POST', htu: `${daemon.origin}${chatPath}`, iat: now, ath: hashOf(bound) })
      .setProtectedHeader({ alg: 'HS256', typ: 'dpop+jwt', jwk: { kty: 'oct' } })
      .sign(new Uint8Array(32))
    const asked = (proof: string) => call(daemon, { ...ask, headers: { authorization: `DPoP ${bound}`, dpop: proof } })
    const control = await make()
    t.equal((await asked(control)).status, 200, 'one made by hand is taken, so what follows is refused for its fault')
    for (const htu of [`HTTPS://LocalHost:${daemon.port}${chatPath}`, `${daemon.origin}/openai/v1/x/../chat/completions`])
      t.equal((await asked(await make({ htu }))).status, 200, 'an address is compared as one, not as a text')
    const spelt = async (path: string, htu: string) =>
      call(daemon, { path, headers: { authorization: `DPoP ${bound}`, dpop: await make({ htm: 'GET', htu: daemon.origin + htu }) } })
    t.equal((await spelt('/openai/v1/models/a%7eb%3ac', '/openai/v1/models/a~b%3Ac')).status, 200)
    t.equal(codeOf(await spelt('/openai/v1/models/a%3Ac', '/openai/v1/models/a:c')), 'dpop_invalid', 'a : that is coded is another')
    const before = upstream.requests.length
    const bad: Record<string, string> = {
      'the same once more': control,
      'another method': await make({ htm: 'GET' }),
      'another path': await make({ htu: `${daemon.origin}/openai/v1/embeddings` }),
      'another host': await make({ htu: `https://elsewhere.example${chatPath}` }),
      'another port': await make({ htu: `https://localhost:1${chatPath}` }),
      'in the clear': await make({ htu: `http://localhost:${daemon.port}${chatPath}` }),
      'no URL': await make({ htu: 'x' }),
      'of another token': await make({ ath: hashOf(token) }),
      'of no token': await make({ ath: undefined }),
      'too old': await make({ iat: now - 400 }),
      'from the future': await make({ iat: now + 400 }),
      'no iat': await make({ iat: undefined }),
      'no jti': await make({ jti: undefined }),
      'a long jti': await make({ jti: 'x'.repeat(201) }),
      'another typ': await make({}, { typ: 'JWT' }),
      'with its private half': await make({}, { jwk: await exportJWK(es.privateKey) }),
      'no key': await make({}, { jwk: undefined }),
      "somebody else's key": await make({}, { jwk: await exportJWK(otherKey.publicKey) }),
      'a curve of another alg': await make({}, { jwk: { ...jwk, crv: 'P-384' } }),
      'a point off the curve': await make({}, { jwk: { ...jwk, y: jwk.x } }),
      'a coordinate spelled otherwise': await make({}, { jwk: { ...jwk, x: `${jwk.x}=` } }),
      'alg none': `${part({ alg: 'none', typ: 'dpop+jwt', jwk })}.${claims}.`,
      'alg none with a signature': `${part({ alg: 'none', typ: 'dpop+jwt', jwk })}.${claims}.${signature}`,
      HS256: hs,
      RS256: rs,
      'another signature': `${head}.${claims}.${'A'.repeat(86)}`,
      'no signature': `${head}.${claims}`,
      'five parts': `${head}.${claims}.${signature}.x.y`,
      'too long': await make({ x: 'x'.repeat(3000) }),
      'no JSON': `${Buffer.from('x').toString('base64url')}.${claims}.${signature}`,
      'a list': `${part([])}.${part([])}.${signature}`,
      'of a key that the token is not bound to': await generateProof(otherKey, `${daemon.origin}${chatPath}`, 'POST', mine.nonce, bound),
    }
    for (const [title, proof] of Object.entries(bad)) {
      const answer = await asked(proof)
      t.same([answer.status, codeOf(answer)], [401, 'dpop_invalid'], title)
      t.match(answer.headers['www-authenticate'], /error="invalid_dpop_proof", algs="ES256 EdDSA Ed25519"/, title)
    }
    for (const nonce of [undefined, 'made-up', 42]) {
      const answer = await asked(await make({ nonce }))
      t.equal(codeOf(answer), nonce === 42 ? 'dpop_invalid' : 'dpop_nonce_needed')
    }
    t.equal(upstream.requests.length, before, 'nobody was reached')
    t.ok(daemon.alive())
  })

  await t.test('a refused proof leaves no line in the ledger, and costs the address its budget', async t => {
    const lines = (await home.entries()).length
    await call(daemon, { ...ask, token })
    t.equal((await home.entries()).length, lines)
    const strict = await home.serve({ env: { SOAKP_AUTH_FAILURE_RATE: '3/m' } })
    const codes: string[] = []
    for (let at = 0; at < 5; at++) codes.push(codeOf(await call(strict, { ...ask, token })))
    t.same(codes, ['dpop_missing', 'dpop_missing', 'dpop_missing', 'too_many_failures', 'too_many_failures'])
    const holder = holderOf(strict, key, token)
    t.equal((await holder.ask(ask)).status, 200, 'a good one is not refused for them')
    const here = holderOf(daemon, key, token)
    here.nonce = holder.nonce
    t.equal(
      codeOf(await here.once(ask)),
      'dpop_nonce_needed',
      "another process does not take this one's nonce, so a proof is of use in one of them only",
    )
    await strict.stop()
  })

  await t.test('a refresh keeps the key: not without a proof, not with another key', async t => {
    const holder = holderOf(daemon, key, token)
    const refresh: Ask = { method: 'POST', path: '/auth/refresh' }
    t.equal(codeOf(await call(daemon, { ...refresh, token })), 'dpop_missing')
    const stranger = holderOf(daemon, otherKey, token)
    t.equal(codeOf(await stranger.ask(refresh)), 'dpop_invalid')
    const renewed = (await holder.ask(refresh)).json() as Said
    t.equal(renewed.tokenType, 'DPoP')
    t.equal((await holderOf(daemon, key, renewed.token).ask(ask)).status, 200)
    t.equal(codeOf(await holderOf(daemon, otherKey, renewed.token).ask(ask)), 'dpop_invalid')
    for (const path of ['/auth/verify', '/auth/token-info']) {
      t.equal(codeOf(await call(daemon, { path, token })), 'dpop_missing', path)
      t.match((await holder.ask({ path })).json(), { active: true, tokenType: 'DPoP', cnf: { jkt } }, path)
    }
    const ended = holderOf(daemon, key, renewed.token)
    t.equal(codeOf(await call(daemon, { method: 'POST', path: '/auth/logout', token: renewed.token })), 'dpop_missing')
    t.match((await ended.ask({ method: 'POST', path: '/auth/logout' })).json(), { ended: true })
    t.equal(codeOf(await ended.once(ask)), 'token_revoked')
  })

  await t.test('an app that begins to ask for keys: tokens that are out open nothing, but can be exchanged', async t => {
    const late = await home.json<AppJson>(['app', 'create', 'late', '--provider', 'openai'])
    const { token } = (await call(daemon, { path: '/auth/token', token: late.credential, body: '{"userId":"bob"}' })).json() as Said
    t.equal((await call(daemon, { ...ask, token })).status, 200)
    await home.json(['app', 'set', 'late', '--dpop'])
    t.equal(codeOf(await call(daemon, { ...ask, token })), 'dpop_missing')
    const holder = holderOf(daemon, key, token)
    const bound = (await holder.ask({ method: 'POST', path: '/auth/refresh' })).json() as Said
    t.equal(bound.tokenType, 'DPoP')
    t.equal((await holderOf(daemon, key, bound.token).ask(ask)).status, 200)
    await home.json(['app', 'set', 'late', '--no-dpop'])
    t.equal((await call(daemon, { ...ask, token })).status, 200)
    t.equal(codeOf(await call(daemon, { ...ask, token: bound.token })), 'dpop_missing', 'what is bound stays bound')
  })

  await t.test("a grant of the operator's: to a key by its thumbprint, or to the first that shows itself", async t => {
    const known = await home.createToken(['--provider', 'openai', `--dpop=${jkt}`])
    t.equal((await holderOf(daemon, key, known.token).ask(ask)).status, 200)
    t.equal(codeOf(await holderOf(daemon, otherKey, known.token).ask(ask)), 'dpop_invalid')
    const rotated = await home.json<Said>(['token', 'rotate', known.id])
    t.equal((await holderOf(daemon, key, rotated.token).ask(ask)).status, 200, 'a rotated one is bound to the same')
    t.match(await home.run(['token', 'create', '--all', '--dpop', 'short']), { code: 2, stderr: /thumbprint/ })

    const open = await home.createToken(['--provider', 'openai', '--dpop'])
    t.equal(codeOf(await call(daemon, { ...ask, token: open.token })), 'dpop_missing')
    t.equal(codeOf(await holderOf(daemon, key, open.token).ask(ask)), 'dpop_missing')
    const exchange: Ask = { method: 'POST', path: '/auth/refresh' }
    const bound = (await holderOf(daemon, key, open.token).ask(exchange)).json() as Said
    t.equal((await holderOf(daemon, key, bound.token).ask(ask)).status, 200)
    t.equal((await holderOf(daemon, otherKey, open.token).ask(exchange)).status, 401, 'whoever comes second gets nothing')
    t.equal(codeOf(await holderOf(daemon, key, bound.token).ask(exchange)), 'session_ended')

    const plain = await home.createToken(['--provider', 'openai'])
    await home.json(['token', 'set', plain.id, `--dpop=${jkt}`])
    t.equal(codeOf(await call(daemon, { ...ask, token: plain.token })), 'dpop_missing')
    await home.json(['token', 'set', plain.id, '--no-dpop'])
    t.equal((await call(daemon, { ...ask, token: plain.token })).status, 200)
  })

  await t.test('a WebSocket: the proof follows the token, and neither travels on', async t => {
    const sockets = await startSocketUpstream(t, echo)
    const token = await tokenFor(key)
    await home.addKey('openai', { secret: `sk-proj-${'s'.repeat(40)}`, baseUrl: sockets.url, name: 'sockets' })
    await home.run(['key', 'disable', keys.openai ?? ''])
    const holder = holderOf(daemon, key, token)
    await holder.ask({ path: '/auth/verify' })
    const url = `wss://localhost:${daemon.port}/openai/v1/realtime?model=gpt-realtime`
    const open = (protocols: string[], headers: Record<string, string> = {}) =>
      new Promise<number>(resolve => {
        const socket = new WebSocket(url, protocols, { ca: daemon.ca, headers, family: 4 })
        socket.on('unexpected-response', (request, response) => {
          request.destroy()
          resolve(response.statusCode ?? 0)
        })
        socket.on('error', () => {})
        socket.on('open', () => {
          resolve(101)
          socket.close()
        })
      })
    const proof = await holder.proof('/openai/v1/realtime', 'GET')
    t.equal(await open(['realtime', `openai-insecure-api-key.${token}`]), 401)
    t.equal(await open(['realtime', `openai-insecure-api-key.${token}~${await holder.proof(chatPath, 'GET')}`]), 401)
    t.equal(await open(['realtime', `openai-insecure-api-key.${token}~${proof}`]), 101)
    t.equal(await open(['realtime', `openai-insecure-api-key.${token}~${proof}`]), 401, 'once')
    const inHeader = { authorization: `Bearer ${token}~${await holder.proof('/openai/v1/realtime', 'GET')}` }
    t.equal(await open([], inHeader), 101, 'SDKs of Node have but the one place to put it, too')
    t.equal(await open([], inHeader), 401)
    const asSocket = await holder.proof('', 'GET', { htu: url })
    t.equal(
      await open(['realtime'], { authorization: `DPoP ${token}`, dpop: asSocket }),
      101,
      'in headers, with the address as the client has it',
    )
    for (const { headers, url } of sockets.upgrades)
      t.notMatch(JSON.stringify([headers, url]), new RegExp(`dpop|${token.slice(-30)}|${proof.slice(-30)}`, 'i'))
  })
})

t.test("an issuer's JWT is exchanged for a token that is bound, and one that the issuer bound only by who holds its key", async t => {
  const { daemon, home } = await makeStage(t)
  const issuer = await startIssuer(`${home.dir}/certs`)
  t.teardown(() => issuer.close())
  const served = await home.serve({ env: { NODE_EXTRA_CA_CERTS: home.caFile() } })
  await home.json(['app', 'create', 'page', '--provider', 'openai', '--dpop'])
  await home.json([
    'issuer',
    'add',
    issuer.url,
    '--audience',
    'soakp',
    '--app',
    'page',
    '--allow-private',
    '--no-check',
    '--jwks',
    `${issuer.url}/keys`,
    '--direct',
  ])
  const key = (await generateKeyPair('ES256')) as KeyPair
  const otherKey = (await generateKeyPair('ES256')) as KeyPair
  const exchange = async (jwt: string, pair?: KeyPair) =>
    call(served, {
      path: '/auth/exchange',
      body: JSON.stringify({ token: jwt }),
      headers: pair ? { dpop: await generateProof(pair, `${served.origin}/auth/exchange`, 'POST') } : {},
    })
  t.equal(codeOf(await exchange(await issuer.token())), 'dpop_missing')
  const answer = await exchange(await issuer.token(), key)
  t.match(answer.json(), { tokenType: 'DPoP' }, answer.text())
  t.ok(answer.headers['dpop-nonce'], 'the nonce for the first call comes along')
  const ask: Ask = { path: '/openai/v1/models' }
  const holder = holderOf(served, key, answer.json().token)
  holder.nonce = answer.headers['dpop-nonce'] as string
  t.equal((await holder.once(ask)).status, 200)
  const bound = await issuer.token({ claims: { cnf: { jkt: await thumbprintOf(key) } } })
  t.equal(codeOf(await exchange(bound, otherKey)), 'dpop_invalid')
  t.equal((await exchange(bound, key)).status, 200)
  t.equal(codeOf(await call(served, { ...ask, token: await issuer.token() })), 'dpop_missing', 'directly, too')
  t.equal(codeOf(await call(served, { ...ask, token: bound })), 'dpop_missing')
  t.equal((await holderOf(served, key, bound).ask(ask)).status, 200)
  t.equal(codeOf(await exchange(await issuer.token({ claims: { cnf: { 'x5t#S256': 'x' } } }), key)), 'issuer_token_refused')
  t.ok(daemon.alive())
})
