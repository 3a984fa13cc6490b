import { once } from 'node:events'
import { readFileSync, writeFileSync } from 'node:fs'
import { request as httpRequest, type ServerResponse } from 'node:http'
import { Agent, request } from 'node:https'
import { type AddressInfo, connect as connectTcp, createServer } from 'node:net'
import { connect as connectTls, type TLSSocket } from 'node:tls'
import t from 'tap'
import { streamed } from '../../src/relay/call.js'
import { ensureLocalCertificate, liveFiles } from '../../src/tls/local-ca.js'
import { until } from '../support/until.js'
import { get, get2, openDoor, rawTls, reply, session, untilClosed } from './door.js'

t.test('HTTP/1.1 and HTTP/2 are served on one port, by what the client asks for', async t => {
  const door = await openDoor(t)
  const one = await get(door, '/openai/v1/models?limit=2')
  t.match(JSON.parse(one.body), { provider: 'openai', path: '/v1/models', query: '?limit=2', address: '127.0.0.1', version: '1.1' })
  const two = await get2(session(t, door), { ':path': '/groq/openai/v1/models' })
  t.match(JSON.parse(two.body), { provider: 'groq', path: '/openai/v1/models', query: '', address: '127.0.0.1', version: '2.0' })
  t.match(JSON.parse((await get(door, '/openai')).body), { provider: 'openai', path: '/', query: '' })
  t.match(JSON.parse((await get(door, '/openai?a=/b')).body), { provider: 'openai', path: '/', query: '?a=/b' })
  t.match(
    door.relay.calls.map(call => call.id),
    [/^call_/, /^call_/, /^call_/, /^call_/],
  )
})

t.test('TLS below 1.2 is refused, 1.2 and 1.3 are not', async t => {
  const door = await openDoor(t)
  const old = connectTls({
    host: '127.0.0.1',
    port: door.port,
    ca: door.ca,
    servername: 'localhost',
    minVersion: 'TLSv1',
    maxVersion: 'TLSv1.1',
    ciphers: 'DEFAULT@SECLEVEL=0',
  })
  await t.rejects(once(old, 'secureConnect'), /alert|version|protocol/i)
  for (const version of ['TLSv1.2', 'TLSv1.3'] as const) {
    const socket = connectTls({
      host: '127.0.0.1',
      port: door.port,
      ca: door.ca,
      servername: 'localhost',
      minVersion: version,
      maxVersion: version,
    })
    await once(socket, 'secureConnect')
    t.equal(socket.getProtocol(), version)
    socket.destroy()
  }
})

t.test('a client that speaks neither protocol gets no connection', async t => {
  const door = await openDoor(t)
  const socket = connectTls({ host: '127.0.0.1', port: door.port, ca: door.ca, servername: 'localhost', ALPNProtocols: ['ftp'] })
  await t.rejects(once(socket, 'secureConnect'))
})

t.test('a new certificate is served to new connections, and the old ones go on', async t => {
  const door = await openDoor(t, {}, ['box.example.test'])
  const agent = new Agent({ keepAlive: true, maxSockets: 1 })
  t.teardown(() => agent.destroy())
  const ask = async (using: Agent | false) => {
    const sent = request({ host: '127.0.0.1', servername: 'localhost', port: door.port, ca: door.ca, path: '/openai/x', agent: using })
    sent.end()
    const [response] = await once(sent, 'response')
    const socket = response.socket as TLSSocket
    const seen = { fingerprint: socket.getPeerCertificate().fingerprint256, port: socket.localPort }
    response.resume()
    await once(response, 'end')
    return seen
  }
  const client = session(t, door)
  await get2(client, { ':path': '/openai/x' })
  const before = await ask(agent)
  const { fullchain, privkey } = liveFiles(door.certsDir)
  const { fullchain: fresh, privkey: freshKey } = liveFiles(`${door.certsDir}/next`)
  // made by the same CA, so that the client trusts both
  const changed = new Promise<void>(resolve => void door.certificates.onChange(() => resolve()))
  writeFileSync(fullchain, 'no certificate')
  await door.certificates.reload()
  await ensureLocalCertificate(door.certsDir, ['box.example.test'], Date.now())
  await changed
  t.ok(fresh && freshKey && privkey)
  const kept = await ask(agent)
  t.same(kept, before, 'the kept connection is the same one')
  t.equal((await get2(client, { ':path': '/openai/x' })).status, 200)
  const after = await ask(false)
  t.not(after.fingerprint, before.fingerprint)
  t.equal(after.fingerprint, door.certificates.current.fingerprint)
})

