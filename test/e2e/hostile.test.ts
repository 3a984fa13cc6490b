import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { connect as connectTcp } from 'node:net'
import t from 'tap'
import { call, callHttp2, chat, chatAsk, exchangeRaw, http2, rawTls } from '../support/clients.js'
import { json } from '../support/scripts.js'
import { makeStage } from '../support/stage.js'
import { until, within } from '../support/until.js'

// Requests made to be misread, and clients that mean harm. None may end the process.

t.test('hostile requests', async t => {
  const { daemon, upstream, token, grant } = await makeStage(t, {
    script: json({ reached: true }),
    settings: { SOAKP_CLIENT_TIMEOUT: '2s' },
  })
  const wide = (await grant('--all', '--endpoints', '*')).token
  const ruled = (await grant('--provider', 'openai', '--models', 'gpt-4o-mini')).token

  await t.test('a request that smuggles another is refused, and the other never reaches the provider', async t => {
    const inner = `GET /openai/v9/smuggled HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer ${wide}\r\n\r\n`
    const start = `POST /openai/v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer ${wide}\r\nContent-Type: application/json\r\n`
    const tricks: readonly (readonly [string, string])[] = [
      ['length and chunked', `${start}Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n${inner}`],
      ['chunked and length', `${start}Transfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n0\r\n\r\n${inner}`],
      ['two lengths', `${start}Content-Length: 0\r\nContent-Length: ${inner.length}\r\n\r\n${inner}`],
      ['lengths in a list', `${start}Content-Length: 0, ${inner.length}\r\n\r\n${inner}`],
      ['a signed length', `${start}Content-Length: +0\r\n\r\n${inner}`],
      ['two codings', `${start}Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n${inner}`],
      ['an unknown coding', `${start}Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n${inner}`],
      ['a space before the colon', `${start}Transfer-Encoding : chunked\r\nContent-Length: 0\r\n\r\n${inner}`],
      ['a folded header', `${start}Transfer-Encoding:\r\n chunked\r\nContent-Length: 0\r\n\r\n${inner}`],
      ['a bare line feed', `${start.replace('\r\nContent-Type', '\nX-A: b\r\nContent-Type')}Content-Length: 0\r\n\r\n`],
      ['a NUL in a header', `${start}X-A: a\u0000b\r\nContent-Length: 0\r\n\r\n`],
      ['no Host', `GET /openai/v1/models HTTP/1.1\r\nAuthorization: Bearer ${wide}\r\n\r\n`],
      ['two Hosts', `GET /openai/v1/models HTTP/1.1\r\nHost: localhost\r\nHost: evil.example\r\nAuthorization: Bearer ${wide}\r\n\r\n`],
    ]
    for (const [title, bytes] of tricks) {
      upstream.forget()
      const text = await exchangeRaw(daemon, bytes)
      t.match(text, /^HTTP\/1\.1 4\d\d |^$/, title)
      t.notOk(
        upstream.requests.some(request => request.target.includes('smuggled')),
        title,
      )
      t.notOk(text.includes('"reached"'), title)
    }
  })

  await t.test('another host’s name, an absolute address and a proxy’s CONNECT are refused', async t => {
    const misdirected = await exchangeRaw(
      daemon,
      `GET /openai/v1/models HTTP/1.1\r\nHost: evil.example\r\nAuthorization: Bearer ${token}\r\n\r\n`,
    )
    t.match(misdirected, /^HTTP\/1\.1 421 /)
    upstream.forget()
    for (const line of ['GET http://evil.example/openai/v1/models', 'GET //evil.example/openai/v1/models', 'CONNECT evil.example:443']) {
      const text = await exchangeRaw(daemon, `${line} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer ${wide}\r\n\r\n`)
      t.notMatch(text, /^HTTP\/1\.1 2/, line)
    }
    t.notOk(upstream.requests.some(request => request.header('host')?.includes('evil')))
  })

  await t.test('a browser that opens a relay address as a page is refused', async t => {
    upstream.forget()
    const answer = await call(daemon, { path: '/openai/v1/models', token, headers: { 'sec-fetch-mode': 'navigate' } })
    t.equal(answer.status, 403)
    t.equal(answer.json().error.code, 'navigation_refused')
    t.equal(upstream.requests.length, 0)
  })

  await t.test('access tokens do not open the administration', async t => {
    for (const path of ['/admin/v1/keys', '/admin', '/metrics', '/credentials']) {
      const answer = await call(daemon, { path, token: wide })
      t.ok(answer.status >= 400 && answer.status < 500, `${path}: ${answer.status}`)
    }
  })

  await t.test('clients that never finish a head, a body or a handshake are let go, and others are served meanwhile', async t => {
    const dawdlers = await Promise.all(Array.from({ length: 50 }, () => rawTls(daemon)))
    for (const connection of dawdlers) connection.write('POST /openai/v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nX-')
    const silent = Array.from({ length: 50 }, () => connectTcp(daemon.port, '127.0.0.1').on('error', () => {}))
    await Promise.all(silent.map(socket => once(socket, 'connect')))
    t.equal((await chat(daemon, token)).status, 200)
    const slow = await rawTls(daemon)
    const ask = chatAsk(ruled)
    slow.write(
      `POST ${ask.path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer ${ruled}\r\nContent-Type: application/json\r\nContent-Length: 5000\r\n\r\n{"model"`,
    )
    const text = await within(slow.ended, 'the slow body', 15_000)
    t.match(text, /^HTTP\/1\.1 408 |^$/)
    for (const connection of dawdlers) connection.socket.destroy()
    for (const socket of silent) socket.destroy()
    t.equal((await chat(daemon, token)).status, 200)
  })

  await t.test('noise instead of TLS, of HTTP or of HTTP/2 does no harm', async t => {
    const noises = [
      randomBytes(2000),
      Buffer.from('GET / HTTP/1.1\r\n\r\n'),
      Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'),
      Buffer.alloc(0),
    ]
    for (const noise of noises) {
      const socket = connectTcp(daemon.port, '127.0.0.1')
      socket.on('error', () => {})
      socket.end(noise)
      await new Promise(resolve => socket.once('close', resolve).resume())
      for (const alpn of ['http/1.1', 'h2']) {
        const connection = await rawTls(daemon, [alpn])
        connection.write(noise)
        connection.socket.end()
        await within(connection.ended, `${alpn} noise`)
      }
    }
    t.equal((await chat(daemon, token)).status, 200)
  })

  await t.test('over HTTP/2: forbidden headers, thousands of resets and too many headers do no harm', async t => {
    const session = await http2(daemon)
    t.teardown(() => session.destroy())
    for (let index = 0; index < 2000 && !session.destroyed; index++) {
      const stream = session.request({ ':method': 'GET', ':path': '/openai/v1/models', authorization: 'Bearer nonsense' })
      stream.on('error', () => {})
      stream.close(8)
    }
    const other = await http2(daemon)
    t.teardown(() => other.destroy())
    t.equal((await callHttp2(other, chatAsk(token))).status, 200)
    const many = Object.fromEntries(Array.from({ length: 900 }, (_, index) => [`x-${index}`, 'v'.repeat(50)]))
    const answer = await callHttp2(other, { path: '/openai/v1/models', token, headers: many })
    t.ok(answer.status === 0 || answer.status >= 400 || answer.status === 200)
    const last = await http2(daemon)
    t.teardown(() => last.destroy())
    t.equal((await callHttp2(last, chatAsk(token))).status, 200)
  })

  await t.test('a reply that only says more than it may is the same over HTTP/1.1 and HTTP/2', async t => {
    const session = await http2(daemon)
    t.teardown(() => session.destroy())
    const odd: readonly (readonly [string, string, number, string])[] = [
      ['a length of no content', 'HTTP/1.1 204 No Content\r\ncontent-length: 5\r\n\r\n', 204, ''],
      [
        'two types',
        'HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-type: text/html\r\ncontent-length: 2\r\n\r\nhi',
        200,
        'text/plain',
      ],
    ]
    for (const [title, bytes, status, type] of odd) {
      upstream.use(async exchange => {
        await exchange.body()
        await exchange.send(bytes)
      })
      const one = await chat(daemon, wide)
      t.equal(one.status, status, title)
      t.equal(one.headers['content-type'] ?? '', type, title)
      t.equal(status === 204 ? one.headers['content-length'] : undefined, undefined, title)
      const two = await callHttp2(session, chatAsk(wide))
      t.equal(two.status, status, title)
      t.equal(two.headers['content-type'] ?? '', type, title)
    }
    upstream.use(json({ reached: true }))
  })

  await t.test('the daemon outlived all of it', async t => {
    t.ok(daemon.alive())
    t.equal((await call(daemon, { path: '/healthz' })).status, 200)
    t.notMatch(daemon.output(), /uncaught|unhandled/i)
    await until(() => upstream.open === 0, 'nothing to be open')
  })
})
