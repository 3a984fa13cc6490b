import t from 'tap'
import { call, callHttp2, http2 } from '../support/clients.js'
import { makeStage } from '../support/stage.js'
import { until } from '../support/until.js'

const body = JSON.stringify({ model: 'gpt-4o-mini', messages: [{ role: 'user', content: 'hi' }] })
const reply = (model: string) => {
  const usage = { prompt_tokens: 1000, completion_tokens: 100, total_tokens: 1100 }
  const text = JSON.stringify({ object: 'chat.completion', model, choices: [], usage })
  return `HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: ${text.length}\r\n\r\n${text}`
}

t.test('a running daemon charges by the price that the operator set, from the next call on, and reports say so at once', async t => {
  const { daemon, home, token, upstream } = await makeStage(t)
  upstream.use(({ send }) => send(reply('gpt-4o-mini-2024-07-18')))
  const ask = async () => {
    const { headers, status } = await call(daemon, { path: '/openai/v1/chat/completions', token, body })
    t.equal(status, 200)
    return headers['x-request-id'] as string
  }
  const first = await ask()
  // 1000 × 0.15 + 100 × 0.60
  t.match(await home.json(['usage', 'show', first]), [{ costUsd: 0.00021, price: /^genai-prices/ }])
  await home.json(['price', 'set', 'openai', 'gpt-4o-mini', '--input', '1', '--output', '2'])
  const second = await ask()
  t.match(await home.json(['usage', 'show', second]), [{ costUsd: 0.0012, price: /^own\/openai\/gpt-4o-mini@/ }])
  await home.json(['price', 'remove', 'openai', 'gpt-4o-mini'])
  t.match(await home.json(['usage', 'show', await ask()]), [{ costUsd: 0.00021 }])
  t.match(await home.json(['usage', 'show', first]), [{ costUsd: 0.00021 }], 'what was charged stays')
  const report = () => home.json(['usage', '--by', 'day,model'])
  t.match(await report(), [{ model: 'gpt-4o-mini', calls: 3, inputTokens: 3000, costUsd: 0.00162, unpricedCalls: 0 }])
  upstream.use(({ send }) => send(reply('gpt-99')))
  const unknown = JSON.stringify({ model: 'gpt-99', messages: [] })
  t.equal((await call(daemon, { path: '/openai/v1/chat/completions', token, body: unknown })).status, 200)
  t.match(await home.json(['price', 'list', '--unpriced']), [{ provider: 'openai', model: 'gpt-99', unpricedCalls: 1 }])
  await until(
    async () => ((await home.json(['usage', '--by', 'provider'])) as { calls: number }[])[0]?.calls === 4,
    'all calls to be counted once',
  )
})

t.test(
  'a reply says what it cost where that is known in time: in its head if it came in one piece, else to whoever reads trailers',
  async t => {
    const { daemon, token, upstream, home } = await makeStage(t)
    const json = 'HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n'
    const usage = { prompt_tokens: 1000, completion_tokens: 100, total_tokens: 1100 }
    const document = (model: string) => JSON.stringify({ object: 'chat.completion', model, choices: [], usage })
    const chunked = (text: string) => `${json}transfer-encoding: chunked\r\n\r\n${text.length.toString(16)}\r\n${text}\r\n0\r\n\r\n`
    const events = `data: {"choices":[{"delta":{"content":"hi"}}]}\n\ndata: ${document('gpt-4o-mini')}\n\ndata: [DONE]\n\n`
    const ask = (model = 'gpt-4o-mini', headers = {}) =>
      call(daemon, { path: '/openai/v1/chat/completions', token, body: JSON.stringify({ model, messages: [] }), headers })
    const cost = '0.00021'
    const trailers = { te: 'gzip;q=0.5, Trailers' }

    upstream.use(({ send }) => send(reply('gpt-4o-mini')))
    const stated = await ask()
    t.match(stated.headers, { 'x-soakp-cost-usd': cost })
    t.match(await home.json(['usage', 'show', String(stated.headers['x-request-id'])]), [{ costUsd: Number(cost) }])
    t.match((await ask('gpt-4o-mini', trailers)).headers, { 'x-soakp-cost-usd': cost, trailer: undefined }, 'it needs no trailer')

    upstream.use(({ send }) => send(chunked(document('gpt-4o-mini'))))
    const whole = await ask()
    t.match(whole.headers, { 'x-soakp-cost-usd': cost, 'transfer-encoding': 'chunked' })
    t.equal(whole.text(), document('gpt-4o-mini'))

    upstream.use(({ send }) => send(reply('gpt-99')))
    t.notOk('x-soakp-cost-usd' in (await ask('gpt-99')).headers, 'nobody knows what that costs')
    upstream.use(({ send }) => send(`${json}content-length: 2\r\n\r\n{}`))
    t.notOk('x-soakp-cost-usd' in (await ask()).headers, 'an estimate is not stated')

    const length = Buffer.byteLength(events)
    upstream.use(async ({ send }) => {
      await send(`HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n`)
      await send(`${length.toString(16)}\r\n${events}\r\n0\r\n\r\n`)
    })
    const stream = await ask('gpt-4o-mini', trailers)
    t.match(stream.headers, { trailer: 'x-soakp-cost-usd' })
    t.match([stream.trailers, stream.text()], [{ 'x-soakp-cost-usd': cost }, events])
    const plain = await ask()
    t.match(
      [plain.headers.trailer, Object.keys(plain.trailers), plain.text()],
      [undefined, [], events],
      'who does not ask for one gets none',
    )

    const session = await http2(daemon)
    t.teardown(() => session.destroy())
    const body2 = JSON.stringify({ model: 'gpt-4o-mini', messages: [] })
    const second = await callHttp2(session, { path: '/openai/v1/chat/completions', token, body: body2, headers: { te: 'trailers' } })
    t.match([second.trailers, second.text(), second.complete], [{ 'x-soakp-cost-usd': cost }, events, true])
  },
)
