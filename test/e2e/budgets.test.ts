import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import Anthropic from '@anthropic-ai/sdk'
import { GoogleGenAI } from '@google/genai'
import OpenAI from 'openai'
import t from 'tap'
import { SoakpError } from '../../src/errors.js'
import { findDialect } from '../../src/providers/index.js'
import type { Dialect } from '../../src/providers/provider.js'
import { finalEvent } from '../../src/relay/spending/watch.js'
import { call, chat } from '../support/clients.js'
import type { Home } from '../support/daemon.js'
import { chunk, json, lastChunk, openaiChat, openaiEvent, sseHead } from '../support/scripts.js'
import { makeStage } from '../support/stage.js'
import { deferred } from '../support/until.js'
import type { Script } from '../support/upstream.js'

interface Counted {
  readonly limit: string
  readonly used: number
  readonly held: number
  readonly lost: number
}

const shown = async (home: Home, id: string) => ((await home.json(['limit', 'show', id])) as Counted[])[0] as Counted
/** As exact as dollars are written. */
const micro = (dollars: number) => Math.round(dollars * 1e6)

const ask = (maxTokens: number | undefined, more: Record<string, unknown> = {}) =>
  JSON.stringify({
    model: 'gpt-4o-mini',
    messages: [{ role: 'user', content: 'hi' }],
    ...(maxTokens && { max_tokens: maxTokens }),
    ...more,
  })

t.test('a budget is charged what the ledger says that calls cost, and what was held beyond that is free again', async t => {
  const { daemon, home, grant } = await makeStage(t)
  const { token, id } = await grant('--all', '--budget', '1usd/month')
  for (let at = 0; at < 5; at++) t.equal((await chat(daemon, token, { body: ask(1000) })).status, 200)
  const costs = (await home.entries()).map(entry => entry.costMicroDollars ?? 0)
  t.ok(costs.every(cost => cost > 0))
  t.match(await shown(home, id), { limit: '1.00usd/month', lost: 0 })
  t.equal(
    micro((await shown(home, id)).used),
    costs.reduce((a, b) => a + b, 0),
  )
})

t.test('a call whose worst cost does not fit is refused before it leaves, and one that asks for less may go', async t => {
  const { daemon, grant, upstream } = await makeStage(t)
  const { token } = await grant('--all', '--budget', '0.01usd/d')
  const refused = await chat(daemon, token, { body: ask(100_000) })
  t.equal(refused.status, 429)
  t.equal(refused.headers['x-should-retry'], 'false')
  t.match(refused.json().error, {
    code: 'budget_exhausted',
    message: /has 0\.01usd\/day; this call alone could take 0\.06\d* usd.*ask for less output/,
  })
  t.equal(upstream.requests.length, 0)
  t.equal((await chat(daemon, token, { body: ask(1000) })).status, 200)
})

t.test('what makes a call dearer than it looks is held for it, and counts towards a limit on output', async t => {
  const { daemon, grant, upstream } = await makeStage(t)
  // 10 000 tokens of output are 0.006 usd, and something for the input
  const { token } = await grant('--all', '--budget', '0.0075usd/d')
  const served = (tier: string) => chat(daemon, token, { body: ask(10_000, { service_tier: tier }) })
  t.match((await served('priority')).json().error, { code: 'budget_exhausted', message: /could take 0\.010/ }, 'served first, for more')
  const many = { path: '/openai/v1/completions', token }
  const prompts = (prompt: unknown, more: object = {}) => JSON.stringify({ model: 'gpt-4o-mini', max_tokens: 1000, prompt, ...more })
  const ten = Array.from({ length: 10 }, () => 'a')
  for (const body of [prompts([...ten, ...ten]), prompts(ten, { n: 2 }), prompts([...ten, ...ten].map(() => [1, 2]))])
    t.match(
      (await call(daemon, { ...many, body })).json().error,
      { code: 'budget_exhausted', message: /could take 0\.012/ },
      'each prompt is answered',
    )
  const short = (await grant('--all', '--max-output', '5000')).token
  t.match((await call(daemon, { ...many, token: short, body: prompts(ten) })).json().error, { code: 'output_too_large' })
  t.equal(upstream.requests.length, 0)
  t.equal((await call(daemon, { ...many, token: short, body: prompts([1, 2, 3, 4, 5, 6]) })).status, 200, 'numbers are one prompt')
  t.equal((await served('default')).status, 200)
})

