import t from 'tap'
import type { WebSocket } from 'ws'
import { type Home, makeHome } from '../support/daemon.js'
import { freshKey } from '../support/stage.js'
import { until } from '../support/until.js'
import { openSocket, refusedSocket, type TestSocket } from '../support/ws-client.js'
import { startSocketUpstream } from '../support/ws-upstream.js'

// Prices as bundled. gpt-realtime: $32 a million model tokens at the dearest in, $64 out, 32 000 of context. gpt-4.1-mini: $0.4 in, $1.6 out. universal-streaming: $0.15 an hour.

interface Counted {
  readonly limit: string
  readonly used: number
  readonly held: number
  readonly lost: number
}

const upstream = await startSocketUpstream(t)
const home = await makeHome(t)
for (const provider of ['openai', 'gemini', 'deepgram', 'assemblyai', 'elevenlabs'])
  await home.addKey(provider, { secret: freshKey(provider), baseUrl: upstream.url })
let daemon = await home.serve()

const realtime = '/openai/v1/realtime?model=gpt-realtime'
const responses = '/openai/v1/responses'
const live = '/gemini/ws/google.ai.generativelanguage.v1beta.GenerativeService.BidiGenerateContent'
const sound = '/assemblyai/v3/ws?sample_rate=16000&encoding=pcm_s16le&speech_model=universal-streaming-english'

/** A thousand given at the start, the minute ahead, and the longest answer. */
const firstStep = (1000 + 1600) * 32 + 4096 * 64

const micro = (dollars: number) => Math.round(dollars * 1e6)
const shown = async (id: string, of: Home = home) => ((await of.json(['limit', 'show', id])) as Counted[])[0] as Counted
const heldBy = async (id: string) => micro((await shown(id)).held)
const usedBy = async (id: string) => micro((await shown(id)).used)
const entryOf = async (grantId: string) => (await home.entries()).filter(entry => entry.grantId === grantId)
const send = (socket: Pick<WebSocket, 'send'>, value: unknown) => socket.send(JSON.stringify(value))
const typesOf = ({ messages }: TestSocket) => messages.map(({ data }) => JSON.parse(data.toString()).type)

/** Counts as the Realtime API states them: text of the input from the cache, sound both ways. */
const counts = (input: number, output: number) => ({
  total_tokens: input + output,
  input_tokens: input,
  output_tokens: output,
  input_token_details: { text_tokens: 0, audio_tokens: input },
  output_token_details: { text_tokens: 0, audio_tokens: output },
})

/** Answers each `response.create` of a realtime session with `usage`. */
const answering = (usage: unknown) => (socket: WebSocket) => {
  socket.on('message', data => {
    if (JSON.parse(data.toString()).type !== 'response.create') return
    send(socket, { type: 'response.created', response: { id: 'resp_1', conversation_id: 'conv_1' } })
    send(socket, { type: 'response.done', response: { id: 'resp_1', conversation_id: 'conv_1', usage } })
  })
}

t.beforeEach(() => {
  upstream.use(() => {})
  upstream.refuseWith(undefined)
})

t.test('a realtime session holds its first minute before the provider hears of it, and is charged what the provider counts', async t => {
  const { token, id } = await home.createToken(['--all', '--budget', '2usd/d'])
  upstream.use(answering(counts(100, 50)))
  const opened = await openSocket(daemon, realtime, { token })
  t.ok((await heldBy(id)) >= firstStep)
  send(opened.socket, { type: 'response.create' })
  await opened.json(1)
  opened.socket.close()
  await opened.closed
  t.match(await shown(id), { lost: 0 })
  t.equal(await usedBy(id), 100 * 32 + 50 * 64)
  t.match(await entryOf(id), [{ outcome: 'ok', costMicroDollars: 100 * 32 + 50 * 64, usageSource: 'provider' }])
})

t.test('one that was never asked for anything is charged nothing', async t => {
  const { token, id } = await home.createToken(['--all', '--budget', '2usd/d'])
  const opened = await openSocket(daemon, realtime, { token })
  opened.socket.close()
  await opened.closed
  t.match(await shown(id), { used: 0, lost: 0 })
})

t.test('of racing upgrades as many are opened as the budget holds', async t => {
  const { token } = await home.createToken(['--all', '--budget', `${(firstStep * 3 + 1000) / 1e6}usd/d`])
  const before = upstream.upgrades.length
  const tries = await Promise.allSettled(Array.from({ length: 8 }, () => openSocket(daemon, realtime, { token })))
  const opened = tries.flatMap(tried => (tried.status === 'fulfilled' ? [tried.value] : []))
  t.equal(opened.length, 3)
  t.equal(upstream.upgrades.length - before, 3, 'the provider heard of no other')
  const refused = await refusedSocket(daemon, realtime, { token })
  t.equal(refused.status, 429)
  t.equal(refused.body.error.code, 'budget_exhausted')
  for (const { socket } of opened) socket.close()
  await Promise.all(opened.map(({ closed }) => closed))
  const again = await Promise.all(opened.map(() => openSocket(daemon, realtime, { token })))
  t.equal(again.length, 3, 'everything is free again')
  for (const { socket } of again) socket.close()
})

