import { once } from 'node:events'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'
import t from 'tap'
import { isWhole, type Request, type Response } from '../../src/relay/call.js'
import { readPlainHead } from '../../src/server/lane/head.js'
import { createLanes } from '../../src/server/lane/lane.js'
import { createListener } from '../../src/server/listener.js'
import { until } from '../support/until.js'

interface Road {
  readonly port: number
  /** How many requests came in one piece, and how many by Node's own server. */
  readonly taken: { whole: number; streamed: number }
}

interface Tap {
  teardown(handler: () => unknown): void
}

/** A server that answers every request with what it took it for. */
async function road(t: Tap, withLane: boolean): Promise<Road> {
  const taken = { whole: 0, streamed: 0 }
  async function onRequest(request: Request, response: Response): Promise<void> {
    const whole = isWhole(request)
    taken[whole ? 'whole' : 'streamed']++
    const pieces: Buffer[] = []
    if (whole) pieces.push(request.whole)
    else for await (const piece of request as IncomingMessage) pieces.push(piece as Buffer)
    const { method, url, rawHeaders } = request
    const text = JSON.stringify({
      method,
      url,
      rawHeaders,
      headers: { ...request.headers },
      body: Buffer.concat(pieces).toString('latin1'),
    })
    const reply = response as ServerResponse
    if (url?.startsWith('/relay/stream')) {
      reply.writeHead(200, ['x-kind', 'stream'])
      for (const part of text.match(/.{1,40}/gs) ?? []) reply.write(Buffer.from(part))
      reply.end()
    } else
      reply.writeHead(200, ['content-type', 'application/json', 'content-length', String(Buffer.byteLength(text))]).end(Buffer.from(text))
  }
  const listener = createListener({
    onRequest: (request, response) => void onRequest(request, response).catch(() => response.destroy()),
    ...(withLane ? { isRelayed: (url: string) => url.startsWith('/relay/') } : {}),
    pairs: undefined,
    onRefused() {},
    now: Date.now,
    headersTimeoutMs: 3000,
  })
  const { port } = (await listener.listen('127.0.0.1', 0)) as AddressInfo
  t.teardown(async () => {
    listener.drain()
    await listener.close(100)
  })
  return { port, taken }
}

/** Everything a server says to these bytes, sent in these pieces, until it ends the connection or has said `replies` replies. */
async function said(port: number, pieces: readonly (string | Buffer)[], replies = 1): Promise<string> {
  const socket: Socket = connect(port, '127.0.0.1')
  let text = ''
  socket.setEncoding('latin1').on('data', part => {
    text += part
  })
  let isOver = false
  socket.on('close', () => {
    isOver = true
  })
  socket.on('error', () => {})
  await once(socket, 'connect')
  for (const piece of pieces) {
    socket.write(piece)
    await new Promise(resolve => setTimeout(resolve, 5))
  }
  const whole = () =>
    (text.match(/HTTP\/1\.1 \d/g) ?? []).length >= replies && (/\}$/.test(text) || text.endsWith('0\r\n\r\n') || text.includes(' 400 '))
  await until(() => isOver || whole(), `a reply to ${JSON.stringify(pieces).slice(0, 100)}`)
  socket.destroy()
  // the one thing that may differ
  return text.replace(/^Date: .*\r\n/gm, '')
}

const get = (fields = '', url = '/relay/x') => `GET ${url} HTTP/1.1\r\nHost: a\r\n${fields}\r\n`
const post = (body: string, fields = '', url = '/relay/x') =>
  `POST ${url} HTTP/1.1\r\nHost: a\r\nContent-Length: ${Buffer.byteLength(body)}\r\n${fields}\r\n${body}`

