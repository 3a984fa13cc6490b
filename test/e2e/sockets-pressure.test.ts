import { randomBytes } from 'node:crypto'
import type { Socket } from 'node:net'
import { setTimeout as delay } from 'node:timers/promises'
import t from 'tap'
import { makeHome } from '../support/daemon.js'
import { freshKey } from '../support/stage.js'
import { until, within } from '../support/until.js'
import { openSocket, refusedSocket } from '../support/ws-client.js'
import { echo, startSocketUpstream } from '../support/ws-upstream.js'

const upstream = await startSocketUpstream(t)
const home = await makeHome(t)
await home.addKey('openai', { secret: freshKey('openai'), baseUrl: upstream.url })
await home.addKey('gemini', { secret: freshKey('gemini'), baseUrl: upstream.url })
const daemon = await home.serve({ env: { SOAKP_WEBSOCKET_PING: '2s' } })
const realtime = '/openai/v1/realtime?model=gpt-realtime'
const megabyte = 1024 * 1024

const entriesOf = async (grantId: string) => (await home.entries()).filter(entry => entry.grantId === grantId)

t.test('a client that stops reading pauses its provider, and memory stays flat', async t => {
  const { token } = await home.createToken(['--all'])
  let sent = 0
  upstream.use(socket => {
    const piece = randomBytes(64 * 1024)
    const pump = (): void => {
      if (socket.readyState !== socket.OPEN || sent >= 400 * megabyte) return
      sent += piece.length
      socket.send(piece, pump)
    }
    socket.once('message', pump)
  })
  const opened = await openSocket(daemon, realtime, { token })
  const before = daemon.rss()
  opened.socket.pause()
  opened.socket.send('go')
  let last = -1
  // what the kernel holds for both connections is all that goes out
  await until(
    async () => {
      if (sent === last && sent > 0) return true
      last = sent
      await new Promise(resolve => setTimeout(resolve, 300))
      return false
    },
    'the provider to be paused',
    () => sent,
  )
  t.ok(sent < 60 * megabyte, `${sent} bytes were taken from the provider`)
  t.ok(daemon.rss() - before < 60 * megabyte, `${daemon.rss() - before} bytes more`)
  t.same(opened.messages, [])
  opened.socket.resume()
  const paused = sent
  await until(() => sent > paused + 20 * megabyte, 'the provider to go on')
  opened.socket.terminate()
})

t.test('a provider that stops reading pauses its client', async t => {
  const { token } = await home.createToken(['--all'])
  upstream.use(socket => socket.pause())
  const opened = await openSocket(daemon, realtime, { token })
  const before = daemon.rss()
  for (let index = 0; index < 200; index++) opened.socket.send(randomBytes(256 * 1024))
  let last = -1
  await until(async () => {
    const waiting = opened.socket.bufferedAmount
    if (waiting === last && waiting < 50 * megabyte) return true
    last = waiting
    await new Promise(resolve => setTimeout(resolve, 300))
    return false
  }, 'the client to be paused')
  t.ok(last > 10 * megabyte, `${last} bytes wait at the client`)
  t.ok(daemon.rss() - before < 60 * megabyte, `${daemon.rss() - before} bytes more`)
  opened.socket.terminate()
  for (const socket of upstream.sockets) socket.terminate()
})

t.test('a client that is silent, pings unanswered, is taken for gone, and its provider is left', async t => {
  const issued = await home.createToken(['--all'])
  upstream.use(echo)
  const opened = await openSocket(daemon, realtime, { token: issued.token, options: { autoPong: false } })
  await until(() => upstream.sockets.size === 1, 'the provider to be reached')
  t.equal((await within(opened.closed, 'the end')).code, 1006)
  await until(() => upstream.sockets.size === 0, 'the provider to be left')
  t.match((await entriesOf(issued.id))[0], { outcome: 'client_gone', status: 101 })
})

t.test('a message that takes long to come, or to be taken, is no silence', async t => {
  const { token } = await home.createToken(['--all'])
  upstream.use(socket => socket.on('message', data => socket.send((data as Buffer).length > 2 ? 'whole' : Buffer.alloc(16 * megabyte))))
  const [slowly, late] = await Promise.all([openSocket(daemon, realtime, { token }), openSocket(daemon, realtime, { token })])
  late.socket.send('go')
  late.socket.pause()
  const wire = (slowly.socket as unknown as { _socket: Socket })._socket
  // one frame of a megabyte, masked with nothing
  wire.write(Buffer.from([0x82, 0xff, 0, 0, 0, 0, 0, 0x10, 0, 0, 0, 0, 0, 0]))
  for (let at = 0; at < 32; at++) {
    wire.write(Buffer.alloc(megabyte / 32))
    await delay(200)
  }
  late.socket.resume()
  await until(() => slowly.messages.length + late.messages.length === 2, 'both messages')
  t.equal(slowly.messages[0]?.data.toString(), 'whole')
  t.equal(late.messages[0]?.data.length, 16 * megabyte)
  for (const { socket } of [slowly, late]) socket.terminate()
})

t.test('a client that answers pings stays as long as it likes', async t => {
  const { token } = await home.createToken(['--all'])
  upstream.use(echo)
  const opened = await openSocket(daemon, realtime, { token })
  let pings = 0
  opened.socket.on('ping', () => pings++)
  await until(() => pings >= 4, 'four pings')
  opened.socket.send('still here')
  await until(() => opened.messages.length === 1, 'the echo')
  opened.socket.close()
  t.equal((await opened.closed).code, 1005)
})

