import { randomBytes } from 'node:crypto'
import t from 'tap'
import { http2, rawTls } from '../support/clients.js'
import { makeHome } from '../support/daemon.js'
import { freshKey } from '../support/stage.js'
import { until, within } from '../support/until.js'
import { openSocket, refusedSocket } from '../support/ws-client.js'
import { echo, startSocketUpstream } from '../support/ws-upstream.js'

const upstream = await startSocketUpstream(t)
const home = await makeHome(t)
const providers = ['openai', 'elevenlabs', 'deepgram', 'assemblyai', 'xai'] as const
const secrets: Record<string, string> = {}
for (const provider of providers) {
  secrets[provider] = `${freshKey('openai')}${provider}`
  await home.addKey(provider, { secret: secrets[provider], baseUrl: upstream.url })
}
const { token } = await home.createToken(['--all'])
const daemon = await home.serve({ env: { SOAKP_AUTH_FAILURE_RATE: '5/m', SOAKP_MAX_CALLS: '4' } })
const realtime = '/openai/v1/realtime?model=gpt-realtime'

t.beforeEach(() => upstream.use(echo))

function upgrade(path: string, lines: readonly string[] = []): string {
  const key = randomBytes(16).toString('base64')
  const head = [
    `GET ${path} HTTP/1.1`,
    `Host: localhost:${daemon.port}`,
    'Connection: Upgrade',
    'Upgrade: websocket',
    'Sec-WebSocket-Version: 13',
    `Sec-WebSocket-Key: ${key}`,
  ]
  return `${[...head, ...lines].join('\r\n')}\r\n\r\n`
}

t.test("each provider's own way to pass a token is understood, and none of it travels", async t => {
  const ways: readonly {
    path: string
    protocols?: readonly string[]
    headers?: Record<string, string>
    answered: string
    sent: Record<string, string>
    url: string
  }[] = [
    {
      path: '/deepgram/v1/listen?model=nova-3',
      protocols: ['token', token],
      answered: 'token',
      sent: { authorization: `Token ${secrets.deepgram}` },
      url: '/v1/listen?model=nova-3',
    },
    {
      path: '/deepgram/v1/listen',
      headers: { authorization: `Token ${token}` },
      answered: '',
      sent: { authorization: `Token ${secrets.deepgram}` },
      url: '/v1/listen',
    },
    {
      path: `/assemblyai/v3/ws?sample_rate=16000&token=${token}`,
      answered: '',
      sent: { authorization: `${secrets.assemblyai}` },
      url: '/v3/ws?sample_rate=16000',
    },
    {
      path: `/elevenlabs/v1/speech-to-text/realtime?model_id=scribe&token=${token}`,
      answered: '',
      sent: { 'xi-api-key': `${secrets.elevenlabs}` },
      url: '/v1/speech-to-text/realtime?model_id=scribe',
    },
    {
      path: '/xai/v1/realtime?model=grok',
      protocols: ['realtime', `xai-client-secret.${token}`],
      answered: 'realtime',
      sent: { authorization: `Bearer ${secrets.xai}` },
      url: '/v1/realtime?model=grok',
    },
    {
      path: '/openai/v1/realtime?model=m',
      protocols: ['realtime', `openai-insecure-api-key.${token}`, 'openai-organization.org-1', 'openai-project.proj-1'],
      answered: 'realtime',
      sent: { authorization: `Bearer ${secrets.openai}` },
      url: '/v1/realtime?model=m',
    },
  ]
  for (const { path, protocols = [], headers = {}, answered, sent, url } of ways) {
    const before = upstream.upgrades.length
    const opened = await openSocket(daemon, path, { protocols, headers })
    t.equal(opened.socket.protocol, answered, url)
    const request = upstream.upgrades[before]
    t.match(request?.headers, sent)
    t.equal(request?.url, url)
    t.notMatch(JSON.stringify([request?.url, request?.rawHeaders]), token)
    t.equal(request?.headers['sec-websocket-protocol'], undefined)
    opened.socket.close()
    await opened.closed
  }
})