t.test(
  'where the next answer does not fit any more, the session is cut with an error event and never charged beyond the budget',
  async t => {
    const { token, id } = await home.createToken(['--all', '--budget', '0.5usd/d'])
    upstream.use(answering(counts(2000, 1500)))
    const opened = await openSocket(daemon, realtime, { token })
    send(opened.socket, { type: 'response.create' })
    const { code, reason } = await opened.closed
    t.equal(code, 1008)
    t.match(reason, /^budget_exhausted/)
    t.strictSame(typesOf(opened), ['response.created', 'response.done', 'error'], 'what was paid for is delivered')
    t.match(await opened.json(2), { error: { code: 'budget_exhausted', message: /closed here/ } })
    t.match(await entryOf(id), [{ outcome: 'cut', errorCode: 'budget_exhausted', costMicroDollars: 2000 * 32 + 1500 * 64 }])
    t.equal(await usedBy(id), 2000 * 32 + 1500 * 64)
    t.ok((await heldBy(id)) >= 0)
  },
)

t.test('with --let-finish it goes on, and what it took beyond the budget is charged and marked', async t => {
  const { token, id } = await home.createToken(['--all', '--budget', '0.4usd/d', '--let-finish'])
  upstream.use(answering(counts(4000, 4000)))
  const opened = await openSocket(daemon, realtime, { token })
  for (let answer = 1; answer <= 2; answer++) {
    send(opened.socket, { type: 'response.create' })
    await opened.json(answer * 2 - 1)
  }
  opened.socket.close(1000)
  t.equal((await opened.closed).code, 1000)
  t.equal(await usedBy(id), 2 * (4000 * 32 + 4000 * 64))
  t.match((await entryOf(id)).at(-1), { errorCode: 'budget_overrun' })
})

t.test('sound that is sent raises the hold by the minute, and is cut where the next minute does not fit', async t => {
  const { token, id } = await home.createToken(['--all', '--budget', '0.0060usd/d'])
  let received = 0
  upstream.use(socket => {
    send(socket, { type: 'Begin' })
    socket.on('message', data => {
      received += (data as Buffer).length
    })
  })
  const minute = 16_000 * 2 * 60
  const cost = (minutes: number) => Math.ceil((minutes * 60 * 41_666_667) / 1e6)
  const opened = await openSocket(daemon, sound, { token })
  t.ok((await heldBy(id)) >= cost(1))
  const piece = Buffer.alloc(minute / 20)
  for (let sent = 0; sent < 21; sent++) opened.socket.send(piece)
  await until(async () => (await heldBy(id)) >= cost(2), 'a second minute to be held')
  for (let sent = 0; sent < 30; sent++) opened.socket.send(piece)
  t.equal((await opened.closed).code, 1008)
  t.match(await opened.json(1), { type: 'Error', error_code: 'budget_exhausted' })
  t.ok(received <= 2 * minute, 'what was not held was not sent')
})

t.test(
  'each response.create on a Responses socket is held like a call; one that does not fit is refused and the connection goes on',
  async t => {
    const { token, id } = await home.createToken(['--all', '--endpoints', 'inference', 'all-resources', '--budget', '0.01usd/d'])
    const received: { max_output_tokens: number }[] = []
    upstream.use(socket => {
      socket.on('message', data => {
        received.push(JSON.parse(data.toString()))
        const response = { id: `resp_${received.length}`, model: 'gpt-4.1-mini', store: false }
        send(socket, { type: 'response.created', response })
        send(socket, {
          type: 'response.completed',
          response: { ...response, usage: { input_tokens: 100, output_tokens: 10, total_tokens: 110 } },
        })
      })
    })
    const opened = await openSocket(daemon, responses, { token })
    t.ok((await heldBy(id)) >= 0)
    const ask = (more: Record<string, unknown>) =>
      send(opened.socket, { type: 'response.create', model: 'gpt-4.1-mini', input: 'hi', ...more })
    ask({ max_output_tokens: 100_000 })
    t.match(await opened.json(0), { type: 'error', error: { code: 'budget_exhausted', message: /could take 0\.16/ } })
    ask({})
    t.match(await opened.json(1), { type: 'error', error: { code: 'budget_exhausted' } }, 'as long as the model can')
    ask({ max_output_tokens: 50, tools: [{ type: 'web_search' }] })
    t.match(await opened.json(2), { type: 'error', error: { code: 'cost_unbounded' } })
    ask({ max_output_tokens: 50, previous_response_id: 'resp_of_nobody' })
    t.match(await opened.json(3), { type: 'error', error: { code: 'budget_exhausted' } }, 'of what length that is nobody knows')
    ask({ max_output_tokens: 50 })
    t.equal((await opened.json(5)).type, 'response.completed')
    ask({ max_output_tokens: 50, previous_response_id: 'resp_1' })
    t.equal((await opened.json(7)).type, 'response.completed')
    t.equal(received.length, 2, 'only what fits left')
    opened.socket.close()
    await opened.closed
    const cost = 2 * (100 * 0.4 + 10 * 1.6)
    t.equal(await usedBy(id), cost)
    t.ok((await heldBy(id)) >= 0)
  },
)

