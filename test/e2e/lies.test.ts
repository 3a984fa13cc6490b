import t from 'tap'
import { call, chat } from '../support/clients.js'
import { whole } from '../support/scripts.js'
import { freshKey, makeStage } from '../support/stage.js'
import { startUpstream } from '../support/upstream.js'

// Who answers may be anybody: a customer's own server at the base URL of their own key.

const huge = Number.MAX_SAFE_INTEGER
const openai = (usage: unknown, more: object = {}) => JSON.stringify({ model: 'gpt-4o-mini', choices: [], usage, ...more })

/** Bills that none are. */
const bills: Readonly<Record<string, string>> = {
  'less than nothing': openai({ prompt_tokens: -5, completion_tokens: -9 }),
  'texts and nothing': openai({ prompt_tokens: '5', completion_tokens: null }),
  'no JSON': '{"model":"gpt-4o-mini","usage":{"prompt_tokens":NaN,"completion_tokens":Infinity}}',
  'more than a number holds': '{"model":"gpt-4o-mini","usage":{"prompt_tokens":1e308,"completion_tokens":1e999}}',
  'the most that a number holds': openai({ prompt_tokens: huge, completion_tokens: huge, total_tokens: huge }),
  'more money than there is': openai({ prompt_tokens: 1, completion_tokens: 1, cost: 9e9 }),
  'money in ticks': openai({ prompt_tokens: 1, completion_tokens: 1, cost_in_usd_ticks: 1e300 }),
  'as much as is believed': openai({ prompt_tokens: 1e10, completion_tokens: 1e10 }, { model: 'o1-pro' }),
  'years of sound': openai({ type: 'duration', seconds: 1e15 }),
  'another model': openai({ prompt_tokens: 1, completion_tokens: 1 }, { model: { name: 'gpt-4o-mini' } }),
}
const anthropicBill = JSON.stringify({
  type: 'message',
  model: 'claude-sonnet-4-5',
  content: [],
  usage: {
    input_tokens: huge,
    output_tokens: huge,
    cache_read_input_tokens: huge,
    cache_creation_input_tokens: huge,
    server_tool_use: { web_search_requests: huge },
  },
})

t.test('whatever a server states of its bill, its calls are written down, reports add up, and nobody else is touched', async t => {
  const stage = await makeStage(t, { providers: ['openai', 'anthropic'] })
  const { home, daemon, upstream: liar, keys } = stage
  const honest = await startUpstream(async exchange => {
    await exchange.body()
    await exchange.send(whole(200, 'application/json', openai({ prompt_tokens: 7, completion_tokens: 3 })))
  })
  t.teardown(() => honest.close())
  const other = await home.addKey('openai', { secret: freshKey('openai'), baseUrl: honest.url, name: 'honest' })
  const neighbour = await home.createToken(['--key', other.id])
  const theirs = ['--key', keys.openai ?? '', keys.anthropic ?? '']
  const { token } = await home.createToken(theirs)
  const liars = await home.createToken([...theirs, '--budget', '1000000usd/day'])
  const answers = (text: string) =>
    liar.use(async exchange => {
      await exchange.body()
      await exchange.send(whole(200, 'application/json', text))
    })

  for (const [title, text] of Object.entries(bills)) {
    answers(text)
    // under a budget the first of them may use it up
    for (const [bearer, may] of [
      [token, [200]],
      [liars.token, [200, 429]],
    ] as const) {
      const answer = await chat(daemon, bearer, {
        body: JSON.stringify({ model: 'gpt-4o-mini', max_tokens: 5, messages: [{ role: 'user', content: 'hi' }] }),
      })
      t.ok((may as readonly number[]).includes(answer.status), `${title}: ${answer.status} ${answer.text().slice(0, 200)}`)
    }
  }
  answers(anthropicBill)
  const body = JSON.stringify({ model: 'claude-sonnet-4-5', max_tokens: 5, messages: [{ role: 'user', content: 'hi' }] })
  const headers = { 'anthropic-version': '2023-06-01' }
  t.equal((await call(daemon, { path: '/anthropic/v1/messages', token, body, headers })).status, 200)
  t.equal((await call(daemon, { path: '/readyz' })).status, 200)
  t.equal((await chat(daemon, neighbour.token)).status, 200, 'a call of somebody else')
  t.notMatch(daemon.output(), /cannot be written|could not be summed/)

  const rows = await home.json<{ key: string; calls: number; inputTokens: number; costUsd: number }[]>(['usage', '--by', 'key'])
  t.match(
    rows.find(row => row.key === other.id),
    { calls: 1, inputTokens: 7 },
  )
  const entries = (await home.entries()).filter(({ outcome }) => outcome === 'ok')
  t.ok(entries.length > Object.keys(bills).length)
  for (const entry of entries) {
    for (const count of [entry.inputTokens, entry.outputTokens, entry.cachedInputTokens, entry.units, entry.costMicroDollars ?? 0])
      t.ok(Number.isSafeInteger(count) && count >= 0, `${entry.usageSource} ${count}`)
  }
  t.strictSame(await home.verify(), [])
})
