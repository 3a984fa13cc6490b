import t from 'tap'
import { call } from '../support/clients.js'
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