t.test('what nothing bounds is refused under a budget, unless the grant says what to assume', async t => {
  const { daemon, grant, upstream } = await makeStage(t)
  const { token } = await grant('--all', '--budget', '1usd/d')
  const unbounded = [
    { max_tokens: 10, model: 'nobody-knows-this' },
    { max_tokens: 10, tools: [{ type: 'web_search_preview' }] },
    { max_tokens: 10, messages: [{ role: 'user', content: [{ type: 'input_audio', input_audio: { data: '', format: 'wav' } }] }] },
    { max_tokens: 10, n: 'many' },
    { max_tokens: 10, service_tier: 'a-tier-of-tomorrow' },
  ]
  for (const more of unbounded) {
    const answer = await chat(daemon, token, { body: ask(undefined, more) })
    t.match(answer.json().error, { code: 'cost_unbounded' }, JSON.stringify(more))
  }
  const hidden = ask(10, { x: 1 }).replace('"x":1', '"previous_respons\\u0065_id":"resp_1"')
  t.match(
    (await chat(daemon, token, { body: hidden })).json().error,
    { code: 'cost_unbounded' },
    'a name written otherwise is the same name',
  )
  const twice = ask(10, { x: 1 }).replace('"x":1', '"tools":[{"type":"\\u0077eb_search_preview"}],"tools":[]')
  t.match((await chat(daemon, token, { body: twice })).json().error, { code: 'cost_unbounded' }, 'and so is one of two members of one name')
  upstream.use(json({ ...openaiChat, model: 'nobody-knows-this' }))
  const assuming = await grant('--all', '--budget', '1usd/d', '--max-cost-per-call', '0.30')
  const statuses = []
  for (let at = 0; at < 5; at++)
    statuses.push((await chat(daemon, assuming.token, { body: ask(10, { model: 'nobody-knows-this' }) })).status)
  t.same(statuses, [200, 200, 200, 429, 429], 'each is charged what was assumed')
})

t.test('a budget of model tokens counts input and output together', async t => {
  const { daemon, home, grant } = await makeStage(t)
  const { token, id } = await grant('--all', '--budget', '3000tokens/d')
  t.equal((await chat(daemon, token, { body: ask(500) })).status, 200)
  const [entry] = await home.entries()
  t.equal((await shown(home, id)).used, (entry?.inputTokens ?? 0) + (entry?.outputTokens ?? 0))
  t.match((await chat(daemon, token, { body: ask(5000) })).json().error, { code: 'budget_exhausted' })
})

t.test('with --clamp a larger wish is cut down, and one that is not said is said', async t => {
  const { daemon, grant, upstream } = await makeStage(t)
  const { token } = await grant('--all', '--max-output', '100', '--clamp', '--budget', '1usd/d')
  for (const body of [ask(5000), ask(50), ask(undefined), ask(90, { n: 4 })]) t.equal((await chat(daemon, token, { body })).status, 200)
  const sent = await Promise.all(upstream.requests.map(async request => JSON.parse((await request.done).toString())))
  t.match(sent, [{ max_tokens: 100 }, { max_tokens: 50 }, { max_completion_tokens: 100 }, { max_tokens: 25, n: 4 }])
})

t.test('of parallel calls only as many leave as the budget holds at their worst', async t => {
  const release = deferred()
  const { daemon, home, grant, upstream } = await makeStage(t, {
    script: async exchange => {
      await release.promise
      await json(openaiChat)(exchange)
    },
  })
  // each can take 600 micro-dollars of output and some of input
  const { token, id } = await grant('--all', '--budget', '0.004usd/d')
  const calls = Array.from({ length: 30 }, () => chat(daemon, token, { body: ask(1000) }))
  const refused = await Promise.race([
    Promise.all(calls.map(async call => (await call).status)),
    new Promise(resolve => setTimeout(resolve, 3000)),
  ])
  t.equal(refused, undefined, 'some wait for the provider')
  release.resolve()
  const statuses = (await Promise.all(calls)).map(answer => answer.status)
  const ok = statuses.filter(status => status === 200).length
  t.ok(ok >= 3 && ok <= 6, `${ok} left`)
  t.equal(statuses.filter(status => status === 429).length, 30 - ok)
  t.equal(upstream.requests.length, ok)
  t.ok((await shown(home, id)).used <= 0.004)
})

const long = 'word '.repeat(1200)

