import { once } from 'node:events'
import type { ClientHttp2Session } from 'node:http2'
import { type AddressInfo, connect as connectTcp, createServer as createTcpServer } from 'node:net'
import { setTimeout as delay } from 'node:timers/promises'
import { connect as connectTls } from 'node:tls'
import t from 'tap'
import { chatAsk, http2, openHttp2, rawTls } from '../support/clients.js'
import type { Daemon } from '../support/daemon.js'
import { endlessSse, openaiEvent } from '../support/scripts.js'
import { freshKey, makeStage, type Stage } from '../support/stage.js'
import { until, within } from '../support/until.js'
import { seen } from '../support/upstream.js'

/** A client in the middle of a stream; `leave` is how it goes. */
interface Streaming {
  leave(): void
}

const endless = endlessSse(
  index => openaiEvent(`word${index} `),
  () => delay(250),
)

function streamRequest(token: string): string {
  const ask = chatAsk(token, { stream: true })
  const body = String(ask.body)
  return `POST ${ask.path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer ${token}\r\nContent-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n${body}`
}

async function byFin(daemon: Daemon, token: string): Promise<Streaming> {
  const connection = await rawTls(daemon)
  connection.write(streamRequest(token))
  await connection.until(text => text.includes('word0'))
  return { leave: () => void connection.socket.end() }
}

/** The TCP connection is torn down under TLS, so that the server sees an RST and no close_notify. */
async function byRst(daemon: Daemon, token: string): Promise<Streaming> {
  const tcp = connectTcp(daemon.port, '127.0.0.1')
  const socket = connectTls({ socket: tcp, servername: 'localhost', ca: daemon.ca, ALPNProtocols: ['http/1.1'] })
  socket.on('error', () => {})
  tcp.on('error', () => {})
  await once(socket, 'secureConnect')
  let text = ''
  socket.on('data', chunk => {
    text += chunk
  })
  socket.write(streamRequest(token))
  await until(() => text.includes('word0'), 'the first word')
  return { leave: () => void tcp.resetAndDestroy() }
}

async function byRstStream(session: ClientHttp2Session, token: string): Promise<Streaming> {
  const stream = openHttp2(session, chatAsk(token, { stream: true }))
  let text = ''
  stream.on('data', chunk => {
    text += chunk
  })
  await until(() => text.includes('word0'), 'the first word')
  return { leave: () => stream.close(8) }
}

async function byGoingAway(daemon: Daemon, token: string): Promise<Streaming> {
  const session = await http2(daemon)
  await byRstStream(session, token)
  return { leave: () => session.destroy() }
}

t.test('clients that leave', async t => {
  const stage: Stage = await makeStage(t, { script: endless })
  const { daemon, upstream, home, token } = stage

  await t.test(
    'when 100 clients leave mid-stream by FIN, RST, RST_STREAM or with their connection, all 100 calls at the provider end and are recorded',
    async t => {
      const session = await http2(daemon)
      t.teardown(() => session.destroy())
      const ways = [
        () => byFin(daemon, token),
        () => byRst(daemon, token),
        () => byRstStream(session, token),
        () => byGoingAway(daemon, token),
      ]
      const clients = await Promise.all(
        Array.from({ length: 100 }, (_, index) => (ways[index % ways.length] as () => Promise<Streaming>)()),
      )
      t.equal(upstream.open, 100)
      for (const client of clients) client.leave()
      await until(
        () => upstream.open === 0,
        'the upstream calls to end',
        () => `${upstream.open} are open`,
        5000,
      )
      await until(
        async () => (await home.entries()).length === 100,
        '100 entries',
        async () => (await home.entries()).length,
      )
      for (const entry of await home.entries()) {
        t.equal(entry.outcome, 'client_gone')
        t.equal(entry.usageSource, 'estimated')
        t.ok(entry.outputTokens > 0, 'what was consumed is counted')
      }
      t.equal(new Set((await home.entries()).map(entry => entry.id)).size, 100)
    },
  )

  await t.test('when a client leaves before the provider has said a word, the call at the provider ends', async t => {
    upstream.forget()
    upstream.use(exchange => exchange.left)
    const connection = await rawTls(daemon)
    connection.write(streamRequest(token))
    await seen(upstream, 1)
    connection.socket.destroy()
    await until(() => upstream.open === 0, 'the upstream call to end')
    t.pass()
  })

  await t.test(
    'a client that leaves before a word was shown pays for what was likely written, and nothing where the provider cannot have seen it',
    async t => {
      upstream.forget()
      upstream.use(exchange => exchange.left)
      const lastOf = async (grant: string) => (await home.entries()).filter(({ grantId }) => grantId === grant).at(-1)
      const silent = createTcpServer().listen(0, '127.0.0.1')
      t.teardown(() => silent.close())
      await once(silent, 'listening')
      const baseUrl = `https://127.0.0.1:${(silent.address() as AddressInfo).port}`
      const unheard = await home.addKey('openai', { secret: freshKey('openai'), baseUrl, name: 'unheard' })
      const heard = await stage.grant('--key', stage.keys.openai ?? '', '--budget', '5usd/day')
      const never = await stage.grant('--key', unheard.id, '--budget', '5usd/day')
      for (const grant of [heard, never]) {
        const connection = await rawTls(daemon)
        const met = grant === heard ? seen(upstream, 1) : once(silent, 'connection')
        connection.write(streamRequest(grant.token))
        await met
        await delay(200)
        connection.socket.destroy()
        await until(async () => (await lastOf(grant.id)) !== undefined, 'the entry')
      }
      const entry = await lastOf(heard.id)
      t.match(entry, { outcome: 'client_gone', usageSource: 'estimated' })
      t.ok((entry?.outputTokens ?? 0) >= 10, `${entry?.outputTokens} model tokens`)
      t.match(await lastOf(never.id), { outcome: 'client_gone', usageSource: 'none', inputTokens: 0, costMicroDollars: null })
      t.match(await home.json(['limit', 'show', never.id]), [{ counts: 'usd', used: 0 }])
    },
  )

  await t.test('when a client leaves in the middle of an upload, the call at the provider ends', async t => {
    upstream.forget()
    const connection = await rawTls(daemon)
    const bound =
      'POST /openai/v1/audio/transcriptions HTTP/1.1\r\nHost: localhost\r\nContent-Type: multipart/form-data; boundary=x\r\nContent-Length: 9000000\r\n'
    connection.write(
      `${bound}Authorization: Bearer ${token}\r\n\r\n--x\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\n`,
    )
    connection.write(Buffer.alloc(2_000_000, 'a'))
    await until(() => (upstream.requests[0]?.bodyBytes ?? 0) > 1_000_000, 'the upload to be under way')
    connection.socket.destroy()
    await until(() => upstream.open === 0, 'the upstream call to end')
    t.notOk(upstream.requests[0]?.sha256, 'half an upload never looks whole')
  })

  await t.test('a daemon that so many clients left keeps nothing open, and stops at once', async t => {
    await until(() => upstream.open === 0, 'nothing to be open')
    t.equal(await within(daemon.stop(), 'the daemon'), 0)
  })
})
