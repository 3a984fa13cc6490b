import t from 'tap'
import { type Ask, call, open } from '../support/clients.js'
import { withStore } from '../support/home-store.js'
import { whole } from '../support/scripts.js'
import { makeStage } from '../support/stage.js'
import { until } from '../support/until.js'

// A reply that is stored says what it used whenever it is read; one that is put off (`background`) only once it has ended.

const usage = { input_tokens: 100, output_tokens: 2000, total_tokens: 2100 }
// 100 × 2.50 + 2000 × 10 a million
const cost = 20_250
const reply = (id: string, status: string) =>
  JSON.stringify({ id, object: 'response', status, model: 'gpt-4o-2024-08-06', output: [], usage: status === 'completed' ? usage : null })
const ask = (token: string, more: object = {}): Ask => ({
  path: '/openai/v1/responses',
  token,
  body: JSON.stringify({ model: 'gpt-4o', input: 'hi', max_output_tokens: 3000, ...more }),
})

t.test('a reply is charged once, however often it is read, and one that is put off when it has ended, whoever waits for it', async t => {
  const stage = await makeStage(t)
  const { daemon, home, upstream } = stage
  const states = new Map<string, string>()
  upstream.use(async ({ request, body, send }) => {
    const [, id] = /\/responses\/(\w+)/.exec(request.target) ?? []
    if (id !== undefined) return send(whole(200, 'application/json', reply(id, states.get(id) ?? 'completed')))
    const { background, metadata, stream } = JSON.parse(String(await body())) as {
      background?: boolean
      metadata: { id: string }
      stream?: boolean
    }
    if (stream) {
      const event = `data: {"type":"response.created","response":${reply(metadata.id, 'queued')}}\n\n`
      return send(`HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n${event}`)
    }
    await send(whole(200, 'application/json', reply(metadata.id, background ? 'queued' : 'completed')))
  })
  const grant = (...args: string[]) => stage.grant('--all', '--endpoints', 'inference', 'account', ...args)
  const make = (token: string, id: string, more: object = {}) => call(daemon, ask(token, { background: true, metadata: { id }, ...more }))
  const read = (token: string, id: string) => call(daemon, { path: `/openai/v1/responses/${id}`, token })
  const charged = async (grantId: string) =>
    (await home.entries())
      .filter(entry => entry.grantId === grantId)
      .reduce((sum, { costMicroDollars }) => sum + (costMicroDollars ?? 0), 0)
  const standing = async (id: string) => {
    const [{ used = 0, held = 0 } = {}] = await home.json<{ used: number; held: number }[]>(['limit', 'show', id])
    return { used: Math.round(used * 1e6), held: Math.round(held * 1e6) }
  }
  const underWay = () => withStore(home.dir, async store => (await store.listBatches({ open: true })).map(({ id }) => id))
  const settled = async (id: string) => {
    await until(async () => {
      // each time: what was asked for just before is not due for a while
      await withStore(home.dir, store => store.hurryBatches(Date.now()))
      return !(await underWay()).includes(id)
    }, 'it to be settled')
  }

  const first = await grant('--budget', '1usd/d')
  t.equal((await make(first.token, 'resp_now', { background: false })).status, 200)
  for (let times = 0; times < 2; times++) t.match((await read(first.token, 'resp_now')).json(), { usage })
  t.equal(await charged(first.id), cost, 'read three times, paid once')
  t.equal((await standing(first.id)).used, cost)

  states.set('resp_later', 'in_progress')
  t.equal((await make(first.token, 'resp_later')).status, 200)
  t.match((await read(first.token, 'resp_later')).json(), { status: 'in_progress' })
  const { used, held } = await standing(first.id)
  t.equal(used, cost)
  t.ok(held >= 30_000, 'at most 3000 at 10 a million are held while it goes on')
  states.set('resp_later', 'completed')
  t.match((await read(first.token, 'resp_later')).json(), { usage })
  await settled('resp_later')
  t.same([await charged(first.id), await standing(first.id)], [2 * cost, { used: 2 * cost, held: 0 }])

  const free = await grant()
  await make(free.token, 'resp_free')
  await settled('resp_free')
  t.equal(await charged(free.id), cost, 'without a budget it is in the accounts all the same')

  states.set('resp_bad', 'failed')
  await make(free.token, 'resp_bad')
  // it was queued when it was made
  await settled('resp_bad')
  t.equal(await charged(free.id), cost, 'what failed is not billed')

  const gone = await grant('--budget', '1usd/d')
  const stream = await open(daemon, ask(gone.token, { background: true, stream: true, metadata: { id: 'resp_stream' } }))
  stream.once('data', () => stream.destroy())
  await until(async () => (await standing(gone.id)).used > 0, 'it to be charged')
  t.ok((await standing(gone.id)).used >= 30_000, 'who leaves what goes on by itself is charged all that was held')
})

