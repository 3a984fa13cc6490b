import { once } from 'node:events'
import { type AddressInfo, createServer, type Socket } from 'node:net'
import t from 'tap'
import { createOutbound } from '../../src/lib/outbound.js'
import type { UpstreamReply } from '../../src/providers/provider.js'
import { send } from '../../src/relay/upstream.js'
import { until } from '../support/until.js'

interface Test {
  teardown(handler: () => unknown): unknown
}

/** A reply read by one who says "wait" at every piece and goes on only when told. */
async function readSlowly(t: Test, answer: (socket: Socket) => void) {
  let peer: Socket | undefined
  const server = createServer({ allowHalfOpen: false }, socket => {
    peer = socket.on('error', () => {})
    socket.once('data', () => answer(socket))
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const outbound = createOutbound({ connectTimeoutMs: 20_000, headTimeoutMs: 20_000, idleTimeoutMs: 20_000 })
  t.teardown(async () => {
    await outbound.close()
    server.close()
  })
  const heard = { size: 0, ended: false, failed: '' }
  const reply: UpstreamReply = send(
    outbound.pool(`http://127.0.0.1:${(server.address() as AddressInfo).port}`, true),
    { method: 'GET', path: '/', headers: [], body: undefined },
    {
      head: () => {},
      data(chunk) {
        heard.size += chunk.length
        return false
      },
      end() {
        heard.ended = true
      },
      fail(error) {
        heard.failed = String(error)
      },
    },
    () => {},
    { withdraw: () => {} },
  )
  return { heard, reply, peer: () => peer }
}

for (const [how, head, body] of [
  ['with a length', 'Content-Length: 1000\r\nConnection: close\r\n', 'x'.repeat(1000)],
  ['in chunks', 'Transfer-Encoding: chunked\r\nConnection: close\r\n', `3e8\r\n${'x'.repeat(1000)}\r\n0\r\n\r\n`],
  ['that ends with its connection', 'Connection: close\r\n', 'x'.repeat(1000)],
] as const) {
  t.test(`a reply ${how} is whole, and ends when its reader wants it, though the connection ended while it waited`, async t => {
    const { heard, reply, peer } = await readSlowly(t, socket => socket.end(`HTTP/1.1 200 OK\r\n${head}\r\n${body}`))
    await until(() => heard.size > 0, 'a piece')
    if (how !== 'in chunks') await until(() => peer()?.closed === true, 'the connection to end')
    t.same(heard, { size: 1000, ended: false, failed: '' })
    reply.resume()
    await until(() => heard.ended, 'the end')
    t.same(heard, { size: 1000, ended: true, failed: '' })
  })
}

t.test('a reply that breaks off while its reader waits fails, and nothing else does', async t => {
  for (const [head, body] of [
    ['Content-Length: 2000\r\nConnection: close\r\n', 'x'.repeat(1000)],
    ['Transfer-Encoding: chunked\r\nConnection: close\r\n', `3e8\r\n${'x'.repeat(1000)}`],
  ] as const) {
    const { heard } = await readSlowly(t, socket => socket.end(`HTTP/1.1 200 OK\r\n${head}\r\n${body}`))
    await until(() => heard.failed !== '', 'the failure')
    t.match(heard, { size: 1000, ended: false, failed: /broke off/ })
  }
  const reset = await readSlowly(t, socket => socket.write(`HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n${'x'.repeat(1000)}`))
  await until(() => reset.heard.size > 0, 'a piece')
  reset.peer()?.resetAndDestroy()
  await until(() => reset.heard.failed !== '', 'the failure')
  t.match(reset.heard, { size: 1000, ended: false, failed: /broke off/ })
})
