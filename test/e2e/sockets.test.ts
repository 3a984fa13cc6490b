import { randomBytes, randomInt } from 'node:crypto'
import { once } from 'node:events'
import t from 'tap'
import { call } from '../support/clients.js'
import { makeHome } from '../support/daemon.js'
import { freshKey } from '../support/stage.js'
import { until, within } from '../support/until.js'
import { openSocket, refusedSocket } from '../support/ws-client.js'
import { echo, startSocketUpstream } from '../support/ws-upstream.js'

const upstream = await startSocketUpstream(t)
const home = await makeHome(t)
const secret = freshKey('openai')
await home.addKey('openai', { secret, baseUrl: upstream.url })
const geminiSecret = freshKey('gemini')
await home.addKey('gemini', { secret: geminiSecret, baseUrl: upstream.url })
const { token } = await home.createToken(['--all'])
const daemon = await home.serve({ env: { SOAKP_WEBSOCKET_PING: '1s' } })
const realtime = '/openai/v1/realtime?model=gpt-realtime'

const entriesOf = async (grantId: string) => (await home.entries()).filter(entry => entry.grantId === grantId)

t.beforeEach(() => {
  upstream.use(echo)
  upstream.refuseWith(undefined)
})

t.test('text and binary messages of any size pass unchanged and in order, however they are fragmented', async t => {
  const { socket, messages, closed } = await openSocket(daemon, realtime, { token })
  const sent: Buffer[] = []
  for (let index = 0; index < 60; index++) {
    const isBinary = index % 2 === 1
    const size = index % 20 === 0 ? 300_000 : randomInt(0, 4000)
    const data = isBinary ? randomBytes(size) : Buffer.from(randomBytes(size).toString('hex'))
    sent.push(data)
    let at = 0
    do {
      const next = Math.min(data.length, at + randomInt(1, 200_000))
      socket.send(data.subarray(at, next), { binary: isBinary, fin: next === data.length })
      at = next
    } while (at < data.length)
  }
  await until(
    () => messages.length === sent.length,
    'all messages',
    () => messages.length,
  )
  for (const [index, data] of sent.entries()) {
    t.ok(messages[index]?.data.equals(data), `message ${index}`)
    t.equal(messages[index]?.isBinary, index % 2 === 1)
  }
  socket.close(4321, 'enough')
  t.strictSame(await closed, { code: 4321, reason: 'enough' })
})

t.test('the provider sees its key and nothing of the token; the client sees nothing of the key', async t => {
  const before = upstream.upgrades.length
  const opened = await openSocket(daemon, `${realtime}&x=1`, {
    token,
    headers: { origin: `https://localhost:${daemon.port}`, cookie: 'a=b' },
  })
  const request = upstream.upgrades[before]
  t.equal(request?.headers.authorization, `Bearer ${secret}`)
  t.equal(request?.url, '/v1/realtime?model=gpt-realtime&x=1')
  t.notMatch(JSON.stringify(request?.rawHeaders), token)
  t.equal(request?.headers.cookie, undefined)
  t.equal(request?.headers.origin, undefined)
  t.equal(request?.headers['sec-websocket-extensions'], undefined)
  opened.socket.close()
  await opened.closed
})

t.test('a browser passes its token as a subprotocol, of which only the part that is no secret comes back', async t => {
  const before = upstream.upgrades.length
  const opened = await openSocket(daemon, realtime, { protocols: ['realtime', `openai-insecure-api-key.${token}`] })
  t.equal(opened.socket.protocol, 'realtime')
  t.equal(upstream.upgrades[before]?.headers.authorization, `Bearer ${secret}`)
  t.equal(upstream.upgrades[before]?.headers['sec-websocket-protocol'], undefined)
  opened.socket.close()
  const refused = await refusedSocket(daemon, realtime, {
    protocols: ['realtime', 'openai-insecure-api-key.sk-proj-abcdefghijklmnopqrstuvwxyz'],
  })
  t.equal(refused.status, 400)
  t.equal(refused.body.error.code, 'real_key_sent')
  const again = await refusedSocket(daemon, realtime, { token, protocols: ['realtime', `in-other-words.${token}`] })
  t.equal(again.body.error.code, 'real_key_sent')
})

t.test('the query carries a token only where the provider takes it there', async t => {
  const path = '/gemini/ws/google.ai.generativelanguage.v1beta.GenerativeService.BidiGenerateContent'
  const before = upstream.upgrades.length
  const opened = await openSocket(daemon, `${path}?key=${token}&alt=x`)
  t.equal(upstream.upgrades[before]?.url, `${path.slice('/gemini'.length)}?alt=x`)
  t.equal(upstream.upgrades[before]?.headers['x-goog-api-key'], geminiSecret)
  opened.socket.close()
  t.equal((await refusedSocket(daemon, `${realtime}&key=${token}`)).body.error.code, 'token_missing')
})