const requests: Record<string, readonly (string | Buffer)[]> = {
  'a plain GET': [get()],
  'a plain POST': [post('{"a":1}', 'Content-Type: application/json\r\n')],
  'an empty body': [post('')],
  'a POST without a length': ['POST /relay/x HTTP/1.1\r\nHost: a\r\n\r\n'],
  'a GET with a body': [`GET /relay/x HTTP/1.1\r\nHost: a\r\ncontent-length: 2\r\n\r\nhi`],
  'a body that comes later': [post('hello').slice(0, -3), 'llo'],
  'a head that comes in two': [get().slice(0, 20), get().slice(20)],
  'one byte at a time': [...post('hi')],
  'fields that come twice': [get('X-A: 1\r\nx-a: 2\r\nUser-Agent: one\r\nuser-agent: two\r\nCookie: a=1\r\nCookie: b=2\r\n')],
  'blanks around a value': [get('X-A:  \t b c \t \r\nX-B:\r\n')],
  'bytes beyond ASCII in a value': [get('X-A: caf\u00e9\r\n')],
  'a query': [get('', '/relay/x?a=1&b=%20#c')],
  'a stream': [get('', '/relay/stream')],
  'a reply that ends the connection': [get('Connection: close\r\n')],
  'a stream that ends the connection': [get('Connection: close\r\n', '/relay/stream')],
  'keep-alive in so many words': [get('Connection: Keep-Alive\r\n')],
  chunks: ['POST /relay/x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n'],
  'an older version': ['GET /relay/x HTTP/1.0\r\nHost: a\r\n\r\n'],
  'another method': ['DELETE /relay/x HTTP/1.1\r\nHost: a\r\n\r\n'],
  'a form': [post('--x--', 'Content-Type: multipart/form-data; boundary=x\r\n')],
  'a large body': [post('x'.repeat(100_000))],
  'a path that is not the relay’s': [get('', '/other')],
  'a length and chunks': ['POST /relay/x HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n'],
  'two lengths': ['POST /relay/x HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nContent-Length: 3\r\n\r\nabc'],
  'a signed length': ['POST /relay/x HTTP/1.1\r\nHost: a\r\nContent-Length: +3\r\n\r\nabc'],
  'a blank before the colon': [get('X-A : 1\r\n')],
  'a folded field': [get('X-A: 1\r\n 2\r\n')],
  'a field without a colon': [get('nonsense\r\n')],
  'a bare line feed': ['GET /relay/x HTTP/1.1\nHost: a\n\n'],
  'a bare carriage return': [get('X-A: 1\r2\r\n')],
  'a NUL': [get('X-A: 1\0\r\n')],
  'no request': ['what is this\r\n\r\n'],
  'no host': ['GET /relay/x HTTP/1.1\r\n\r\n'],
  'no host, but other fields': ['GET /relay/x HTTP/1.1\r\nX-A: 1\r\n\r\n'],
  'two hosts': [get('Host: b\r\n')],
  'a line feed that ends a value': [get('X-A: 1\n\r\n')],
  'a line feed that begins a value': [get('X-A:\nTransfer-Encoding: chunked\r\n')],
  'a carriage return that ends a value': [get('X-A: 1\r\r\n')],
  'a vertical tab around a value': [get('X-A: \v1\v\r\n')],
  'a form feed before a length': ['POST /relay/x HTTP/1.1\r\nHost: a\r\nContent-Length: \f3\r\n\r\nabc'],
  'a hard space around a value': [Buffer.from(get('X-A: \u00a01\u00a0\r\n'), 'latin1')],
  'a hard space before a length': [Buffer.from('POST /relay/x HTTP/1.1\r\nHost: a\r\nContent-Length: \u00a03\r\n\r\nabc', 'latin1')],
}

t.test('a request is taken for the same, and answered in the same bytes, whichever road it goes', async t => {
  const lane = await road(t, true)
  const node = await road(t, false)
  for (const [what, pieces] of Object.entries(requests)) t.equal(await said(lane.port, pieces), await said(node.port, pieces), what)
  t.ok(lane.taken.whole > 10 && lane.taken.streamed > 5, JSON.stringify(lane.taken))
  t.equal(node.taken.whole, 0)
})

t.test('requests sent ahead are answered one after the other, in order, across the change of roads', async t => {
  const lane = await road(t, true)
  const node = await road(t, false)
  const order = [
    get('', '/relay/1'),
    post('two', '', '/relay/2'),
    get('', '/relay/stream3'),
    get('', '/other4'),
    post('five', '', '/relay/5'),
  ]
  for (const pieces of [[order.join('')], order]) {
    const answer = await said(lane.port, pieces, order.length)
    t.equal(answer, await said(node.port, pieces, order.length))
    t.equal((answer.match(/HTTP\/1\.1 200 /g) ?? []).length, order.length)
  }
})

t.test('what follows a plain request is judged by itself, and never a part of it', async t => {
  const lane = await road(t, true)
  const smuggled = `${post('hi')}GET /relay/smuggled HTTP/1.1\r\nHost : a\r\n\r\n`
  const answer = await said(lane.port, [smuggled], 2)
  t.match(answer, /"body":"hi"[\s\S]*HTTP\/1\.1 400 /)
  t.equal(lane.taken.whole + lane.taken.streamed, 1)
})

