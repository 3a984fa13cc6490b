import { randomBytes } from 'node:crypto'
import { Agent } from 'node:https'
import { gzipSync } from 'node:zlib'
import t from 'tap'
import { call, callHttp2, chat, chatAsk, http2 } from '../support/clients.js'
import { chunk, head, json, lastChunk, raw, whole } from '../support/scripts.js'
import { makeStage } from '../support/stage.js'
import { seen } from '../support/upstream.js'

// Bodies go as they came, whatever they are and however they are framed.

t.test('bytes', async t => {
  const { daemon, upstream, home, token, grant } = await makeStage(t)
  const wide = (await grant('--all', '--endpoints', '*')).token
  const agent = new Agent({ keepAlive: true, maxSockets: 4 })
  t.teardown(() => agent.destroy())
  const session = await http2(daemon)
  t.teardown(() => session.destroy())

  await t.test('a JSON reply keeps its spaces, its order, its repeated names and its bad numbers, over HTTP/1.1 and HTTP/2', async t => {
    const body = '{ "b" : 1.0e2,\n\t"a":[ ],"a" : "\\u00e9é🐟", "n":1e999 , "usage":{"prompt_tokens":11,"completion_tokens":7} }\n\n'
    upstream.use(raw(whole(200, 'application/json; charset=utf-8', body)))
    t.equal((await chat(daemon, token)).text(), body)
    t.equal((await callHttp2(session, chatAsk(token))).text(), body)
    const [entry] = (await home.entries()).slice(-1)
    t.match(entry, { inputTokens: 11, outputTokens: 7, bytesOut: Buffer.byteLength(body) })
  })

  await t.test('a reply whose JSON is broken arrives as it is', async t => {
    upstream.use(raw(whole(200, 'application/json', '{"usage": {"prompt_tokens": ')))
    t.equal((await chat(daemon, token)).text(), '{"usage": {"prompt_tokens": ')
  })

  await t.test('binary replies of a megabyte arrive, over both versions, with and without a length', async t => {
    const audio = randomBytes(1_000_000)
    const ask = { path: '/openai/v1/audio/speech', token, body: '{"model":"tts-1","input":"x","voice":"alloy"}' }
    upstream.use(raw(whole(200, 'audio/mpeg', audio)))
    t.ok((await call(daemon, ask)).body.equals(audio))
    t.ok((await callHttp2(session, ask)).body.equals(audio))
    upstream.use(
      raw(
        head(200, [
          ['Content-Type', 'audio/mpeg'],
          ['Transfer-Encoding', 'chunked'],
        ]),
        chunk(audio.subarray(0, 700_001)),
        chunk(audio.subarray(700_001)),
        lastChunk,
      ),
    )
    t.ok((await call(daemon, ask)).body.equals(audio))
    t.ok((await callHttp2(session, ask)).body.equals(audio))
    upstream.use(async exchange => {
      await exchange.body()
      await exchange.send(
        Buffer.from(
          head(200, [
            ['Content-Type', 'audio/mpeg'],
            ['Connection', 'close'],
          ]),
        ),
      )
      await exchange.send(audio)
      exchange.close()
    })
    t.ok((await call(daemon, ask)).body.equals(audio), 'a body that ends with the connection')
  })

  await t.test('a compressed reply arrives compressed, though the provider was asked for identity', async t => {
    const body = gzipSync('{"usage":{"prompt_tokens":1,"completion_tokens":1}}')
    upstream.forget()
    upstream.use(raw(whole(200, 'application/json', body, [['Content-Encoding', 'gzip']])))
    const answer = await chat(daemon, token, { headers: { 'accept-encoding': 'gzip, br' } })
    t.equal(answer.headers['content-encoding'], 'gzip')
    t.ok(answer.body.equals(body))
    t.equal(upstream.requests[0]?.header('accept-encoding'), 'identity')
  })

  await t.test('HEAD, 204 and 304 have no body and end at once', async t => {
    upstream.use(
      raw(
        head(200, [
          ['Content-Length', '123'],
          ['Content-Type', 'application/json'],
        ]),
      ),
    )
    const answer = await call(daemon, { method: 'HEAD', path: '/openai/v1/models/gpt-4o-mini', token: wide, agent })
    t.match(answer, { status: 200, complete: true })
    t.equal(answer.headers['content-length'], '123')
    for (const status of [204, 304]) {
      upstream.use(raw(head(status)))
      const bare = await call(daemon, { path: '/openai/v1/models', token, agent })
      t.match(bare, { status, complete: true })
      t.equal(bare.body.length, 0)
    }
  })

  await t.test('every method goes out as it came, with its body', async t => {
    upstream.use(json({ ok: true }))
    for (const method of ['DELETE', 'OPTIONS', 'PUT', 'PATCH', 'POST', 'GET']) {
      for (const body of [undefined, '{"a":1}']) {
        upstream.forget()
        const answer = await call(daemon, {
          method,
          path: '/openai/v9/things/1?x=%20y&x=2',
          token: wide,
          ...(body === undefined ? {} : { body }),
        })
        t.equal(answer.status, 200, `${method} ${body ?? ''}`)
        t.match(upstream.requests[0], { method, target: '/v9/things/1?x=%20y&x=2' })
        t.equal((await upstream.requests[0]?.done)?.toString(), body ?? '')
      }
    }
  })

  await t.test('the path and the query go out as they came', async t => {
    upstream.use(json({ ok: true }))
    for (const path of [
      '/v9/%7Bx%7D/a%20b',
      "/v9/~a!$&'()*+,;=:@",
      '/v9/caf%C3%A9?q=%2F%3F&empty=&flag',
      '/v9/x?y=a/../b',
      '/v9/UPPER/lower/',
      '/v9/%2Fdata',
    ]) {
      upstream.forget()
      const answer = await call(daemon, { path: `/openai${path}`, token: wide })
      t.equal(answer.status, 200, path)
      t.equal(upstream.requests[0]?.target, path)
    }
  })

  await t.test('a call whose request body comes in chunks with trailers reaches the provider whole', async t => {
    upstream.forget()
    upstream.use(json({ ok: true }))
    const answer = await chat(daemon, token, { headers: { 'transfer-encoding': 'chunked' } })
    t.equal(answer.status, 200)
    await seen(upstream, 1)
    t.equal((await upstream.requests[0]?.done)?.toString(), String(chatAsk(token).body))
  })

  await t.test('a reply with trailers arrives whole, and the connection serves the next call', async t => {
    upstream.use(
      raw(
        head(200, [
          ['Transfer-Encoding', 'chunked'],
          ['Trailer', 'X-Sum'],
        ]),
        chunk('{"a":1}'),
        '0\r\nX-Sum: 7\r\n\r\n',
      ),
    )
    for (let index = 0; index < 3; index++) t.match(await chat(daemon, token, { agent }), { status: 200, complete: true })
    t.equal((await callHttp2(session, chatAsk(token))).text(), '{"a":1}')
  })

  await t.test('a hundred calls at once on one HTTP/2 connection each get their own reply', async t => {
    upstream.use(async exchange => {
      const { messages } = JSON.parse((await exchange.body()).toString())
      await exchange.send(whole(200, 'application/json', JSON.stringify({ echo: messages[0].content })))
    })
    const answers = await Promise.all(
      Array.from({ length: 100 }, (_, index) =>
        callHttp2(session, { ...chatAsk(token), body: JSON.stringify({ model: 'm', messages: [{ role: 'user', content: `n${index}` }] }) }),
      ),
    )
    t.strictSame(
      answers.map(answer => JSON.parse(answer.text()).echo),
      Array.from({ length: 100 }, (_, index) => `n${index}`),
    )
  })
})