t.test('of a long connection the counts are written down while it goes on: what a killed daemon had counted is there', async t => {
  const issued = await home.createToken(['--all'])
  upstream.use(socket => {
    const response = { usage: { total_tokens: 18, input_tokens: 11, output_tokens: 7 } }
    socket.on('message', () => socket.send(JSON.stringify({ type: 'response.done', response })))
  })
  const other = await home.serve()
  const opened = await openSocket(other, realtime, { token: issued.token })
  opened.socket.send('{"type":"response.create"}')
  await until(async () => (await entriesOf(issued.id)).length === 1, 'the first part')
  opened.socket.send('{"type":"response.create"}')
  await until(async () => (await entriesOf(issued.id)).length === 2, 'the second part')
  await other.kill()
  const parts = await entriesOf(issued.id)
  t.strictSame(
    parts.map(({ attempt, final, inputTokens, outputTokens }) => ({ attempt, final, inputTokens, outputTokens })),
    [
      { attempt: 1, final: false, inputTokens: 11, outputTokens: 7 },
      { attempt: 2, final: false, inputTokens: 11, outputTokens: 7 },
    ],
  )
  t.strictSame(new Set(parts.map(({ id }) => id)).size, 1, 'parts of one connection share its id')
  t.strictSame(await home.verify(), [])
})

t.test('a connection that breaks off before its counts is estimated', async t => {
  const issued = await home.createToken(['--all'])
  upstream.use(socket => {
    socket.on('message', () => {
      for (let index = 0; index < 10; index++) socket.send(JSON.stringify({ type: 'response.output_text.delta', delta: 'word '.repeat(8) }))
      setTimeout(() => socket.terminate(), 50)
    })
  })
  const opened = await openSocket(daemon, realtime, { token: issued.token })
  opened.socket.send(JSON.stringify({ type: 'response.create', response: { instructions: 'x'.repeat(400) } }))
  await opened.closed
  t.match((await entriesOf(issued.id))[0], { outcome: 'failed', usageSource: 'estimated', outputTokens: 100 })
})

t.test('a turn of Gemini Live states its counts several times and is counted once', async t => {
  const issued = await home.createToken(['--all', '--models', 'gemini-live'])
  const counts = (prompt: number, response: number) => ({ usageMetadata: { promptTokenCount: prompt, responseTokenCount: response } })
  upstream.use(socket => {
    const say = (value: unknown) => socket.send(Buffer.from(JSON.stringify(value)), { binary: true })
    socket.once('message', () => {
      say({ setupComplete: {} })
      for (const turn of [1, 2]) {
        say({ serverContent: { modelTurn: { parts: [{ text: 'a' }] } }, ...counts(10 * turn, 3) })
        say({ serverContent: { modelTurn: { parts: [{ text: 'b' }] } }, ...counts(10 * turn, 5) })
        say({ serverContent: { turnComplete: true } })
        say(counts(10 * turn, 6))
      }
      socket.close(1000)
    })
  })
  const path = '/gemini/ws/google.ai.generativelanguage.v1beta.GenerativeService.BidiGenerateContent'
  const opened = await openSocket(daemon, `${path}?key=${issued.token}`)
  opened.socket.send(JSON.stringify({ setup: { model: 'models/gemini-live' } }))
  t.equal((await opened.closed).code, 1000)
  t.match((await entriesOf(issued.id))[0], { inputTokens: 30, outputTokens: 12, usageSource: 'provider', model: 'gemini-live' })
  for (const first of ['{"setup":{"model":"models/other"}}', '{"clientContent":{}}']) {
    const refused = await openSocket(daemon, path, { token: issued.token })
    refused.socket.send(Buffer.from(first), { binary: true })
    t.equal((await refused.closed).code, 1008, first)
  }
})

t.test('a limit on the output opens conversations whose answers cannot be longer, and no others', async t => {
  const path = '/openai/v1/realtime?model=gpt-realtime'
  const wide = await home.createToken(['--all', '--max-output', '4096'])
  const opened = await openSocket(daemon, path, { token: wide.token })
  opened.socket.close()
  const narrow = await home.createToken(['--all', '--max-output', '4095'])
  t.equal((await refusedSocket(daemon, path, { token: narrow.token })).status, 403)
})

t.test('responses over a socket name their model and their most output each time', async t => {
  const received: string[] = []
  upstream.use(socket => socket.on('message', data => received.push(data.toString())))
  const issued = await home.createToken(['--all', '--models', 'gpt-5*', '--max-output', '100'])
  const good = { type: 'response.create', model: 'gpt-5-mini', max_output_tokens: 100, input: 'hi' }
  const bad: Record<string, unknown>[] = [
    { ...good, model: undefined },
    { ...good, max_output_tokens: undefined },
    { ...good, max_output_tokens: 101 },
    { ...good, tools: [{ type: 'image_generation', model: 'gpt-image-1' }] },
  ]
  for (const message of bad) {
    const opened = await openSocket(daemon, '/openai/v1/responses', { token: issued.token })
    opened.socket.send(JSON.stringify(good))
    opened.socket.send(JSON.stringify(message))
    const { code, reason } = await opened.closed
    t.equal(code, 1008)
    t.match(reason, /^(model_unknown|model_not_allowed|output_too_large): /)
  }
  t.strictSame(received, Array(4).fill(JSON.stringify(good)))
})