t.test('while the pair on disk is bad, the old one is served', async t => {
  const door = await openDoor(t)
  const { fullchain } = liveFiles(door.certsDir)
  const good = readFileSync(fullchain)
  writeFileSync(fullchain, 'no certificate')
  t.equal(await door.certificates.reload(), false)
  t.equal((await get(door, '/healthz')).status, 200)
  t.ok(door.lines.some(line => line.level === 50 && /stays in service/.test(String(line.msg))))
  writeFileSync(fullchain, good)
})

t.test('plain HTTP on the TLS port, and bytes that are nothing, end that connection and no other', async t => {
  const door = await openDoor(t)
  for (const bytes of ['GET / HTTP/1.1\r\nHost: localhost\r\n\r\n', '\x16\x03\x01\xff\xff\xff\xff', '\0'.repeat(2000), 'SSH-2.0-x\r\n']) {
    const socket = connectTcp(door.port, '127.0.0.1')
    const closed = untilClosed(socket)
    socket.write(bytes, 'latin1')
    socket.end()
    t.notMatch(await closed, 'HTTP/1.1 200')
  }
  t.equal((await get(door, '/healthz')).status, 200)
})

t.test('bytes that are no HTTP are answered 400 where nothing was answered yet', async t => {
  const door = await openDoor(t)
  for (const bytes of [
    'what is this\r\n\r\n',
    'GET /healthz HTTP/1.1\r\nHost : localhost\r\n\r\n',
    'POST /openai/x HTTP/1.1\r\nHost: localhost\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n',
  ]) {
    const socket = await rawTls(t, door)
    const said = untilClosed(socket)
    socket.write(bytes)
    t.match(
      await said,
      /^HTTP\/1\.1 400 Bad Request\r\nContent-Type: application\/problem\+json[\s\S]*"code":"invalid_request"/,
      JSON.stringify(bytes),
    )
  }
  t.equal(door.relay.calls.length, 0)
})

t.test('nothing is written into a reply that has begun, whatever the client sends next', async t => {
  const door = await openDoor(t)
  let finish = () => {}
  door.relay.answer = call => {
    const response = call.response as ServerResponse
    response.writeHead(200).write('first part')
    finish = () => response.end('last part')
  }
  const socket = await rawTls(t, door)
  const said = untilClosed(socket)
  socket.write('GET /openai/x HTTP/1.1\r\nHost: localhost\r\n\r\n')
  await until(() => door.relay.calls.length === 1, 'the call')
  await until(() => socket.bytesRead > 100, 'the first part')
  socket.write('garbage\r\n\r\n')
  // it has arrived, whatever is made of it
  await get(door, '/healthz')
  finish()
  t.match(await said, /\r\n\r\na\r\nfirst part\r\n9\r\nlast part\r\n0\r\n\r\n(?:HTTP\/1\.1 400 |$)/)
})

t.test('a header that is too large is answered 431', async t => {
  const door = await openDoor(t)
  const socket = await rawTls(t, door)
  const said = untilClosed(socket)
  socket.write(`GET /openai/x HTTP/1.1\r\nHost: localhost\r\nX-Big: ${'a'.repeat(40_000)}\r\n\r\n`)
  t.match(await said, /^HTTP\/1\.1 431 Request Header Fields Too Large\r\n[\s\S]*"code":"headers_too_large"/)
  const client = session(t, door)
  // its limit counts from when the client was told of it
  t.equal((await get2(client, { ':path': '/healthz' })).status, 200)
  await t.rejects(get2(client, { ':path': '/openai/x', 'x-big': 'a'.repeat(40_000) }))
  t.equal(door.relay.calls.length, 0)
  t.equal((await get(door, '/healthz')).status, 200)
})