t.test('an upgrade is refused before it is answered, in the shape of the provider', async t => {
  const before = upstream.upgrades.length
  t.strictSame(
    [
      (await refusedSocket(daemon, realtime)).status,
      (await refusedSocket(daemon, realtime, { token: `${token}x` })).status,
      (await refusedSocket(daemon, realtime, { token, protocols: ['openai-insecure-api-key.eyJother'] })).body.error.code,
      (await refusedSocket(daemon, '/openai/v1/realtime/client_secrets', { token })).body.error.code,
      (await refusedSocket(daemon, '/openai/v1/models', { token })).body.error.code,
      (await refusedSocket(daemon, '/v1/realtime?model=openai/x', { token })).body.error.code,
      (await refusedSocket(daemon, '/nobody/v1/realtime', { token })).body.error.code,
      (await refusedSocket(daemon, realtime, { token, headers: { origin: 'https://evil.example' } })).body.error.code,
      (await refusedSocket(daemon, realtime, { token, headers: { host: 'evil.example' } })).status,
      (await refusedSocket(daemon, realtime, { token, options: { protocolVersion: 8 } })).status,
    ],
    [
      401,
      401,
      'several_tokens',
      'endpoint_not_open',
      'endpoint_not_open',
      'endpoint_not_open',
      'provider_not_allowed',
      'origin_not_allowed',
      421,
      426,
    ].map((value, at) => (at === 6 ? 'unknown_provider' : value)),
  )
  t.equal(upstream.upgrades.length, before, 'the provider heard of none of them')
})

t.test('what a provider says when it refuses the upgrade is told, but for its refusal of our key', async t => {
  upstream.refuseWith(() => ({ status: 429, body: '{"error":{"message":"slow down"}}', headers: { 'retry-after': '7' } }))
  const limited = await refusedSocket(daemon, realtime, { token })
  t.equal(limited.status, 429)
  t.equal(limited.body.error.message, 'slow down')
  t.equal(limited.headers['retry-after'], '7')
  upstream.refuseWith(request => ({ status: 400, body: `{"error":{"message":"bad ${request.headers.authorization}"}}` }))
  t.equal((await refusedSocket(daemon, realtime, { token })).body.error.code, 'provider_reply_withheld')
  upstream.refuseWith(() => ({ status: 302, body: '', headers: { location: 'https://example.com/' } }))
  t.equal((await refusedSocket(daemon, realtime, { token })).body.error.code, 'provider_redirected')
  upstream.refuseWith(() => ({ status: 401, body: '{}' }))
  const own = await home.addKey('openai', { secret: freshKey('openai'), baseUrl: upstream.url, name: 'to be refused' })
  const { token: only } = await home.createToken(['--key', own.id])
  const rejected = await refusedSocket(daemon, realtime, { token: only })
  t.equal(rejected.status, 502)
  t.equal(rejected.body.error.code, 'provider_key_rejected')
  const [shown] = (await home.json<{ id: string; rejectedAt?: string | null }[]>(['key', 'list'])).filter(({ id }) => id === own.id)
  t.ok(JSON.stringify(shown).includes('reject'), 'the key is marked')
})

t.test('usage comes from the events of the provider, one line a connection', async t => {
  const issued = await home.createToken(['--all'])
  upstream.use(socket => {
    socket.on('message', () => {
      for (let turn = 0; turn < 2; turn++) {
        socket.send(JSON.stringify({ type: 'response.created', response: { usage: null } }))
        const usage = {
          total_tokens: 18,
          input_tokens: 11,
          output_tokens: 7,
          input_token_details: { cached_tokens: 2, audio_tokens: 5 },
          output_token_details: { audio_tokens: 3 },
        }
        socket.send(JSON.stringify({ type: 'response.done', response: { usage } }))
      }
      socket.close(1000, 'bye')
    })
  })
  const opened = await openSocket(daemon, realtime, { token: issued.token })
  opened.socket.send('{"type":"response.create"}')
  t.strictSame(await opened.closed, { code: 1000, reason: 'bye' })
  const [entry, ...more] = await entriesOf(issued.id)
  t.match(entry, {
    status: 101,
    outcome: 'ok',
    final: true,
    endpoint: '/v1/realtime',
    method: 'GET',
    model: 'gpt-realtime',
    usageSource: 'provider',
    inputTokens: 22,
    outputTokens: 14,
    cachedInputTokens: 4,
    audioInputTokens: 10,
    audioOutputTokens: 6,
  })
  t.strictSame(more, [])
})