t.test(
  "ElevenLabs' first message loses the token it repeats, and characters are counted; another credential ends the connection",
  async t => {
    const issued = await home.createToken(['--provider', 'elevenlabs'])
    const received: string[] = []
    upstream.use(socket => socket.on('message', data => received.push(data.toString())))
    const path = '/elevenlabs/v1/text-to-speech/voice-1/stream-input?model_id=eleven_flash'
    const opened = await openSocket(daemon, path, { headers: { 'xi-api-key': issued.token } })
    opened.socket.send(JSON.stringify({ text: ' ', xi_api_key: issued.token }))
    opened.socket.send(JSON.stringify({ text: 'Hé 🐟' }))
    await until(() => received.length === 2, 'both messages')
    t.strictSame(received, ['{"text":" "}', '{"text":"Hé 🐟"}'])
    opened.socket.close(1000)
    await opened.closed
    const other = await openSocket(daemon, path, { headers: { 'xi-api-key': issued.token } })
    other.socket.send(JSON.stringify({ text: ' ', xi_api_key: 'sk_0123456789abcdef' }))
    t.equal((await other.closed).code, 1008)
    t.equal(received.length, 2)
    const entries = (await home.entries()).filter(({ grantId }) => grantId === issued.id)
    t.match(entries, [
      { units: 5, unit: 'characters', model: 'eleven_flash', outcome: 'ok' },
      { outcome: 'cut', errorCode: 'several_tokens' },
    ])
  },
)

t.test('an agent of the account and a path nobody described stay closed', async t => {
  for (const path of [
    '/elevenlabs/v1/convai/conversation?agent_id=a',
    '/openai/v1/unheard-of',
    '/openai/v1/files',
    '/deepgram/v1/projects/p/keys',
  ]) {
    t.equal((await refusedSocket(daemon, path, { token })).status, 403, path)
  }
  const all = await home.createToken(['--all', '--endpoints', '*'])
  const opened = await openSocket(daemon, '/openai/v1/unheard-of', { token: all.token, protocols: ['chat'], headers: {} })
  t.equal(opened.socket.protocol, 'chat', 'the provider chose it')
  opened.socket.close()
  await opened.closed
  t.equal((await refusedSocket(daemon, '/elevenlabs/v1/convai/conversation?agent_id=a', { token: all.token })).status, 403)
})

t.test('a page may open a socket only where its origin is allowed', async t => {
  const issued = await home.createToken(['--all', '--origin', 'https://app.example.com'])
  const opened = await openSocket(daemon, realtime, { token: issued.token, headers: { origin: 'https://app.example.com' } })
  opened.socket.close()
  await opened.closed
  const refused = async (given: string, headers: Record<string, string>) =>
    (await refusedSocket(daemon, realtime, { token: given, headers })).body.error.code
  t.equal(await refused(issued.token, { origin: 'https://evil.example' }), 'origin_not_allowed')
  t.equal(await refused(issued.token, {}), 'origin_not_allowed')
  t.equal(await refused(token, { origin: 'null' }), 'origin_not_allowed')
})

t.test('open sockets count among the open calls, and beyond the most a new one is turned away', async t => {
  const open = await Promise.all([1, 2, 3, 4].map(() => openSocket(daemon, realtime, { token })))
  const refused = await refusedSocket(daemon, realtime, { token })
  t.equal(refused.status, 503)
  t.equal(refused.body.error.code, 'overloaded')
  t.ok(refused.headers['retry-after'])
  for (const { socket } of open) socket.close()
  await Promise.all(open.map(({ closed }) => closed))
})