t.test('a stream that passes its budget is cut with an error that the official SDK raises, or goes on where the grant lets it', async t => {
  const { daemon, home, grant, upstream } = await makeStage(t)
  const endless: Script = async exchange => {
    await exchange.body()
    await exchange.send(Buffer.from(sseHead))
    for (let sent = 0; sent < 200 && !exchange.socket.destroyed; sent++) await exchange.send(chunk(openaiEvent(long)))
    await exchange.send(lastChunk)
  }
  upstream.use(endless)
  // the price is known only when the reply says which model answers
  const body = ask(undefined, { stream: true, model: 'some-alias' })
  const options = ['--all', '--budget', '0.01usd/d', '--max-cost-per-call', '0.001']
  const cut = await grant(...options)
  const answer = await chat(daemon, cut.token, { body })
  t.ok(answer.complete)
  t.match(answer.text(), /event: error\ndata: \{"error":\{.*"code":"budget_exhausted"/)
  const client = new OpenAI({ apiKey: 'x', maxRetries: 0, fetch: replay(answer.body) })
  await t.rejects(read(client.chat.completions.create({ model: 'm', messages: [], stream: true })), { code: 'budget_exhausted' })
  t.match((await home.entries()).at(-1), { outcome: 'cut', errorCode: 'budget_exhausted' })
  t.ok((await shown(home, cut.id)).used <= 0.0115, 'by no more than came between two looks')

  const lets = await grant(...options, '--let-finish')
  upstream.use(async exchange => {
    await exchange.body()
    const events = Array.from({ length: 30 }, () => chunk(openaiEvent(long)))
    await exchange.send(Buffer.concat([Buffer.from(sseHead), ...events, chunk('data: [DONE]\n\n'), Buffer.from(lastChunk)]))
  })
  t.match((await chat(daemon, lets.token, { body })).text(), /\[DONE\]/)
  t.match((await home.entries()).at(-1), { outcome: 'ok', errorCode: 'budget_overrun' })
})

t.test('a stream that runs while its budget is lowered is cut where the new one ends', async t => {
  const { daemon, home, grant, upstream } = await makeStage(t)
  const { token, id } = await grant('--all', '--budget', '5usd/d', '--max-cost-per-call', '0.001')
  const [begun, lowered] = [deferred(), deferred()]
  upstream.use(async exchange => {
    await exchange.body()
    await exchange.send(Buffer.from(sseHead))
    for (let sent = 0; sent < 10; sent++) await exchange.send(chunk(openaiEvent(long)))
    begun.resolve()
    await lowered.promise
    for (let sent = 0; sent < 200 && !exchange.socket.destroyed; sent++) await exchange.send(chunk(openaiEvent(long)))
    await exchange.send(lastChunk)
  })
  const reply = chat(daemon, token, { body: ask(undefined, { stream: true, model: 'some-alias' }) })
  await begun.promise
  t.match(await home.run(['token', 'set', id, '--budget', '0.02usd/d']), { code: 0 })
  lowered.resolve()
  t.match((await reply).text(), /is cut here: .* has 0\.02usd\/day: .*opens again at .*"code":"budget_exhausted"/)
  t.match((await home.entries()).at(-1), { outcome: 'cut', errorCode: 'budget_exhausted' })
  t.ok((await shown(home, id)).used <= 0.0215, 'by no more than came between two looks')
})

t.test("the last event of a stream that is cut is an error to each dialect's official SDK", async t => {
  const error = new SoakpError('budget_exhausted', 'The stream is cut here.')
  const last = (name: string) => Buffer.from(finalEvent('text/event-stream', findDialect(name) as Dialect, error, 'call_1') ?? '')
  const claude = new Anthropic({ apiKey: 'x', maxRetries: 0, fetch: replay(last('anthropic')) })
  await t.rejects(read(claude.messages.create({ model: 'm', max_tokens: 1, messages: [], stream: true })), { message: /cut here/ })
  const client = new OpenAI({ apiKey: 'x', maxRetries: 0, fetch: replay(last('openai')) })
  await t.rejects(read(client.responses.create({ model: 'm', input: '', stream: true })), { message: /cut here/ })

  const server = createServer((_, response) => {
    response.writeHead(200, { 'content-type': 'text/event-stream' })
    response.write(`data: ${JSON.stringify({ candidates: [{ content: { parts: [{ text: 'a' }] } }] })}\n\n`)
    setTimeout(() => response.end(last('gemini')), 200)
  }).listen(0, '127.0.0.1')
  t.teardown(() => server.close())
  await once(server, 'listening')
  const baseUrl = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  const gemini = new GoogleGenAI({ apiKey: 'x', httpOptions: { baseUrl } })
  await t.rejects(read(gemini.models.generateContentStream({ model: 'm', contents: 'hi' })), { name: 'ApiError', status: 429 })
})

async function read(stream: PromiseLike<AsyncIterable<unknown>>): Promise<void> {
  for await (const _ of await stream);
}

function replay(body: Buffer): typeof fetch {
  return async () => new Response(new Uint8Array(body), { status: 200, headers: { 'content-type': 'text/event-stream' } })
}