t.test('a connection that asks two models is charged for each by its own price', async t => {
  const { token, id } = await home.createToken(['--all', '--budget', '1usd/d'])
  upstream.use(socket => {
    socket.on('message', data => {
      const { model } = JSON.parse(data.toString())
      send(socket, { type: 'response.created', response: { id: `resp_${model}`, model } })
      send(socket, {
        type: 'response.completed',
        response: { id: `resp_${model}`, model, usage: { input_tokens: 1000, output_tokens: 0 } },
      })
    })
  })
  const opened = await openSocket(daemon, responses, { token })
  const models = ['gpt-4.1-nano', 'gpt-4.1']
  for (const [at, model] of models.entries()) {
    send(opened.socket, { type: 'response.create', model, input: 'hi', max_output_tokens: 16 })
    await opened.json(2 * at + 1)
  }
  opened.socket.close()
  await opened.closed
  t.equal(await usedBy(id), 1000 * 0.1 + 1000 * 2)
  t.strictSame(
    (await entryOf(id)).map(({ model, costMicroDollars }) => [model, costMicroDollars]),
    [
      ['gpt-4.1-nano', 100],
      ['gpt-4.1', 2000],
    ],
  )
})

t.test('a Live session is held when its first message names the model, by its longest answer or the one it asks for', async t => {
  const { token, id } = await home.createToken(['--all', '--budget', '0.11usd/d'])
  const model = 'models/gemini-2.5-flash-native-audio-preview-09-2025'
  const received: unknown[] = []
  upstream.use(socket => {
    socket.on('message', data => {
      received.push(JSON.parse(data.toString()))
      if (received.length === 1) return send(socket, { setupComplete: {} })
      send(socket, { serverContent: { modelTurn: { parts: [{ text: 'hello' }] } } })
      send(socket, {
        serverContent: { turnComplete: true },
        usageMetadata: { promptTokenCount: 200, responseTokenCount: 100, totalTokenCount: 300 },
      })
    })
  })
  const opened = await openSocket(daemon, `${live}?key=${token}`)
  send(opened.socket, { setup: { model } })
  await opened.json(0)
  t.ok((await heldBy(id)) >= Math.ceil((1000 + 2500) * 3 + 8192 * 12))
  const second = await openSocket(daemon, `${live}?key=${token}`)
  send(second.socket, { setup: { model } })
  t.match(await second.closed, { code: 1008, reason: /^budget_exhausted/ })
  send(opened.socket, { clientContent: { turns: [{ role: 'user', parts: [{ text: 'hi' }] }], turnComplete: true } })
  await opened.json(2)
  opened.socket.close()
  await opened.closed
  t.equal(await usedBy(id), Math.ceil(200 * 0.5 + 100 * 2))
  received.length = 0
  const short = await openSocket(daemon, `${live}?key=${token}`)
  send(short.socket, { setup: { model, generationConfig: { maxOutputTokens: 100 } } })
  await short.json(0)
  t.ok((await heldBy(id)) >= Math.ceil((1000 + 2500) * 3 + 100 * 12))
  short.socket.close()
})

t.test('answers that end without their counts stay held, and are charged at what they were given and what came of them', async t => {
  const { token, id } = await home.createToken(['--all', '--budget', `${(firstStep * 2.5) / 1e6}usd/d`])
  upstream.use(socket => {
    socket.on('message', () => {
      send(socket, { type: 'response.created', response: {} })
      send(socket, { type: 'response.output_text.delta', delta: 'a'.repeat(400) })
      send(socket, { type: 'response.done', response: { usage: null } })
    })
  })
  const opened = await openSocket(daemon, realtime, { token })
  for (let answer = 1; answer <= 3; answer++) {
    send(opened.socket, { type: 'response.create' })
    await opened.json(3 * answer - 1)
  }
  t.equal((await opened.closed).code, 1008, 'the third does not fit')
  t.strictSame(typesOf(opened).slice(6), ['error'])
  const [entry] = await entryOf(id)
  t.match(entry, { usageSource: 'estimated', errorCode: 'budget_exhausted' })
  t.ok((entry?.inputTokens ?? 0) >= 2000 && (entry?.outputTokens ?? 0) >= 200, JSON.stringify(entry))
  t.equal(await usedBy(id), entry?.costMicroDollars)
})