t.test(
  'an interaction that is put off is charged once it has ended, and what a stored answer or a cache took is not charged again',
  async t => {
    const stage = await makeStage(t, { providers: ['gemini', 'assemblyai'] })
    const { daemon, home, upstream } = stage
    const interaction = (status: string, more: object = {}) => JSON.stringify({ id: 'inter_1', status, model: 'gemini-2.5-flash', ...more })
    const counts = { total_input_tokens: 100, total_output_tokens: 40, total_thought_tokens: 10, total_tokens: 150 }
    const lemur = JSON.stringify({ request_id: 'answer_1', response: 'yes', usage: { input_tokens: 1000, output_tokens: 100 } })
    const cache = JSON.stringify({ name: 'cachedContents/c1', model: 'models/gemini-2.5-flash', usageMetadata: { totalTokenCount: 5000 } })
    let hasEnded = false
    upstream.use(async ({ request, body, send }) => {
      await body()
      if (request.target.includes('/lemur/')) return send(whole(200, 'application/json', lemur))
      if (request.target.includes('/cachedContents')) return send(whole(200, 'application/json', cache))
      const ended = request.method === 'GET' && hasEnded
      await send(whole(200, 'application/json', ended ? interaction('completed', { usage: counts }) : interaction('in_progress')))
    })
    const { id, token } = await stage.grant('--all', '--endpoints', 'inference', 'account')
    const post = (path: string, body: object) => call(daemon, { path, token, body: JSON.stringify(body) })
    const read = async (path: string) => {
      const reply = await call(daemon, { path, token })
      t.equal(reply.status, 200, path)
      return reply.json()
    }
    const counted = async () => {
      const own = (await home.entries()).filter(({ grantId }) => grantId === id)
      return own.filter(({ inputTokens }) => inputTokens > 0).map(entry => [entry.provider, entry.inputTokens, entry.outputTokens])
    }

    await post('/gemini/v1beta/interactions', { model: 'gemini-2.5-flash', input: 'hi', background: true })
    t.match(await read('/gemini/v1beta/interactions/inter_1'), { status: 'in_progress' })
    hasEnded = true
    for (let times = 0; times < 2; times++) t.match(await read('/gemini/v1beta/interactions/inter_1'), { usage: counts })
    t.same(await counted(), [], 'whoever reads it is charged nothing')
    await until(async () => {
      await withStore(home.dir, store => store.hurryBatches(Date.now()))
      return (await counted()).length > 0
    }, 'it to be settled')
    t.same(await counted(), [['gemini', 100, 50]])
    t.ok((await home.entries()).some(({ method, costMicroDollars }) => method === 'BATCH' && (costMicroDollars ?? 0) > 0))

    await post('/assemblyai/lemur/v3/generate/task', { final_model: 'anthropic/claude-3-haiku', prompt: 'x', input_text: 'y' })
    await post('/gemini/v1beta/cachedContents', { model: 'models/gemini-2.5-flash', contents: [{ parts: [{ text: 'hi' }] }] })
    for (let times = 0; times < 2; times++) {
      await read('/assemblyai/lemur/v3/answer_1')
      await read('/gemini/v1beta/cachedContents/c1')
    }
    t.same((await counted()).slice(1), [
      ['assemblyai', 1000, 100],
      ['gemini', 5000, 0],
    ])
  },
)

