import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { request as httpsRequest } from 'node:https'
import t from 'tap'
import { answerOf, call, callHttp2, http2, open, rawTls } from '../support/clients.js'
import type { Daemon } from '../support/daemon.js'
import { chunk, head, json, lastChunk } from '../support/scripts.js'
import { makeStage } from '../support/stage.js'
import { until, within } from '../support/until.js'
import { seen } from '../support/upstream.js'

// Bodies of 100 MB in both directions. Memory is bounded by what is in flight, not by what a body weighs.

const megabyte = 1_000_000
const size = 100 * megabyte
/** What resident memory may grow by: buffers of the sockets and of the garbage collector's leisure, far below a body. */
const bound = 70 * megabyte
const block = Buffer.alloc(megabyte, 'soakp moves bytes and keeps none. ')

/** Follows a process's memory until `stop`, which tells the most it grew by. */
function watchMemory(daemon: Daemon): () => number {
  const before = daemon.rss()
  let most = before
  const timer = setInterval(() => {
    most = Math.max(most, daemon.rss())
  }, 20)
  return () => {
    clearInterval(timer)
    return most - before
  }
}

t.test('large bodies', async t => {
  const { daemon, upstream, home, token, grant } = await makeStage(t)
  const wide = (await grant('--all', '--endpoints', '*')).token
  // the first call compiles code and opens pools; it is not what is measured
  upstream.use(json({ text: 'hi' }))
  await call(daemon, { path: '/openai/v1/audio/speech', token, body: '{"model":"tts-1","input":"x"}' })

  await t.test('a multipart upload of 100 MB streams through with flat memory, even while the provider does not read', async t => {
    const opening =
      '--soakp\r\nContent-Disposition: form-data; name="model"\r\n\r\nwhisper-1\r\n--soakp\r\nContent-Disposition: form-data; name="file"; filename="a.wav"\r\n\r\n'
    const closing = '\r\n--soakp--\r\n'
    upstream.forget()
    upstream.use(async exchange => {
      exchange.socket.pause()
      await until(() => false, 'nothing', undefined, 700).catch(() => {})
      exchange.socket.resume()
      await exchange.body()
      await json({ text: 'heard' })(exchange)
    })
    const memory = watchMemory(daemon)
    const request = httpsRequest({
      host: 'localhost',
      family: 4,
      port: daemon.port,
      ca: daemon.ca,
      agent: false,
      method: 'POST',
      path: '/openai/v1/audio/transcriptions',
      headers: {
        authorization: `Bearer ${token}`,
        'content-type': 'multipart/form-data; boundary=soakp',
        'content-length': opening.length + size + closing.length,
      },
    })
    const hash = createHash('sha256').update(opening)
    request.write(opening)
    const replied = once(request, 'response')
    for (let sent = 0; sent < size; sent += megabyte) {
      hash.update(block)
      if (!request.write(block)) await once(request, 'drain')
    }
    request.end(closing)
    const [response] = await replied
    response.resume()
    t.equal(response.statusCode, 200)
    await upstream.requests[0]?.done
    t.equal(upstream.requests[0]?.sha256, hash.update(closing).digest('hex'))
    const grown = memory()
    t.ok(grown < bound, `grew by ${grown / megabyte} MB`)
    await until(
      async () => (await home.entries()).at(-1)?.bytesIn === opening.length + size + closing.length,
      'the entry to count the upload',
    )
  })

  await t.test('a download of 100 MB streams through with flat memory, even while the client does not read', async t => {
    for (const version of ['HTTP/1.1', 'HTTP/2']) {
      upstream.use(async exchange => {
        await exchange.body()
        await exchange.send(
          head(200, [
            ['Content-Type', 'application/octet-stream'],
            ['Content-Length', `${size}`],
          ]),
        )
        for (let sent = 0; sent < size && !exchange.socket.destroyed; sent += megabyte) await exchange.send(block)
      })
      const expected = createHash('sha256')
      for (let sent = 0; sent < size; sent += megabyte) expected.update(block)
      const hash = createHash('sha256')
      const memory = watchMemory(daemon)
      const ask = { path: '/openai/v1/audio/speech', token, body: '{"model":"tts-1","input":"x"}' }
      if (version === 'HTTP/1.1') {
        const response = await open(daemon, ask)
        response.pause()
        await until(() => false, 'nothing', undefined, 700).catch(() => {})
        for await (const part of response) hash.update(part)
      } else {
        const session = await http2(daemon)
        hash.update((await callHttp2(session, ask)).body)
        session.destroy()
      }
      t.equal(hash.digest('hex'), expected.digest('hex'), version)
      const grown = memory()
      t.ok(grown < bound, `${version} grew by ${grown / megabyte} MB`)
    }
  })

  await t.test('a provider that ends its connection while the client does not read harms nothing, however the reply is framed', async t => {
    const body = Buffer.alloc(4 * megabyte, 'x')
    const framings = {
      'by its length': [['Content-Length', `${body.length}`]],
      'by the connection’s end': [],
      'in chunks': [['Transfer-Encoding', 'chunked']],
    } as const
    for (const [title, fields] of Object.entries(framings)) {
      for (const end of ['close', 'reset'] as const) {
        upstream.use(async exchange => {
          await exchange.body()
          await exchange.send(head(200, [['Content-Type', 'audio/mpeg'], ['Connection', 'close'], ...fields]))
          await exchange.send(title === 'in chunks' ? Buffer.concat([chunk(body), Buffer.from(lastChunk)]) : body)
          exchange[end]()
        })
        const response = await open(daemon, { path: '/openai/v1/audio/speech', token, body: '{"model":"tts-1","input":"x"}' })
        response.pause()
        await until(() => false, 'nothing', undefined, 200).catch(() => {})
        const read = answerOf(response)
        response.resume()
        const answer = await within(read, title)
        if (end === 'close') t.ok(answer.complete && answer.body.equals(body), title)
        t.ok(daemon.alive(), `${title}, ${end}`)
      }
    }
    upstream.use(json({ fine: true }))
    t.equal((await call(daemon, { path: '/openai/v1/audio/speech', token, body: '{"model":"tts-1","input":"x"}' })).status, 200)
  })

  await t.test('a JSON body beyond what can be checked is refused when a rule has to see it', async t => {
    const ruled = (await grant('--all', '--models', 'gpt-*')).token
    upstream.forget()
    upstream.use(json({ ok: true }))
    const body = `{"model":"gpt-4o","messages":[{"role":"user","content":"${'x'.repeat(34 * megabyte)}"}]}`
    const answer = await call(daemon, { path: '/openai/v1/chat/completions', token: ruled, body }).catch((): undefined => undefined)
    if (answer !== undefined) t.equal(answer.status, 413)
    t.equal(upstream.requests.length, 0)
  })

  await t.test('100-continue is said after authentication, and the body then goes out without the expectation', async t => {
    upstream.forget()
    upstream.use(json({ ok: true }))
    const start = (given: string) =>
      `PUT /openai/v9/thing HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer ${given}\r\nContent-Type: application/octet-stream\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n`
    const connection = await rawTls(daemon)
    connection.write(start(wide))
    t.match(await connection.until(text => text.includes('\r\n\r\n')), /^HTTP\/1\.1 100 /)
    connection.write('hello')
    t.match(await connection.until(text => text.includes('"ok"')), /HTTP\/1\.1 200 /)
    connection.socket.destroy()
    await seen(upstream, 1)
    t.equal(upstream.requests[0]?.header('expect'), undefined)
    t.equal((await upstream.requests[0]?.done)?.toString(), 'hello')

    const stranger = await rawTls(daemon)
    stranger.write(start('nonsense'))
    t.match(await stranger.until(text => text.includes('\r\n\r\n')), /^HTTP\/1\.1 401 /)
    stranger.socket.destroy()
    t.equal(upstream.requests.length, 1)
  })
})