t.test('a limit on some models counts a connection by the model that it begins with, whichever message says it', async t => {
  const { token, id } = await home.createToken(['--all'])
  await home.json(['limit', 'set', id, '--model', 'gemini-2.5-*', '--budget', '0.05usd/d'])
  await home.json(['limit', 'set', id, '--model', 'gpt-4.1', '--budget', '5usd/d'])
  const limited = await openSocket(daemon, `${live}?key=${token}`)
  send(limited.socket, { setup: { model: 'models/gemini-2.5-flash-native-audio-preview-09-2025' } })
  t.match(await limited.closed, { code: 1008, reason: /^budget_exhausted/ })
  const opened = await openSocket(daemon, responses, { token })
  send(opened.socket, { type: 'response.create', model: 'gpt-4.1-mini', input: 'hi', max_output_tokens: 16 })
  send(opened.socket, { type: 'response.create', model: 'gpt-4.1', input: 'hi', max_output_tokens: 16 })
  t.match(await opened.json(0), { type: 'error', error: { code: 'model_not_allowed' } })
  opened.socket.close()
})

t.test('a budget of model tokens bounds sessions as well', async t => {
  const { token, id } = await home.createToken(['--all', '--budget', '10000tokens/d'])
  upstream.use(answering(counts(1500, 500)))
  const opened = await openSocket(daemon, realtime, { token })
  t.ok((await shown(id)).held >= 2600 + 4096)
  for (let answer = 0; answer < 2; answer++) send(opened.socket, { type: 'response.create' })
  t.match(await opened.closed, { code: 1008, reason: /^budget_exhausted/ })
  const { used } = await shown(id)
  t.ok(used > 0 && used <= 10_000, `${used}`)
  const speech = await openSocket(daemon, sound, { token })
  t.pass('what is billed by the second takes none')
  speech.socket.close()
})

t.test('text that is spoken is held before it is sent on', async t => {
  const { token, id } = await home.createToken(['--all', '--budget', '0.05usd/d'])
  const received: string[] = []
  upstream.use(socket => socket.on('message', data => received.push(JSON.parse(data.toString()).text)))
  const opened = await openSocket(daemon, '/deepgram/v1/speak?model=aura-2-thalia-en', { token })
  t.ok((await heldBy(id)) >= 30_000)
  send(opened.socket, { type: 'Speak', text: 'a'.repeat(500) })
  send(opened.socket, { type: 'Speak', text: 'b'.repeat(600) })
  t.equal((await opened.closed).code, 1008)
  t.strictSame(received, ['a'.repeat(500)])
  t.equal(await usedBy(id), 500 * 30)
})

t.test('what has no price is refused at the upgrade, unless the grant says what to assume, which is charged', async t => {
  const { token } = await home.createToken(['--all', '--budget', '1usd/d'])
  for (const path of [
    '/openai/v1/realtime?model=nobody-knows',
    '/deepgram/v1/agent/converse',
    '/elevenlabs/v1/speech-to-text/realtime?model_id=scribe_v2_realtime',
  ])
    t.equal((await refusedSocket(daemon, path, { token })).body.error?.code ?? 'cost_unbounded', 'cost_unbounded', path)
  const assumed = await home.createToken(['--all', '--budget', '1usd/d', '--max-cost-per-call', '0.25'])
  const opened = await openSocket(daemon, '/openai/v1/realtime?model=nobody-knows', { token: assumed.token })
  t.ok((await heldBy(assumed.id)) >= 250_000)
  opened.socket.close()
  await opened.closed
  t.equal(await usedBy(assumed.id), 250_000)
})

t.test('after a kill what was held for open connections counts as used', async t => {
  const { token, id } = await home.createToken(['--all', '--budget', `${(firstStep * 1.5) / 1e6}usd/d`])
  const opened = await openSocket(daemon, realtime, { token })
  await daemon.kill()
  await opened.closed
  daemon = await home.serve()
  t.equal((await refusedSocket(daemon, realtime, { token })).body.error.code, 'budget_exhausted')
  const { used, lost } = await shown(id)
  t.ok(micro(used) >= firstStep && micro(used) <= firstStep * 1.5, `${used}`)
  t.equal(lost, used)
})
