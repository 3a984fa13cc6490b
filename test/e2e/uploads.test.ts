import { once } from 'node:events'
import type { ClientRequest, IncomingMessage } from 'node:http'
import { request as httpsRequest } from 'node:https'
import t from 'tap'
import { answerOf, call, chat, http2, openHttp2, rawTls } from '../support/clients.js'
import type { Daemon } from '../support/daemon.js'
import { anyProvider, json, whole } from '../support/scripts.js'
import { makeStage } from '../support/stage.js'
import { until, within } from '../support/until.js'
import { seen } from '../support/upstream.js'

// Bodies that stream out: who stalls is told so, who is refused can read it, and who leaves leaves nothing behind.

const path = '/openai/v1/audio/transcriptions'

function upload(daemon: Daemon, token: string, bytes: number, at = path): ClientRequest {
  return httpsRequest({
    host: 'localhost',
    family: 4,
    port: daemon.port,
    ca: daemon.ca,
    agent: false,
    method: 'POST',
    path: at,
    headers: { authorization: `Bearer ${token}`, 'content-type': 'application/octet-stream', 'content-length': bytes },
  }).on('error', () => {})
}

async function answer(request: ClientRequest) {
  const [response] = (await within(once(request, 'response'), 'the reply')) as [IncomingMessage]
  return within(answerOf(response), 'the body of the reply')
}

t.test('uploads', async t => {
  const { daemon, upstream, home, token } = await makeStage(t, { script: anyProvider, settings: { SOAKP_CLIENT_TIMEOUT: '1s' } })
  await home.addKey('dead', { secret: 'x'.repeat(40), baseUrl: 'http://127.0.0.1:9', more: ['--dialect', 'openai'] })

  await t.test('a client that stops sending a body that streams is told so with 408, and the provider is let go', async t => {
    upstream.forget()
    const request = upload(daemon, token, 30_000)
    request.write(Buffer.alloc(1000))
    const { status, json: body } = await answer(request)
    t.equal(status, 408)
    t.equal(body().error.code, 'client_timeout')
    await until(() => upstream.open === 0, 'the upstream call to end')
    t.match((await home.entries()).at(-1), { status: 408, errorCode: 'client_timeout' })
  })

  await t.test('a client whose provider reads slowly is not held to blame', async t => {
    upstream.use(async exchange => {
      exchange.socket.pause()
      await until(() => false, 'nothing', undefined, 2500).catch(() => {})
      exchange.socket.resume()
      await exchange.body()
      await json({ text: 'heard' })(exchange)
    })
    const request = upload(daemon, token, 20_000_000)
    request.end(Buffer.alloc(20_000_000))
    t.equal((await answer(request)).status, 200)
    upstream.use(anyProvider)
  })

  await t.test('who uploads to a provider that cannot be reached can read so, however large the body', async t => {
    for (const bytes of [1000, 500_000, 30_000_000]) {
      const request = upload(daemon, token, bytes, '/dead/v1/audio/transcriptions')
      request.end(Buffer.alloc(bytes))
      const { status, complete } = await answer(request)
      t.equal(status, 502, `${bytes}`)
      t.ok(complete)
    }
  })

  await t.test('a stranger with a large body can read the refusal', async t => {
    const request = upload(daemon, 'nonsense', 30_000_000)
    request.end(Buffer.alloc(30_000_000))
    const { status, complete } = await answer(request)
    t.equal(status, 401)
    t.ok(complete)
  })

  await t.test('what a provider says before the body is through arrives, and the connection serves the next call', async t => {
    upstream.use(async exchange => {
      await exchange.send(whole(413, 'application/json', '{"error":{"message":"too big"}}'))
    })
    for (const bytes of [1000, 5_000_000]) {
      const connection = await rawTls(daemon)
      connection.write(
        `POST ${path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer ${token}\r\nContent-Type: application/octet-stream\r\nContent-Length: ${bytes}\r\n\r\n`,
      )
      connection.write(Buffer.alloc(bytes / 2))
      await connection.until(text => text.includes('too big'))
      connection.write(Buffer.alloc(bytes / 2))
      connection.write(`GET /openai/v1/models HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer ${token}\r\n\r\n`)
      const text = await within(
        connection.until(received => received.split('HTTP/1.1 413').length === 3),
        `the second reply after ${bytes}`,
      )
      t.equal(text.split('HTTP/1.1 413').length, 3)
      connection.socket.destroy()
    }
    upstream.use(anyProvider)
  })

  await t.test('a client that leaves in the middle of an upload takes the upstream call along, over HTTP/1.1 and HTTP/2', async t => {
    upstream.forget()
    const request = upload(daemon, token, 1_000_000)
    request.write(Buffer.alloc(300_000))
    await seen(upstream, 1)
    request.destroy()
    await until(() => upstream.open === 0, 'the upstream call to end')
    const session = await http2(daemon)
    const stream = session.request({
      ':method': 'POST',
      ':path': path,
      authorization: `Bearer ${token}`,
      'content-type': 'application/octet-stream',
    })
    stream.on('error', () => {})
    stream.write(Buffer.alloc(100_000))
    await seen(upstream, 2)
    stream.destroy()
    await until(() => upstream.open === 0, 'the second upstream call to end')
    for (const received of upstream.requests) await t.rejects(received.done, 'the provider never takes it for a whole')
    session.destroy()
    await until(async () => (await home.entries()).slice(-2).every(entry => entry.outcome === 'client_gone'), 'both to be written down')
  })

  await t.test('a large upload over HTTP/2 arrives whole', async t => {
    upstream.forget()
    const session = await http2(daemon)
    const stream = openHttp2(session, {
      method: 'POST',
      path,
      token,
      headers: { 'content-type': 'application/octet-stream' },
      body: Buffer.alloc(10_000_000, 'soakp'),
    })
    stream.resume()
    const [headers] = await within(once(stream, 'response'), 'the reply')
    t.equal(headers[':status'], 200)
    await upstream.requests[0]?.done
    t.equal(upstream.requests[0]?.bodyBytes, 10_000_000)
    session.destroy()
  })

  await t.test('a page can read why it was refused, before and after it is known who asks, if a grant names its origin', async t => {
    await home.createToken(['--all', '--origin', 'https://app.example'])
    const from = (origin: string, given: string) => chat(daemon, given, { headers: { origin } })
    for (const given of ['nonsense', `sk-proj-${'a'.repeat(40)}`]) {
      const own = await from('https://app.example', given)
      t.equal(own.headers['access-control-allow-origin'], 'https://app.example')
      t.match(own.headers.vary, /Origin/)
      const other = await from('https://stranger.example', given)
      t.equal(other.headers['access-control-allow-origin'], undefined)
      t.match(other.headers.vary, /Origin/)
    }
    t.equal((await call(daemon, { path: '/openai/v1/models', token })).headers['access-control-allow-origin'], undefined)
  })
})