t.test('what is asked for at fal’s queue is charged once, as its result states, however often that is read', async t => {
  const stage = await makeStage(t, { providers: ['fal'] })
  const { daemon, home, upstream } = stage
  const states = new Map([
    ['done', {}],
    ['failed', { error: 'out of memory', error_type: 'runner_error' }],
  ])
  const ended = new Set<string>()
  const asked: string[] = []
  upstream.use(async ({ request, body, send }) => {
    const text = String(await body())
    if (request.method === 'POST') {
      const id = (JSON.parse(text) as { prompt: string }).prompt
      return send(whole(200, 'application/json', JSON.stringify({ status: 'IN_QUEUE', request_id: id })))
    }
    asked.push(request.target)
    const [, id = '', isState] = /\/requests\/(\w+)(\/status)?$/.exec(request.target) ?? []
    if (!isState) return send(whole(200, 'application/json', '{"images":[]}', [['x-fal-billable-units', '3']]))
    const state = ended.has(id) ? { status: 'COMPLETED', ...states.get(id) } : { status: 'IN_PROGRESS' }
    await send(whole(ended.has(id) ? 200 : 202, 'application/json', JSON.stringify({ request_id: id, ...state })))
  })
  await home.run(['price', 'set', 'fal', 'fal-ai/*', '--credits', '0.02'])
  const { id, token } = await stage.grant(
    '--all',
    '--endpoints',
    'inference',
    'account',
    '--budget',
    '1usd/d',
    '--max-cost-per-call',
    '0.50',
  )
  const shown = async () => {
    const [{ used = 0, held = 0 } = {}] = await home.json<{ used: number; held: number }[]>(['limit', 'show', id])
    return { used, held }
  }
  const make = (name: string) => call(daemon, { path: '/fal/queue/fal-ai/flux/dev', token, body: JSON.stringify({ prompt: name }) })
  const read = (path: string) => call(daemon, { path: `/fal/queue/fal-ai/flux/requests/${path}`, token })
  const settled = (open: number) =>
    until(async () => {
      await withStore(home.dir, store => store.hurryBatches(Date.now()))
      return withStore(home.dir, async store => (await store.listBatches({ open: true })).length === open)
    }, 'it to be settled')

  t.match((await make('done')).json(), { request_id: 'done' })
  t.equal((await read('done/status')).status, 202)
  t.same(await shown(), { used: 0, held: 0.5 })
  ended.add('done')
  for (let times = 0; times < 2; times++) t.equal((await read('done')).headers['x-fal-billable-units'], '3')
  await settled(0)
  await read('done')
  t.same(await shown(), { used: 0.06, held: 0 }, 'three at two cents')
  ended.add('failed')
  await make('failed')
  await settled(0)
  t.same(await shown(), { used: 0.06, held: 0 }, 'what failed is not billed')
  t.ok(asked.every(path => path.includes('/fal-ai/flux/requests/')))
  t.match(
    (await home.entries()).filter(({ units }) => units > 0),
    [{ method: 'BATCH', model: 'fal-ai/flux/dev', units: 3, unit: 'credits', costMicroDollars: 60_000 }],
  )
})

t.test('a deferred completion of xAI is its maker’s, is counted when it is read, and is not made under a budget', async t => {
  const stage = await makeStage(t, { providers: ['xai'] })
  const { daemon, home, upstream } = stage
  const made: string[] = []
  const ready: string[] = []
  upstream.use(async ({ request, body, send }) => {
    const text = String(await body())
    if (request.method === 'POST') {
      made.push(text)
      return send(whole(200, 'application/json', JSON.stringify({ request_id: `req-${made.length}` })))
    }
    if (ready.length === 0) return send(whole(202, 'application/json', ''))
    if (ready.pop() === 'gone') return send(whole(404, 'application/json', '{"error":"not found"}'))
    const usage = { prompt_tokens: 100, completion_tokens: 50, total_tokens: 150 }
    await send(whole(200, 'application/json', JSON.stringify({ id: 'c', object: 'chat.completion', model: 'grok-4', choices: [], usage })))
  })
  const grant = (...args: string[]) => stage.grant('--all', '--endpoints', 'inference', 'account', ...args)
  const make = (token: string) => {
    const body = { model: 'grok-4', messages: [{ role: 'user', content: 'hi' }], max_tokens: 100, deferred: true }
    return call(daemon, { path: '/xai/v1/chat/completions', token, body: JSON.stringify(body) })
  }
  const read = async (token: string) => (await call(daemon, { path: '/xai/v1/chat/deferred-completion/req-1', token })).status
  const mine = await grant()
  t.match((await make(mine.token)).json(), { request_id: 'req-1' })
  t.equal(await read((await grant()).token), 404, 'another grant’s is nobody’s')
  t.equal(await read(mine.token), 202)
  ready.push('gone', 'there')
  t.same([await read(mine.token), await read(mine.token)], [200, 404])
  const counted = (await home.entries()).filter(({ usageSource }) => usageSource !== 'none')
  t.match(counted, [{ method: 'GET', grantId: mine.id, usageSource: 'provider', inputTokens: 100, outputTokens: 50 }])
  t.equal(counted.length, 1)
  const limited = await grant('--budget', '1usd/d', '--max-cost-per-call', '0.50')
  t.match((await make(limited.token)).json(), { error: { code: 'cost_unbounded' } })
  t.equal(made.length, 1, 'it did not leave')
})
