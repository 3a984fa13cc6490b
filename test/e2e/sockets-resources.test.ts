import t from 'tap'
import type { WebSocket } from 'ws'
import { makeHome } from '../support/daemon.js'
import { withStore } from '../support/home-store.js'
import { freshKey } from '../support/stage.js'
import { openSocket, refusedSocket, type TestSocket } from '../support/ws-client.js'
import { startSocketUpstream } from '../support/ws-upstream.js'

// What belongs to whoever made it, where a WebSocket's messages name it.

const upstream = await startSocketUpstream(t)
const home = await makeHome(t)
const keys: Record<string, string> = {}
for (const provider of ['openai', 'gemini', 'elevenlabs'])
  keys[provider] = (await home.addKey(provider, { secret: freshKey(provider), baseUrl: upstream.url })).id
const mine = await home.createToken(['--all'])
const others = await home.createToken(['--all'])
const all = await home.createToken(['--all', '--endpoints', 'inference', 'all-resources'])
const daemon = await home.serve()

const responses = '/openai/v1/responses'
const live = '/gemini/ws/google.ai.generativelanguage.v1beta.GenerativeService.BidiGenerateContent'
const send = (socket: Pick<WebSocket, 'send'>, value: unknown) => socket.send(JSON.stringify(value))

/** What came to the provider, in order. */
let received: Record<string, unknown>[] = []
let made = 0

t.beforeEach(() => {
  received = []
  upstream.use(socket => {
    socket.on('message', data => {
      const message = JSON.parse(data.toString())
      received.push(message)
      const response = { id: `resp_${++made}`, model: 'gpt-5', store: message.store !== false }
      send(socket, { type: 'response.created', response })
      send(socket, { type: 'response.output_item.added', item: { type: 'reasoning', id: `rs_${made}` } })
      send(socket, { type: 'response.completed', response: { ...response, usage: { input_tokens: 1, output_tokens: 1 } } })
    })
  })
})

const ask = (opened: TestSocket, more: Record<string, unknown>) =>
  send(opened.socket, { type: 'response.create', model: 'gpt-5', input: 'hi', ...more })

/** Asks on a socket that was opened for it, and tells the type of each message that came back, and the error's code. */
async function answers(
  token: string,
  more: Record<string, unknown>,
): Promise<{ readonly types: unknown[]; readonly code: unknown; readonly id: unknown }> {
  const opened = await openSocket(daemon, responses, { token })
  ask(opened, more)
  const first = await opened.json(0)
  if (first?.type !== 'error') await opened.json(2)
  opened.socket.close()
  await opened.closed
  return { types: opened.messages.map(({ data }) => JSON.parse(data.toString()).type), code: first?.error?.code, id: first?.response?.id }
}

const done = ['response.created', 'response.output_item.added', 'response.completed']

t.test('a stored reply can be gone on from by whoever it was given to, on any connection, and by nobody else', async t => {
  const { types, id } = await answers(mine.token, {})
  t.strictSame(types, done)
  t.match(await answers(others.token, { previous_response_id: id }), { types: ['error'], code: 'resource_not_found' })
  t.match(await answers(others.token, { response: { previous_response_id: id } }), { code: 'resource_not_found' })
  t.equal(received.length, 1, 'the provider heard of neither')
  t.strictSame((await answers(mine.token, { previous_response_id: id })).types, done)
  t.strictSame((await answers(all.token, { previous_response_id: id })).types, done)
})

t.test('a message that names a thing of others does not go on, and the connection does', async t => {
  const opened = await openSocket(daemon, responses, { token: mine.token })
  const foreign: Record<string, unknown>[] = [
    { previous_response_id: 'resp_of_others' },
    { conversation: 'conv_of_others' },
    { conversation: { id: 'conv_of_others' } },
    { input: [{ type: 'reasoning', id: 'rs_of_others' }] },
    { input: [{ role: 'user', content: [{ type: 'input_file', file_id: 'file-of-others' }] }] },
    { tools: [{ type: 'file_search', vector_store_ids: ['vs_of_others'] }] },
    { tools: [{ type: 'code_interpreter', container: 'cntr_of_others' }] },
    { previous_response_id: ['resp_of_others'] },
  ]
  for (const [at, more] of foreign.entries()) {
    ask(opened, more)
    t.match(await opened.json(at), { type: 'error', error: { code: /^resource_not_found|invalid_body$/ } }, JSON.stringify(more))
  }
  const hidden = '{"type":"response.create","model":"gpt-5","previous_respons\\u0065_id":"resp_of_others"}'
  opened.socket.send(hidden)
  t.match(await opened.json(foreign.length), { error: { code: 'resource_not_found' } }, hidden)
  t.equal(received.length, 0)
  ask(opened, { input: [{ type: 'message', id: 'msg_1', role: 'user', content: 'hi' }] })
  t.equal((await opened.json(foreign.length + 1)).type, 'response.created')
  opened.socket.close()
})