t.test('malformed upgrades are refused and their connections end', async t => {
  const authorization = `Authorization: Bearer ${token}`
  const wrong: readonly (readonly [string, RegExp])[] = [
    [upgrade(realtime, [authorization]).replace('Version: 13', 'Version: 12'), /^HTTP\/1\.1 426 /],
    [upgrade(realtime, [authorization]).replace(/Key: \S+/, 'Key: short'), /^HTTP\/1\.1 400 /],
    [upgrade(realtime, [authorization, 'Content-Length: 5']), /^HTTP\/1\.1 400 /],
    [upgrade(realtime, [authorization, 'Sec-WebSocket-Protocol: a b']), /^HTTP\/1\.1 400 /],
    [upgrade(realtime, [authorization, 'Sec-WebSocket-Protocol: a, a']), /^HTTP\/1\.1 400 /],
    [upgrade(`${realtime}#fragment`, [authorization]), /^HTTP\/1\.1 400 /],
    [upgrade(realtime, [authorization]).replace('GET', 'POST'), /^HTTP\/1\.1 426 /],
    [upgrade('/healthz'), /^HTTP\/1\.1 200 /],
    [upgrade('/v1/nothing', [authorization]), /^HTTP\/1\.1 403 /],
  ]
  const before = upstream.upgrades.length
  for (const [bytes, status] of wrong) {
    const connection = await rawTls(daemon)
    connection.write(bytes)
    t.match(await within(connection.ended, bytes.split('\r\n', 1)[0] as string), status)
  }
  t.equal(upstream.upgrades.length, before)
  t.ok(daemon.alive(), 'and the daemon goes on')
})

t.test('an upgrade, or a wish for HTTP/2, behind a request that is not answered yet gets no answer, and the daemon goes on', async t => {
  const waiting = 'GET /readyz HTTP/1.1\r\nHost: localhost\r\n\r\n'
  const post = `POST /auth/logout HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\n\r\n{}`
  const wish = upgrade('/healthz').replace('Upgrade: websocket', 'Upgrade: h2c')
  for (const first of [waiting, post, waiting.repeat(3)]) {
    for (const second of [upgrade(realtime), upgrade(realtime, [`Authorization: Bearer ${token}`]), wish]) {
      const connection = await rawTls(daemon)
      connection.write(first + second)
      const text = await within(connection.ended, first.slice(0, 20))
      t.notMatch(text, /^HTTP\/1\.1 (?:101|200)[\s\S]*HTTP\/1\.1 101/)
    }
  }
  t.ok(daemon.alive())
  const socket = await openSocket(daemon, realtime, { token })
  socket.socket.close()
})

t.test('garbage in place of frames ends the connection, and the daemon goes on', async t => {
  const connection = await rawTls(daemon)
  connection.write(upgrade(realtime, [`Authorization: Bearer ${token}`]))
  await connection.until(received => received.includes('\r\n\r\n'))
  connection.write(randomBytes(5000))
  await within(connection.ended, 'the connection to end')
  await until(() => upstream.sockets.size === 0, 'the provider to be left')
  t.ok(daemon.alive())
  t.match((await home.entries()).at(-1), { outcome: 'cut', errorCode: 'invalid_request' })
})

t.test('a provider that breaks the protocol is left, and the client told by the end of its connection', async t => {
  upstream.use(socket => {
    socket.on('message', () =>
      (socket as unknown as { _socket: { write(bytes: Buffer): void } })._socket.write(Buffer.from([0xff, 0xff, 0xff])),
    )
  })
  const opened = await openSocket(daemon, realtime, { token })
  opened.socket.send('go')
  t.equal((await within(opened.closed, 'the end')).code, 1006)
  t.match((await home.entries()).at(-1), { outcome: 'failed', errorCode: 'provider_broke_off' })
})

t.test('a WebSocket over HTTP/2 is refused cleanly, and calls go on', async t => {
  const session = await http2(daemon)
  const settings = session.remoteSettings
  t.notOk(settings.enableConnectProtocol, 'it is not offered')
  const stream = session.request({ ':method': 'CONNECT', ':authority': `localhost:${daemon.port}` })
  stream.on('error', () => {})
  const status = await new Promise(resolve => {
    stream.on('response', headers => resolve(headers[':status']))
    stream.on('close', () => resolve('reset'))
  })
  t.match(`${status}`, /^(405|reset)$/)
  session.destroy()
  t.ok(daemon.alive())
})

t.test('guessing at tokens by upgrades is budgeted as by calls', async t => {
  const statuses: number[] = []
  for (let index = 0; index < 8; index++)
    statuses.push((await refusedSocket(daemon, realtime, { protocols: ['realtime', `openai-insecure-api-key.eyJ${index}`] })).status)
  t.strictSame(statuses.slice(-2), [429, 429])
  const opened = await openSocket(daemon, realtime, { token })
  t.pass('a good token is not refused for it')
  opened.socket.close()
  await opened.closed
})
