import { once } from 'node:events'
import type { ServerResponse } from 'node:http'
import { connect as connectTcp } from 'node:net'
import t from 'tap'
import { createListener } from '../../src/server/listener.js'
import { until, within } from '../support/until.js'
import { untilClosed } from './door.js'

async function listen(t: { teardown(handler: () => unknown): void }, options: Partial<Parameters<typeof createListener>[0]> = {}) {
  const responses: ServerResponse[] = []
  const listener = createListener({
    onRequest: (_request, response) => void responses.push(response as ServerResponse),
    pair: undefined,
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