t.test('what is not stored can be named on its own connection alone, and is not written down', async t => {
  const opened = await openSocket(daemon, responses, { token: mine.token })
  ask(opened, { store: false })
  const { id } = (await opened.json(0)).response
  await opened.json(2)
  ask(opened, { store: false, previous_response_id: id })
  t.equal((await opened.json(5)).type, 'response.completed')
  t.match(await answers(mine.token, { previous_response_id: id }), { code: 'resource_not_found' })
  opened.socket.close()
  t.strictSame(await withStore(home.dir, store => store.findOwned({ tenant: 'default', provider: 'openai', kind: 'response', id })), [])
})

t.test('an id is written down before the client is told it', async t => {
  const opened = await openSocket(daemon, responses, { token: mine.token })
  ask(opened, {})
  const { id } = (await opened.json(0)).response
  const found = await withStore(home.dir, store => store.findOwned({ tenant: 'default', provider: 'openai', kind: 'response', id }))
  t.match(found, [{ grantId: mine.id, keyId: keys.openai }])
  opened.socket.close()
})

t.test('a Live session is gone on with by whom it was begun, and files and caches are their makers’', async t => {
  const model = 'models/gemini-2.5-flash-live'
  upstream.use(socket => {
    socket.on('message', data => {
      received.push(JSON.parse(data.toString()))
      if (received.length > 1) return
      send(socket, { setupComplete: {} })
      send(socket, { sessionResumptionUpdate: { newHandle: 'handle-1', resumable: true } })
    })
  })
  const begun = await openSocket(daemon, `${live}?key=${mine.token}`)
  send(begun.socket, { setup: { model, sessionResumption: {} } })
  await begun.json(1)
  for (const setup of [
    { model, sessionResumption: { handle: 'handle-1' } },
    { model, cachedContent: 'cachedContents/of-others' },
  ]) {
    const other = await openSocket(daemon, `${live}?key=${others.token}`)
    send(other.socket, { setup })
    t.match(await other.closed, { code: 1008, reason: /^resource_not_found/ }, JSON.stringify(setup))
  }
  t.equal(received.length, 1)
  const again = await openSocket(daemon, `${live}?key=${mine.token}`)
  received = []
  send(again.socket, { setup: { model, sessionResumption: { handle: 'handle-1' } } })
  await again.json(1)
  send(again.socket, { clientContent: { turns: [{ parts: [{ fileData: { fileUri: 'files/of-others' } }] }] } })
  t.match(await again.closed, { code: 1008 })
  t.equal(received.length, 1)
  begun.socket.close()
})

t.test('a voice that another grant made, and a call that is on already, are not there', async t => {
  const voice = {
    tenant: 'default',
    provider: 'elevenlabs',
    kind: 'voice',
    id: 'voiceOfOthers',
    keyId: keys.elevenlabs ?? '',
    grantId: others.id,
    createdAtMs: Date.now(),
    endsAtMs: null,
    facts: null,
  }
  await withStore(home.dir, store => store.keepOwned([voice]))
  const path = (id: string) => `/elevenlabs/v1/text-to-speech/${id}/stream-input?model_id=eleven_flash_v2_5`
  t.equal((await refusedSocket(daemon, path('voiceOfOthers'), { token: mine.token })).status, 404)
  for (const [id, token] of [
    ['voiceOfOthers', others.token],
    ['21m00Tcm4TlvDq8ikWAM', mine.token],
  ] as const) {
    const { socket } = await openSocket(daemon, path(id), { token })
    socket.close()
  }
  t.equal((await refusedSocket(daemon, '/openai/v1/realtime?call_id=rtc_1', { token: mine.token })).status, 404)
  const { socket } = await openSocket(daemon, '/openai/v1/realtime?call_id=rtc_1', { token: all.token })
  socket.close()
})
