import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'
import t from 'tap'
import { createHttp1Client, type Http1Client, type Taker } from '../../src/lib/http1-client.js'
import { until } from '../support/until.js'

interface Tap {
  teardown(handler: () => unknown): void
}

interface Far {
  readonly client: Http1Client
  /** Connections it was asked for, in order. */
  readonly sockets: Socket[]
}

/** A client, and a server that does with each connection as it is told. */
async function far(t: Tap, serve: (socket: Socket) => void, times = { headTimeoutMs: 5000, idleTimeoutMs: 5000 }): Promise<Far> {
  const sockets: Socket[] = []
  const server = createServer(socket => {
    sockets.push(socket)
    socket.on('error', () => {})
    serve(socket)
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  const client = createHttp1Client({
    host: 'a',
    connect(done) {
      const socket = connect(port, '127.0.0.1', () => done(null, socket))
    },
    ...times,
  })
  t.teardown(() => {
    client.close()
    for (const socket of sockets) socket.destroy()
    server.close()
  })
  return { client, sockets }
}

function ask(client: Http1Client, body?: Buffer): Promise<string> {
  return new Promise(resolve => {
    const pieces: Buffer[] = []
    const taker: Taker = {
      head() {},
      data: piece => pieces.push(piece) > 0,
      end: () => resolve(Buffer.concat(pieces).toString()),
      fail: error => resolve(error.message),
    }
    client.send({ method: 'POST', path: '/', headers: [], body }, taker)
  })
}

t.test('no request is put behind one that was answered before all of it had left', async t => {
  const { client, sockets } = await far(t, socket => {
    // reads no further
    socket.once('data', () => {
      socket.pause()
      socket.write('HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nearly')
    })
  })
  const body = Buffer.alloc(16 * 1024 * 1024)
  t.equal(await ask(client, body), 'early')
  t.equal(await ask(client, body), 'early')
  t.equal(sockets.length, 2, 'each has a connection of its own')
})

t.test('a connection whose request has left and whose reply has ended is used again', async t => {
  const { client, sockets } = await far(t, socket => {
    socket.on('data', () => socket.write('HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok'))
  })
  for (let at = 0; at < 3; at++) t.equal(await ask(client, Buffer.from('x')), 'ok')
  t.equal(sockets.length, 1)
})

t.test('who only hints at a reply is given up as who says nothing', async t => {
  const { client } = await far(
    t,
    socket => {
      const timer = setInterval(() => socket.write('HTTP/1.1 102 Processing\r\n\r\n'), 50)
      socket.on('close', () => clearInterval(timer))
    },
    { headTimeoutMs: 600, idleTimeoutMs: 600_000 },
  )
  let said = ''
  ask(client).then(text => {
    said = text
  })
  await until(() => said !== '', 'the call to end')
  t.match(said, /did not answer in time|in time/i)
})