t.test('two Hosts in one request are refused, and so is a request without one', async t => {
  const door = await openDoor(t)
  for (const head of ['GET /openai/x HTTP/1.1\r\nHost: localhost\r\nHost: evil.example\r\n', 'GET /openai/x HTTP/1.0\r\n']) {
    const socket = await rawTls(t, door)
    const said = untilClosed(socket)
    socket.write(`${head}Connection: close\r\n\r\n`)
    t.match(await said, /^HTTP\/1\.1 4(00|21) /)
  }
  t.equal(door.relay.calls.length, 0)
})

t.test('a request for a foreign host is answered 421, on every path and in both protocols', async t => {
  const door = await openDoor(t, { publicUrl: 'https://ai.example.test' }, ['box.example.test'])
  for (const path of ['/openai/x', '/healthz', '/.well-known/jwks.json', '/nothing']) {
    const { status, body } = await get(door, path, { headers: { host: 'evil.example' } })
    t.equal(status, 421, path)
    t.match(JSON.parse(body), { code: 'misdirected', status: 421 })
  }
  for (const host of [
    'localhost',
    'localhost:1',
    'app.localhost',
    'LOCALHOST.',
    '127.0.0.1:3033',
    '[::1]',
    '127.9.9.9',
    'ai.example.test',
    'box.example.test:3033',
  ]) {
    t.equal((await get(door, '/openai/x', { headers: { host } })).status, 200, host)
  }
  for (const host of [
    '10.0.0.1',
    'ai.example.test.evil.example',
    'localhost.evil.example',
    'a b',
    '[::1',
    'evil.example@localhost',
    `${'a'.repeat(400)}`,
  ]) {
    t.equal((await get(door, '/openai/x', { headers: { host } })).status, 421, host)
  }
  const client = session(t, door)
  t.equal((await get2(client, { ':authority': 'evil.example', ':path': '/openai/x' })).status, 421)
  t.equal((await get2(client, { ':authority': 'ai.example.test', ':path': '/openai/x' })).status, 200)
  t.equal((await get2(client, { ':authority': 'ai.example.test', host: 'evil.example', ':path': '/openai/x' })).status, 421)
})

t.test(
  'a daemon that listens on every address is reached by the address of the machine that the connection came in by, and by no other',
  async t => {
    const door = await openDoor(t, { host: '0.0.0.0' })
    const local = '127.0.0.1'
    t.equal((await get(door, '/openai/x', { headers: { host: `${local}:3033` } })).status, 200)
    t.equal((await get(door, '/openai/x', { headers: { host: '192.0.2.9' } })).status, 421)
  },
)

t.test('whether a body may come is for the relay to say', async t => {
  const door = await openDoor(t)
  const answers: ((call: import('../../src/relay/call.js').Call) => void)[] = [
    call => reply(call, 401, '{}'),
    call => {
      call.response.writeContinue()
      streamed(call).on('data', (chunk: Buffer) => reply(call, 200, chunk.toString()))
    },
  ]
  door.relay.answer = call => answers.shift()?.(call)
  const ask = () =>
    request({
      host: '127.0.0.1',
      servername: 'localhost',
      port: door.port,
      ca: door.ca,
      path: '/openai/x',
      method: 'POST',
      headers: { expect: '100-continue', 'content-length': '4' },
      agent: false,
    })
  const refused = ask()
  refused.flushHeaders()
  refused.on('continue', () => t.fail('it may not'))
  refused.on('error', () => {})
  const [response] = await once(refused, 'response')
  t.equal(response.statusCode, 401)
  refused.destroy()
  const taken = ask()
  taken.flushHeaders()
  await once(taken, 'continue')
  taken.end('body')
  t.equal((await once(taken, 'response'))[0].statusCode, 200)
})