t.test('a rule about models holds for the query and for every later message', async t => {
  const issued = await home.createToken(['--all', '--models', 'gpt-realtime'])
  const other = await refusedSocket(daemon, '/openai/v1/realtime?model=gpt-other', { token: issued.token })
  t.equal(other.body.error.code, 'model_not_allowed')
  for (const query of [
    'Model=gpt-other',
    'model[]=gpt-other',
    '+model=gpt-other&model=gpt-realtime',
    'MODEL=gpt-other&model=gpt-realtime',
    'model=gpt-realtime&mod%65l=gpt-realtime',
  ]) {
    const twice = await refusedSocket(daemon, `/openai/v1/realtime?${query}`, { token: issued.token })
    t.equal(twice.body.error.code, 'ambiguous_body', query)
  }
  const received: string[] = []
  upstream.use(socket => socket.on('message', data => received.push(data.toString())))
  const forbidden = [
    { type: 'session.update', session: { audio: { input: { transcription: { model: 'whisper-1' } } } } },
    { type: 'session.update', session: { MODEL: 'gpt-other', model: 'gpt-realtime' } },
    { type: 'session.update', session: { model: ['gpt-other'] } },
  ]
  for (const message of forbidden) {
    const opened = await openSocket(daemon, realtime, { token: issued.token })
    opened.socket.send('{"type":"response.create"}')
    opened.socket.send(JSON.stringify(message))
    const told = await opened.json(0)
    t.equal(told.type, 'error')
    t.match(told.error.code, /^(model_not_allowed|ambiguous_body|model_unknown)$/)
    t.equal((await opened.closed).code, 1008)
  }
  t.strictSame(received, Array(3).fill('{"type":"response.create"}'), 'what was forbidden went nowhere')
  const last = (await entriesOf(issued.id)).at(-1)
  t.match(last, { outcome: 'cut', errorCode: 'model_unknown' })
})

t.test('a message over 16 MB ends the connection with 1009, one of 16 MB passes', async t => {
  const opened = await openSocket(daemon, realtime, { token })
  opened.socket.send(Buffer.alloc(16 * 1024 * 1024, 1))
  await until(() => opened.messages.length === 1, 'the large message')
  t.equal(opened.messages[0]?.data.length, 16 * 1024 * 1024)
  opened.socket.send(Buffer.alloc(16 * 1024 * 1024 + 1, 1))
  t.equal((await opened.closed).code, 1009)
})

t.test('whoever vanishes takes the other end along', async t => {
  const first = await openSocket(daemon, realtime, { token })
  await until(() => upstream.sockets.size === 1, 'the socket at the provider')
  first.socket.terminate()
  await until(() => upstream.sockets.size === 0, 'the provider to be left')
  const second = await openSocket(daemon, realtime, { token })
  for (const socket of upstream.sockets) socket.terminate()
  t.equal((await within(second.closed, 'the client to be told')).code, 1006)
  const last = (await home.entries()).slice(-2).map(({ outcome, errorCode }) => ({ outcome, errorCode }))
  t.strictSame(last, [
    { outcome: 'client_gone', errorCode: 'client_gone' },
    { outcome: 'failed', errorCode: 'provider_broke_off' },
  ])
})

t.test('a client that left before the provider answered reaches nobody for long', async t => {
  // a provider that takes the connection and says nothing
  const { createServer } = await import('node:net')
  let left = 0
  const silent = createServer(socket => socket.on('close', () => left++).resume()).listen(0, '127.0.0.1')
  await once(silent, 'listening')
  t.teardown(() => silent.close())
  const port = (silent.address() as { port: number }).port
  const slow = await home.addKey('openai', { secret: freshKey('openai'), baseUrl: `http://127.0.0.1:${port}` })
  const issued = await home.createToken(['--key', slow.id])
  const { WebSocket } = await import('ws')
  const socket = new WebSocket(`wss://localhost:${daemon.port}${realtime}`, {
    ca: daemon.ca,
    family: 4,
    headers: { authorization: `Bearer ${issued.token}` },
  } as never)
  socket.on('error', () => {})
  await until(() => new Promise(resolve => silent.getConnections((_, count) => resolve(count === 1))), 'the provider to be asked')
  socket.terminate()
  await until(() => left === 1, 'the provider to be left')
  await until(async () => (await entriesOf(issued.id)).length === 1, 'the line')
  t.match((await entriesOf(issued.id))[0], { outcome: 'client_gone' })
  await home.json(['key', 'remove', slow.id])
})

