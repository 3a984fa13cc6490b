import { createHmac, createPrivateKey, generateKeyPairSync, sign } from 'node:crypto'
import { Agent } from 'node:https'
import { setTimeout as delay } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { type Answer, call, chat, chatAsk, exchangeRaw } from '../support/clients.js'
import { freshKey, makeStage } from '../support/stage.js'

// Tokens that are forged, worn out, mutilated, too many, or something else altogether.

const encode = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url')
const decode = (part: string | undefined) => JSON.parse(Buffer.from(part ?? '', 'base64url').toString())

t.test('access tokens', async t => {
  const { daemon, upstream, home, token, secrets } = await makeStage(t)
  const [rawHeader = '', rawClaims = '', signature = ''] = token.split('.')
  const header = decode(rawHeader)
  const claims = decode(rawClaims)

  /** Sends the token to the relay and expects this refusal, in OpenAI's shape, with nothing sent on. */
  async function refused(t: Test, given: string, code: string | RegExp, title: string): Promise<void> {
    const before = upstream.requests.length
    const answer = await chat(daemon, given)
    t.equal(answer.status, code === 'real_key_sent' || code === 'several_tokens' ? 400 : 401, title)
    t.match(answer.json(), { error: { message: String, type: String, code } }, title)
    t.equal(answer.headers['x-should-retry'], 'false', title)
    t.equal(upstream.requests.length, before, `${title}: nothing left`)
  }

  await t.test('a token says who it is for and until when, and holds no rule and no secret', async t => {
    t.match(header, { alg: 'EdDSA', typ: 'at+jwt', kid: String })
    for (const name of ['iss', 'aud', 'sub', 'jti', 'iat', 'exp']) t.ok(claims[name], name)
    t.notMatch(JSON.stringify(claims), /model|endpoint|sk-/)
    t.ok(token.length < 1024)
  })

  await t.test('a forged token is refused, whatever it is forged with', async t => {
    const jwks = (await call(daemon, { path: '/.well-known/jwks.json' })).json()
    const publicKey = jwks.keys[0]
    t.notOk('d' in publicKey, 'the published key is public')
    const own = generateKeyPairSync('ed25519')
    const ownJwk = own.publicKey.export({ format: 'jwk' })
    const signed = (head: object, body: object, key = own.privateKey) => {
      const text = `${encode(head)}.${encode(body)}`
      return `${text}.${sign(null, Buffer.from(text), key).toString('base64url')}`
    }
    const hmac = (secret: string | Buffer, alg = 'HS256') => {
      const text = `${encode({ ...header, alg })}.${rawClaims}`
      return `${text}.${createHmac('sha256', secret).update(text).digest('base64url')}`
    }
    const forgeries: readonly (readonly [string, string])[] = [
      ['alg none', `${encode({ ...header, alg: 'none' })}.${rawClaims}.`],
      ['alg None', `${encode({ ...header, alg: 'None' })}.${rawClaims}.`],
      ['alg none, with the good signature', `${encode({ ...header, alg: 'none' })}.${rawClaims}.${signature}`],
      ['no signature', `${rawHeader}.${rawClaims}.`],
      ['HS256 with the public key as JSON', hmac(JSON.stringify(publicKey))],
      ['HS256 with the public key as bytes', hmac(Buffer.from(publicKey.x, 'base64url'))],
      ['HS256 with nothing', hmac('')],
      ['a key of its own', signed(header, claims)],
      ['a key of its own in the header', signed({ ...header, jwk: ownJwk }, claims)],
      ['a key of its own behind an address', signed({ ...header, jku: `${upstream.url}/jwks.json` }, claims)],
      ['a certificate of its own', signed({ ...header, x5c: ['AAAA'] }, claims)],
      ['another kid', signed({ ...header, kid: 'other' }, claims)],
      ['a kid that is a path', signed({ ...header, kid: '../../../dev/null' }, claims)],
      ['a kid that is SQL', signed({ ...header, kid: "' OR 1=1 --" }, claims)],
      ['another audience', `${rawHeader}.${encode({ ...claims, aud: 'someone' })}.${signature}`],
      ['another issuer', `${rawHeader}.${encode({ ...claims, iss: 'someone' })}.${signature}`],
      ['a later end', `${rawHeader}.${encode({ ...claims, exp: claims.exp + 1 })}.${signature}`],
      ['another grant', `${rawHeader}.${encode({ ...claims, sub: 'x', grant: 'grt_0000000000000000000000' })}.${signature}`],
      ['a critical extension', signed({ ...header, crit: ['x'], x: 1 }, claims)],
      ['another type', signed({ ...header, typ: 'JWT' }, claims)],
      ['a compressed payload', signed({ ...header, zip: 'DEF' }, claims)],
      ['an encrypted token', `${encode({ alg: 'dir', enc: 'A256GCM' })}..AAAAAAAAAAAAAAAA.AAAA.AAAAAAAAAAAAAAAAAAAAAA`],
      ['a header that is no object', `${encode([])}.${rawClaims}.${signature}`],
      ['a header that is null', `${encode(null)}.${rawClaims}.${signature}`],
      ['claims that are null', `${rawHeader}.${encode(null)}.${signature}`],
      [
        '__proto__ in the header',
        `${Buffer.from('{"__proto__":{"alg":"EdDSA"},"alg":"EdDSA"}').toString('base64url')}.${rawClaims}.${signature}`,
      ],
    ]
    for (const [title, forged] of forgeries) await refused(t, forged, 'token_invalid', title)
    t.equal((await chat(daemon, token)).status, 200)
    t.equal((await chat(daemon, token)).status, 200)
    t.notOk(upstream.requests.some(request => request.target.includes('jwks')))
  })

  await t.test('the signing key of another soakp opens nothing here', async t => {
    const { privateKey } = generateKeyPairSync('ed25519')
    const text = `${rawHeader}.${rawClaims}`
    const forged = `${text}.${sign(null, Buffer.from(text), createPrivateKey(privateKey.export({ format: 'pem', type: 'pkcs8' }))).toString('base64url')}`
    await refused(t, forged, 'token_invalid', 'same kid, other key')
  })

  await t.test('a token that is cut, lengthened or changed by one character at any place is refused', async t => {
    const wrong: unknown[] = []
    const agent = new Agent({ keepAlive: true, maxSockets: 1 })
    t.teardown(() => agent.destroy())
    const step = 7
    for (let at = 0; at < token.length; at += step) {
      const other = token[at] === 'A' ? 'Q' : 'A'
      for (const given of [token.slice(0, at), `${token.slice(0, at)}${other}${token.slice(at + 1)}`]) {
        // the last character of a base64url part may carry bits that say nothing
        const answer = await chat(daemon, given, { agent })
        if (answer.status !== 401 && answer.status !== 429) wrong.push({ at, status: answer.status })
      }
    }
    for (const given of [
      `${token}.`,
      `${token}=`,
      `${token} x`,
      `.${token}`,
      token.toUpperCase(),
      `${token}.${token}`,
      `${rawHeader}.${rawClaims}.${signature}==`,
    ]) {
      const answer = await chat(daemon, given, { agent })
      if (answer.status !== 401 && answer.status !== 429 && answer.status !== 400) wrong.push({ given, status: answer.status })
    }
    t.strictSame(wrong, [])
  })

  await t.test('an expired token is told that it has expired', async t => {
    const short = await home.createToken(['--all', '--ttl', '1s'])
    let answer: Answer = await chat(daemon, short.token)
    for (let tries = 0; answer.status === 200 && tries < 200; tries++) {
      await delay(20)
      answer = await chat(daemon, short.token)
    }
    t.equal(answer.status, 401)
    t.equal(answer.json().error.code, 'token_expired')
  })

  await t.test('a token of 1 MB, and one of 100 KB, is refused without harm', async t => {
    for (const size of [5_000, 12_000, 100_000, 1_000_000]) {
      const text = await exchangeRaw(
        daemon,
        `GET /openai/v1/models HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer ${'a'.repeat(size)}\r\n\r\n`,
      )
      t.match(text, /^HTTP\/1\.1 4(00|01|13|29|31) /, `${size} bytes`)
    }
    t.equal((await chat(daemon, token)).status, 200)
  })

  await t.test('a call without a token is told to send one', async t => {
    const answer = await call(daemon, { path: '/openai/v1/chat/completions', body: '{}' })
    t.equal(answer.status, 401)
    t.equal(answer.json().error.code, 'token_missing')
    for (const authorization of ['Bearer', 'Bearer ', 'Basic eDp5', '']) {
      const other = await call(daemon, { path: '/openai/v1/chat/completions', body: '{}', headers: { authorization } })
      t.equal(other.status, 401, `Authorization: ${authorization}`)
    }
  })

  await t.test('two different tokens are refused; the same one twice is served', async t => {
    const other = await home.createToken(['--all'])
    const ask = chatAsk(token)
    const two = await call(daemon, { ...ask, headers: { 'x-api-key': other.token } })
    t.equal(two.status, 400)
    t.equal(two.json().error.code, 'several_tokens')
    const same = await call(daemon, { ...ask, headers: { 'x-api-key': token } })
    t.equal(same.status, 200)
    t.notOk(upstream.requests.at(-1)?.header('x-api-key'))
  })

  await t.test('the token is found wherever the provider’s own key would stand, and stripped from all of these places', async t => {
    for (const name of ['x-api-key', 'api-key', 'x-goog-api-key', 'xi-api-key']) {
      const { token: _, ...ask } = chatAsk(token)
      const answer = await call(daemon, { ...ask, headers: { [name]: token } })
      t.equal(answer.status, 200, name)
      const sent = upstream.requests.at(-1)
      t.equal(sent?.header('authorization'), `Bearer ${secrets.openai}`)
      t.notOk(sent?.rawHead.includes(token), 'the access token stays here')
    }
    for (const scheme of ['Bearer', 'bearer', 'Token', 'Key']) {
      const { token: _, ...ask } = chatAsk(token)
      t.equal((await call(daemon, { ...ask, headers: { authorization: `${scheme} ${token}` } })).status, 200, scheme)
    }
  })

  await t.test('a real provider key sent as token is refused by name, and nowhere written down', async t => {
    for (const provider of ['openai', 'anthropic', 'gemini', 'groq']) {
      const real = freshKey(provider)
      await refused(t, real, 'real_key_sent', provider)
      const answer = await chat(daemon, real)
      t.notOk(answer.text().includes(real.slice(10, 30)))
      t.notOk(daemon.output().includes(real.slice(10, 30)), 'not logged')
    }
  })

  await t.test('the token in a query is not taken, and not sent on', async t => {
    const { token: _, ...ask } = chatAsk(token)
    const answer = await call(daemon, { ...ask, path: `${ask.path}?key=${token}` })
    t.equal(answer.status, 401)
    t.notOk(daemon.output().includes(signature))
  })

  await t.test('10 000 bad tokens cost little: memory stays flat, and a good token from the same address is served throughout', async t => {
    const agent = new Agent({ keepAlive: true, maxSockets: 20 })
    t.teardown(() => agent.destroy())
    // a second daemon on the same home, with the limit that users have
    const strict = await home.serve({ env: { SOAKP_AUTH_FAILURE_RATE: '30/m' } })
    const bad = (index: number) => `${rawHeader}.${encode({ ...claims, jti: `tok_${index}` })}.${signature}`
    const send = async (count: number) => {
      let next = 0
      const statuses = new Set<number>()
      const worker = async () => {
        for (let index = next++; index < count; index = next++) {
          statuses.add((await chat(strict, bad(index), { agent })).status)
          if (index % 250 === 0) t.equal((await chat(strict, token)).status, 200)
        }
      }
      await Promise.all(Array.from({ length: 20 }, worker))
      return [...statuses].sort()
    }
    // caches and pools are warm after the first two thousand
    await send(2000)
    const before = strict.rss()
    const statuses = await send(8000)
    t.ok(
      statuses.every(status => status === 401 || status === 429),
      statuses.join(),
    )
    t.ok(statuses.includes(429), 'guessing runs into a limit')
    const grown = (strict.rss() - before) / 1_000_000
    t.ok(grown < 50, `grew by ${grown} MB`)
    t.equal((await chat(strict, token)).status, 200)
  })

  await t.test('the daemon outlived all of it', async t => {
    t.ok(daemon.alive())
    t.notMatch(daemon.output(), /uncaught|unhandled/i)
  })
})
