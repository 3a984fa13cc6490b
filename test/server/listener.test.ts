import { once } from 'node:events'
import type { ServerResponse } from 'node:http'
import { connect as connectHttp2 } from 'node:http2'
import { type AddressInfo, connect as connectTcp, createServer } from 'node:net'
import t from 'tap'
import { createHttp2 } from '../../src/server/http2.js'
import { createListener } from '../../src/server/listener.js'
import { until, within } from '../support/until.js'
import { untilClosed } from './door.js'

async function listen(t: { teardown(handler: () => unknown): void }, options: Partial<Parameters<typeof createListener>[0]> = {}) {
  const responses: ServerResponse[] = []
  const listener = createListener({
    onRequest: (_request, response) => void responses.push(response as ServerResponse),
    pairs: undefined,
    onRefused: () => {},
    now: Date.now,
    ...options,
  })
  const { port } = await listener.listen('127.0.0.1', 0)
  t.teardown(() => listener.close(0))
  const connect = async () => {
    const socket = connectTcp(port, '127.0.0.1')
    t.teardown(() => socket.destroy())
    await once(socket, 'connect')
    return socket
  }
  return { listener, responses, connect }
}

t.test('a header that trickles in is cut off with 408, a silent connection too', async t => {
  const { connect, responses } = await listen(t, { headersTimeoutMs: 200 })
  const slow = await connect()
  const said = untilClosed(slow)
  slow.write('GET /openai/x HTTP/1.1\r\nHost: localhost\r\n')
  const trickle = setInterval(() => slow.write('X-More: 1\r\n'), 20)
  t.match(await within(said, 'the slow connection'), /^HTTP\/1\.1 408 Request Timeout\r\n[\s\S]*"code":"client_timeout"/)
  clearInterval(trickle)
  const silent = await connect()
  t.match(await within(untilClosed(silent), 'the silent connection'), '408')
  t.equal(responses.length, 0)
})

t.test('a reply that was written but has not left yet is not cut by the end', async t => {
  const { listener, responses, connect } = await listen(t)
  const socket = await connect()
  socket.pause()
  socket.write('GET /openai/x HTTP/1.1\r\nHost: localhost\r\n\r\n')
  await until(() => responses.length === 1, 'the request')
  // more than the buffers of both ends hold
  const size = 32 * 1024 * 1024
  responses[0]?.writeHead(200, { 'content-length': size })
  responses[0]?.end(Buffer.alloc(size, 97))
  const closed = listener.close(20_000)
  let received = 0
  socket.on('data', (chunk: Buffer) => {
    received += chunk.length
  })
  socket.resume()
  await within(closed, 'the end')
  t.ok(received > size, `${received} bytes arrived`)
})

t.test('a client that never reads does not hold up the end for longer than it may', async t => {
  const { listener, responses, connect } = await listen(t)
  const socket = await connect()
  socket.pause()
  socket.on('error', () => {})
  socket.write('GET /openai/x HTTP/1.1\r\nHost: localhost\r\n\r\n')
  await until(() => responses.length === 1, 'the request')
  responses[0]?.end(Buffer.alloc(32 * 1024 * 1024, 97))
  await within(listener.close(50), 'the end')
})

/** HTTP/2 without TLS, and a wire between client and server that can be cut in one direction. */
async function listenHttp2(t: { teardown(handler: () => unknown): void }) {
  const sessions = createHttp2((_request, response) => void (response as ServerResponse).write('begun'), Date.now, 50)
  const server = createServer(socket => sessions.accept(socket))
  let muted = false
  const wire = createServer(client => {
    const onwards = connectTcp((server.address() as AddressInfo).port, '127.0.0.1')
    for (const socket of [client, onwards]) socket.on('error', () => {})
    client.on('data', chunk => muted || onwards.write(chunk))
    onwards.pipe(client)
  })
  for (const each of [server, wire]) {
    each.listen(0, '127.0.0.1')
    await once(each, 'listening')
    t.teardown(() => each.close())
  }
  const client = connectHttp2(`http://127.0.0.1:${(wire.address() as AddressInfo).port}`)
  client.on('error', () => {})
  t.teardown(() => {
    client.destroy()
    sessions.destroyAll()
    sessions.close()
  })
  await once(client, 'remoteSettings')
  return { sessions, client, mute: () => (muted = true) }
}

t.test('an HTTP/2 connection with nothing open on it is closed after a while', async t => {
  const { sessions, client } = await listenHttp2(t)
  t.equal(sessions.size, 1)
  await within(once(client, 'close'), 'the connection')
  await until(() => sessions.size === 0, 'the session')
})

t.test('an HTTP/2 connection with a quiet stream is kept while its client answers, and ended when it vanishes', async t => {
  const { sessions, client, mute } = await listenHttp2(t)
  const stream = client.request({ ':path': '/openai/x' })
  stream.on('error', () => {})
  await once(stream, 'response')
  let pings = 0
  client.on('ping', () => pings++)
  await until(() => pings >= 8, 'eight rounds')
  t.equal(sessions.size, 1, 'longer than an idle one would have been')
  mute()
  await until(() => sessions.size === 0, 'the session')
})