t.test('the socket of a revoked grant, an ended token or a removed key closes within a second', async t => {
  const cases: { readonly name: string; readonly ends: (grantId: string, keyId: string) => Promise<unknown> }[] = [
    { name: 'revoked', ends: id => home.json(['token', 'revoke', id]) },
    { name: 'revoked --now', ends: id => home.json(['token', 'revoke', id, '--now']) },
    { name: 'rotated', ends: id => home.json(['token', 'rotate', id, '--grace', '0s']) },
    { name: 'key disabled', ends: (_, keyId) => home.json(['key', 'disable', keyId]) },
    { name: 'key removed', ends: (_, keyId) => home.json(['key', 'remove', keyId]) },
  ]
  for (const { name, ends } of cases) {
    const own = await home.addKey('openai', { secret: freshKey('openai'), baseUrl: upstream.url, name })
    const issued = await home.createToken(['--key', own.id])
    const opened = await openSocket(daemon, realtime, { token: issued.token })
    await ends(issued.id, own.id)
    const { code, reason } = await within(opened.closed, name, 5_000)
    t.equal(code, 1008, name)
    t.match(reason, /^(token_revoked|no_key): /)
    t.match((await entriesOf(issued.id)).at(-1), { outcome: 'cut' })
  }
  const short = await home.createToken(['--all', '--ttl', '2s'])
  const opened = await openSocket(daemon, realtime, { token: short.token })
  const { reason } = await within(opened.closed, 'the end of the token', 10_000)
  t.match(reason, /^token_expired: /)
})

t.test("a socket of an app's user outlives changes to others, and closes when the user's tokens or the app are ended", async t => {
  const app = await home.json<{ id: string; credential: string }>(['app', 'create', 'voice', '--all'])
  const tokenOf = async (userId: string): Promise<string> =>
    (await call(daemon, { path: '/auth/token', token: app.credential, body: JSON.stringify({ userId }) })).json().token
  const [alice, bob] = [await tokenOf('alice'), await tokenOf('bob')]
  const first = await openSocket(daemon, realtime, { token: alice })
  const second = await openSocket(daemon, realtime, { token: bob })
  await home.createToken(['--all'])
  t.equal((await call(daemon, { path: '/auth/logout', token: alice, body: '{"all":true}' })).status, 200)
  await within(first.closed, 'the socket of who signed out')
  second.socket.send('still here')
  await until(() => second.messages.length === 1, "the other's message")
  await home.json(['app', 'revoke', app.id])
  await within(second.closed, 'the socket of the revoked app')
})

t.test('open sockets count towards the limit of concurrent calls, and give it back', async t => {
  const issued = await home.createToken(['--all', '--concurrency', '1'])
  const opened = await openSocket(daemon, realtime, { token: issued.token })
  t.equal((await refusedSocket(daemon, realtime, { token: issued.token })).body.error.code, 'concurrency_limited')
  opened.socket.close()
  await opened.closed
  const again = await openSocket(daemon, realtime, { token: issued.token })
  again.socket.close()
})

t.test('a wish for another protocol is ignored and the request is served, body and all', async t => {
  const { rawTls } = await import('../support/clients.js')
  const connection = await rawTls(daemon)
  const body = '{"model":"x"}'
  connection.write(
    `POST /openai/v1/nothing HTTP/1.1\r\nHost: localhost:${daemon.port}\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\nContent-Length: ${body.length}\r\n\r\n${body}`,
  )
  const text = await connection.until(received => received.includes('token_missing'))
  t.match(text, /^HTTP\/1\.1 401 /)
  connection.socket.destroy()
})

t.test('bytes behind an upgrade are no second request', async t => {
  const { rawTls } = await import('../support/clients.js')
  const upgrade = `GET ${realtime} HTTP/1.1\r\nHost: localhost:${daemon.port}\r\nAuthorization: Bearer ${token}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: ${randomBytes(16).toString('base64')}\r\n\r\n`
  const before = upstream.upgrades.length
  for (const late of [false, true]) {
    const connection = await rawTls(daemon)
    const smuggled = `GET /healthz HTTP/1.1\r\nHost: localhost:${daemon.port}\r\n\r\n`
    connection.write(late ? upgrade : upgrade + smuggled)
    if (late) connection.write(smuggled)
    const text = await within(connection.ended, 'the connection to end')
    t.notMatch(text, 'HTTP/1.1 200')
  }
  await until(() => upstream.sockets.size === 0, 'nothing to stay open')
  t.ok(upstream.upgrades.length <= before + 1)
})

t.test('the daemon ends open sockets with 1001 after its grace, and records them', async t => {
  const ending = await home.serve({ env: { SOAKP_SHUTDOWN_GRACE: '1s' } })
  const issued = await home.createToken(['--all'])
  const opened = await openSocket(ending, realtime, { token: issued.token })
  ending.child.kill('SIGTERM')
  t.equal((await within(opened.closed, 'the goodbye')).code, 1001)
  t.equal(await ending.exited, 0)
  t.match((await entriesOf(issued.id)).at(-1), { outcome: 'cut', status: 101 })
  t.notMatch(daemon.output(), token)
  t.notMatch(daemon.output(), secret)
})