t.test('a connection that says nothing is let go with 408, one whose body does not come is handed on', async t => {
  const lane = await road(t, true)
  t.match(await said(lane.port, []), /^HTTP\/1\.1 408 |^$/)
  const socket = connect(lane.port, '127.0.0.1')
  socket.on('error', () => {})
  t.teardown(() => socket.destroy())
  socket.write(post('hello').slice(0, -3))
  await until(() => lane.taken.streamed === 1, 'the request without its body')
  t.equal(lane.taken.whole, 0)
})

t.test('only a head that no two readers could take for different ones is plain', async t => {
  const plain = (text: string) => readPlainHead(Buffer.from(text, 'latin1'))
  t.match(plain(post('abc', 'X: y\r\n')), {
    method: 'POST',
    url: '/relay/x',
    contentLength: 3,
    keepsOpen: true,
    rawHeaders: ['Host', 'a', 'Content-Length', '3', 'X', 'y'],
  })
  const odd = [
    'GET /a HTTP/1.1',
    'GET a HTTP/1.1\r\nHost: a\r\n\r\n',
    'GET http://b/ HTTP/1.1\r\nHost: a\r\n\r\n',
    'GET  /a HTTP/1.1\r\nHost: a\r\n\r\n',
    'get /a HTTP/1.1\r\nHost: a\r\n\r\n',
    'OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n',
    get('', '/caf\u00e9'),
    get('', '/a\tb'),
    ...[
      'Transfer-Encoding: identity',
      'Expect: 100-continue',
      'Upgrade: websocket',
      'TE: trailers',
      'Trailer: x',
      'Connection: upgrade',
      'Connection: close, x',
      'Proxy-Connection: close',
      'Content-Type: Multipart/form-data; boundary=x',
      'Content-Length: 01',
      'Content-Length: 1, 1',
      'Content-Length:',
      'Content-Length: 999999',
    ].map(field => get(`${field}\r\n`)),
    get('X: y\r\n'.repeat(65)),
    get(`X: ${'y'.repeat(17_000)}\r\n`),
  ]
  for (const text of odd) t.equal(plain(text), undefined, JSON.stringify(text).slice(0, 80))
})

t.test('who sends ahead and never reads is neither answered nor read without end', async t => {
  const lane = await road(t, true)
  const socket = connect(lane.port, '127.0.0.1')
  socket.on('error', () => {})
  t.teardown(() => socket.destroy())
  await once(socket, 'connect')
  const total = 60_000
  // about 30 MB that ask for about 60 MB: more than any kernel holds for a connection
  for (let at = 0; at < total; at += 1000) socket.write(get(`X-A: ${'x'.repeat(450)}\r\n`).repeat(1000))
  let before = -1
  let same = 0
  await until(() => {
    same = lane.taken.whole > 0 && lane.taken.whole === before ? same + 1 : 0
    before = lane.taken.whole
    return same > 50
  }, 'the server to wait')
  t.ok(lane.taken.whole < total, `${lane.taken.whole} requests were answered`)
  t.ok(socket.writableLength > 1_000_000, 'the rest is still with who sent it')
  let replies = 0
  socket.setEncoding('latin1').on('data', (part: string) => {
    replies += part.split('HTTP/1.1 200 ').length - 1
  })
  // a status line may be cut in two
  await until(() => lane.taken.whole === total && replies > total * 0.99, 'the rest, once it reads')
})

t.test('what comes behind a request that ends the connection is never begun', async t => {
  const lane = await road(t, true)
  const last = post('hi', 'Connection: close\r\n')
  t.equal((await said(lane.port, [last + post('more').repeat(3)])).split('HTTP/1.1 ').length, 2)
  t.equal((await said(lane.port, [last, post('more'), post('more')])).split('HTTP/1.1 ').length, 2)
  t.equal(lane.taken.whole + lane.taken.streamed, 2)
})

t.test('a connection that is reset as it is let go takes nothing with it', async t => {
  const released = new Promise<Error>(resolve => {
    const lanes = createLanes({
      onRequest() {},
      takes: () => true,
      handOver() {},
      tooLate: socket => {
        socket.once('close', () => resolve(new Error('gone')))
        socket.destroy(new Error('read ECONNRESET'))
      },
      firstByteTimeoutMs: 50,
      keepAliveTimeoutMs: 1000,
    })
    const server = createServer(socket => void lanes.accept(socket)).listen(0, '127.0.0.1', () => {
      const client = connect((server.address() as AddressInfo).port, '127.0.0.1').on('error', () => {})
      t.teardown(() => {
        client.destroy()
        lanes.close()
        server.close()
      })
    })
  })
  // without a listener for its error, Node would end the process
  t.equal((await released).message, 'gone')
})