t.test('a client that resets stream after stream is disconnected, one that leaves with all its streams is not', async t => {
  const door = await openDoor(t)
  door.relay.answer = () => {}
  const polite = session(t, door)
  for (let index = 0; index < 90; index++) polite.request({ ':path': '/openai/x' }).on('error', () => {})
  await until(() => door.relay.calls.length === 90, 'ninety calls')
  // the end of the connection is seen between the two: Node's client misses it when it is busy resetting
  let closed: Promise<unknown> | undefined
  const between = createServer(socket => {
    const onwards = connectTcp(door.port, '127.0.0.1')
    closed = new Promise(resolve => void onwards.once('close', resolve))
    socket.on('error', () => {})
    onwards.on('error', () => {})
    socket.pipe(onwards).pipe(socket)
  })
  between.listen(0, '127.0.0.1')
  t.teardown(() => between.close())
  await once(between, 'listening')
  const hasty = session(t, { port: (between.address() as AddressInfo).port, ca: door.ca })
  await once(hasty, 'connect')
  const reset = () => {
    if (hasty.destroyed || hasty.closed) return
    const stream = hasty.request({ ':path': '/openai/x' })
    stream.on('error', () => {})
    stream.on('close', () => setImmediate(reset))
    stream.close(8)
  }
  for (let index = 0; index < 50; index++) reset()
  await closed
  t.ok(door.relay.calls.length < 90 + 500, 'before it cost much')
  t.notOk(polite.closed)
})

t.test('no more than a hundred streams are open on a connection at once', async t => {
  const door = await openDoor(t)
  const client = session(t, door)
  await once(client, 'remoteSettings')
  t.equal(client.remoteSettings.maxConcurrentStreams, 100)
})

t.test('plain HTTP is served on loopback when asked for, and off loopback only behind a proxy', async t => {
  const door = await openDoor(t, { http: true })
  t.match(door.served.url, /^http:\/\/localhost:\d+$/)
  const sent = httpRequest({ host: '127.0.0.1', port: door.port, path: '/openai/v1/models' })
  sent.end()
  t.equal((await once(sent, 'response'))[0].statusCode, 200)
  await t.rejects(openDoor(t, { http: true, host: '0.0.0.0' }), { code: 'settings_invalid' })
  await openDoor(t, { http: true, host: '0.0.0.0', trustProxy: ['10.0.0.0/8'] })
})

t.test('an address that is in use is a clear refusal', async t => {
  const door = await openDoor(t)
  await t.rejects(openDoor(t, { port: door.port }), { code: 'address_in_use', hint: /--port/ })
  await t.rejects(openDoor(t, { host: '192.0.2.1' }), { code: 'address_refused' })
})

t.test('behind a proxy that is trusted, the client is who the proxy says', async t => {
  const door = await openDoor(t, { trustProxy: ['127.0.0.1', '10.0.0.0/8'] })
  const addressOf = async (forwarded: string) =>
    (JSON.parse((await get(door, '/openai/x', { headers: { 'x-forwarded-for': forwarded } })).body) as { address: string }).address
  t.equal(await addressOf('198.51.100.1, 203.0.113.5, 10.1.1.1'), '203.0.113.5')
  const untrusting = await openDoor(t)
  const { body } = await get(untrusting, '/openai/x', { headers: { 'x-forwarded-for': '203.0.113.5' } })
  t.match(JSON.parse(body), { address: '127.0.0.1' })
})

t.test('when calls are as many as may be open, the relay is told to turn new ones away, and health goes on', async t => {
  const door = await openDoor(t, { maxCalls: 2 })
  door.relay.openCalls = 2
  t.match(JSON.parse((await get(door, '/openai/x')).body), { refusal: 'overloaded' })
  t.equal((await get(door, '/readyz')).status, 200)
  door.relay.openCalls = 1
  t.notMatch(JSON.parse((await get(door, '/openai/x')).body), { refusal: 'overloaded' })
})

t.test('a relay that throws ends that request and nothing else', async t => {
  const door = await openDoor(t)
  door.relay.answer = () => {
    throw new Error('a secret of the house')
  }
  const { status, body } = await get(door, '/openai/x')
  t.equal(status, 500)
  t.notMatch(body, 'secret of the house')
  t.equal((await get(door, '/healthz')).status, 200)
})
