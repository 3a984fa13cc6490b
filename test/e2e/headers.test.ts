import { randomBytes } from 'node:crypto'
import { Agent } from 'node:https'
import t from 'tap'
import { type Answer, chat } from '../support/clients.js'
import { json, raw, whole } from '../support/scripts.js'
import { makeStage } from '../support/stage.js'

// What travels beside the body, and what a provider may do wrong.

t.test('headers and faults', async t => {
  const { daemon, upstream, home, token } = await makeStage(t)
  const agent = new Agent({ keepAlive: true, maxSockets: 4 })
  t.teardown(() => agent.destroy())

  await t.test('the client’s own headers reach the provider, and none that carry or could override a credential', async t => {
    upstream.forget()
    upstream.use(json({ ok: true }))
    const answer = await chat(daemon, token, {
      headers: {
        'openai-beta': 'assistants=v2',
        'x-stainless-lang': 'js',
        'idempotency-key': 'abc',
        'user-agent': 'my-app/1.0',
        accept: 'application/json',
        cookie: 'a=b',
        'proxy-authorization': 'Basic eA==',
        'x-forwarded-for': '1.2.3.4',
        forwarded: 'for=1.2.3.4',
        origin: 'https://app.example',
        'openai-organization': 'org-mine',
        'openai-project': 'proj-mine',
        'x-soakp-thing': '1',
        'x-http-method-override': 'DELETE',
        'x-original-url': '/v1/organization',
        'sec-fetch-site': 'cross-site',
        via: '1.1 me',
      },
    })
    t.equal(answer.status, 200)
    const sent = upstream.requests[0]
    for (const name of ['openai-beta', 'x-stainless-lang', 'idempotency-key', 'accept']) t.ok(sent?.header(name), `${name} travels`)
    t.match(sent?.header('user-agent'), /my-app\/1\.0/)
    const dropped = ['cookie', 'proxy-authorization', 'x-forwarded-for', 'forwarded', 'origin', 'openai-organization', 'openai-project']
    for (const name of [...dropped, 'x-soakp-thing', 'x-http-method-override', 'x-original-url', 'sec-fetch-site', 'via']) {
      t.equal(sent?.header(name), undefined, `${name} does not travel`)
    }
    t.notMatch(sent?.rawHead, /eyJ/, 'no access token leaves')
  })

  await t.test('headers named in Connection do not travel, in either direction', async t => {
    upstream.forget()
    upstream.use(async exchange => {
      await exchange.body()
      await exchange.send(
        whole(200, 'application/json', '{}', [
          ['Connection', 'keep-alive, x-hop'],
          ['X-Hop', 'secret'],
          ['X-End', 'kept'],
        ]),
      )
    })
    const answer = await chat(daemon, token, { headers: { connection: 'keep-alive, x-mine', 'x-mine': 'hop', 'x-other': 'kept' } })
    t.equal(upstream.requests[0]?.header('x-mine'), undefined)
    t.equal(upstream.requests[0]?.header('x-other'), 'kept')
    t.equal(answer.headers['x-hop'], undefined)
    t.equal(answer.headers['x-end'], 'kept')
  })

  await t.test('of the provider’s headers, those that would act on the client’s browser or name the account stay behind', async t => {
    const fields = [
      ['Set-Cookie', 'a=b'],
      ['Alt-Svc', 'h3=":443"'],
      ['Strict-Transport-Security', 'max-age=1'],
      ['Access-Control-Allow-Origin', '*'],
      ['OpenAI-Organization', 'org-x'],
      ['Server', 'cloudflare'],
      ['X-RateLimit-Remaining-Requests', '9'],
      ['OpenAI-Processing-Ms', '5'],
    ] as const
    upstream.use(json({ ok: true }, 200, fields))
    const { headers } = await chat(daemon, token)
    for (const name of [
      'set-cookie',
      'alt-svc',
      'strict-transport-security',
      'access-control-allow-origin',
      'openai-organization',
      'server',
    ]) {
      t.equal(headers[name], undefined, name)
    }
    t.equal(headers['x-ratelimit-remaining-requests'], '9')
    t.equal(headers['openai-processing-ms'], '5')
    t.equal(headers['x-content-type-options'], 'nosniff')
    t.match(headers['content-security-policy'], /sandbox/)
  })

  await t.test('every reply says which line of the ledger is its own, and what soakp added in microseconds', async t => {
    upstream.use(
      json({ x: 1 }, 200, [
        ['x-soakp-overhead-us', 'false'],
        ['x-request-id', 'theirs'],
      ]),
    )
    const { headers } = await chat(daemon, token)
    t.match(headers['x-soakp-overhead-us'], /^[1-9]\d{0,6}$/)
    t.equal(headers['x-request-id'], (await home.entries()).at(-1)?.id)
  })

  await t.test('early hints and other news before the reply do no harm', async t => {
    upstream.use(
      raw('HTTP/1.1 102 Processing\r\n\r\n', 'HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n', whole(200, 'application/json', '{"a":1}')),
    )
    const answer = await chat(daemon, token)
    t.equal(answer.status, 200)
    t.equal(answer.text(), '{"a":1}')
  })

  await t.test('a reply that lies about its length never spills into the next call', async t => {
    upstream.use(async exchange => {
      await exchange.body()
      await exchange.send(
        Buffer.concat([whole(200, 'application/json', '{"a":1}'), Buffer.from(whole(200, 'application/json', '{"smuggled":true}'))]),
      )
    })
    const bodies: string[] = []
    for (let index = 0; index < 20; index++) bodies.push((await chat(daemon, token, { agent })).text())
    t.notOk(
      bodies.some(body => body !== '{"a":1}' && !body.includes('provider_')),
      bodies.join(),
    )
  })

  await t.test('garbage from the provider becomes a 502 in its dialect, or a body that breaks off, and nothing else', async t => {
    const garbage: readonly (readonly [string, string | Buffer])[] = [
      ['no HTTP at all', 'SSH-2.0-OpenSSH_9.2\r\n\r\n'],
      ['two lengths', `HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nabc`],
      ['length and chunked', `HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\n`],
      ['chunk sizes that are none', `HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nabc\r\n0\r\n\r\n`],
      ['a negative length', `HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n`],
      ['200 KB of headers', `HTTP/1.1 200 OK\r\n${'X-A: b\r\n'.repeat(25_000)}\r\n`],
      ['one header of 200 KB', `HTTP/1.1 200 OK\r\nX-A: ${'b'.repeat(200_000)}\r\n\r\n`],
      ['a status of 9 digits', 'HTTP/1.1 200000000 OK\r\nContent-Length: 0\r\n\r\n'],
      ['a control byte in a header', 'HTTP/1.1 200 OK\r\nX-A: a\u0000b\r\nContent-Length: 0\r\n\r\n'],
      ['an upgrade nobody asked for', 'HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\n'],
      ['random bytes', randomBytes(4096)],
    ]
    for (const [title, bytes] of garbage) {
      upstream.use(async exchange => {
        await exchange.body()
        await exchange.send(typeof bytes === 'string' ? Buffer.from(bytes, 'latin1') : bytes)
        exchange.close()
      })
      const answer: Answer | undefined = await chat(daemon, token).catch((): undefined => undefined)
      t.ok(
        answer === undefined || !answer.complete || answer.status === 502,
        `${title}: ${answer?.status} ${answer?.complete} ${answer?.text().slice(0, 80)}`,
      )
      if (answer?.complete) t.match(answer.json(), { error: { message: String, code: /^provider_/ } })
    }
    upstream.use(json({ fine: true }))
    t.strictSame((await chat(daemon, token)).json(), { fine: true })
  })

  await t.test('a redirect is never followed: the client gets 502, the other address no request', async t => {
    for (const status of [301, 302, 303, 307, 308]) {
      upstream.forget()
      upstream.use(json({}, status, [['Location', `${upstream.url}/elsewhere`]]))
      const answer = await chat(daemon, token)
      t.equal(answer.status, 502)
      t.equal(answer.json().error.code, 'provider_redirected')
      t.equal(upstream.requests.length, 1)
      t.equal(answer.headers.location, undefined)
    }
  })

  await t.test('after all this the daemon is alive and every call is in the ledger exactly once', async t => {
    t.ok(daemon.alive())
    const entries = await home.entries()
    t.equal(new Set(entries.map(entry => `${entry.id}/${entry.attempt}`)).size, entries.length)
    t.notMatch(daemon.output(), /"level":60|uncaught|unhandled/i)
  })
})
