import { LLMock } from '@copilotkit/aimock'
import t from 'tap'
import { call, chat } from '../support/clients.js'
import { makeHome } from '../support/daemon.js'
import { type Report, runSdk } from '../support/run-sdk.js'

// Official SDKs, unchanged but for address and key, against a mock provider server made by others: through soakp and directly, side by side.

const usage = {
  prompt_tokens: 11,
  completion_tokens: 7,
  total_tokens: 18,
  input_tokens: 11,
  output_tokens: 7,
  promptTokenCount: 11,
  candidatesTokenCount: 7,
  totalTokenCount: 18,
}

interface Subject {
  readonly title: string
  readonly provider: string
  /** Which of the SDKs in sdk-child it is, where its name here is another. */
  readonly sdk?: string
  /** Scenarios that consumed model tokens which the reply states. */
  readonly metered: readonly string[]
  /** The class an app catches when its access token is refused. */
  readonly refusal: string
}

const subjects: Readonly<Record<string, Subject>> = {
  openai: {
    title: 'openai 6',
    provider: 'openai',
    metered: ['json', 'stream', 'streamWithUsage', 'responses', 'responsesStream'],
    refusal: 'AuthenticationError',
  },
  anthropic: {
    title: '@anthropic-ai/sdk 1 (Bearer)',
    provider: 'anthropic',
    metered: ['json', 'stream', 'finalMessage'],
    refusal: 'AuthenticationError',
  },
  anthropic0: {
    title: '@anthropic-ai/sdk 0 (x-api-key)',
    provider: 'anthropic',
    metered: ['json', 'stream'],
    refusal: 'AuthenticationError',
  },
  gemini: { title: '@google/genai', provider: 'gemini', metered: ['json', 'stream'], refusal: 'ApiError' },
  groq: { title: 'groq-sdk', provider: 'groq', metered: ['json', 'stream'], refusal: 'AuthenticationError' },
  // the mock states no usage in a stream unless asked, and mistral is not asked
  mistral: { title: '@mistralai/mistralai', provider: 'mistral', metered: ['json'], refusal: 'SDKError' },
  vercelOpenai: {
    title: 'Vercel ai with @ai-sdk/openai',
    provider: 'openai',
    metered: ['json', 'responses', 'stream'],
    refusal: 'APICallError',
  },
  vercelAnthropic: {
    title: 'Vercel ai with @ai-sdk/anthropic',
    provider: 'anthropic',
    metered: ['json', 'stream'],
    refusal: 'APICallError',
  },
  langchain: {
    title: '@langchain/openai',
    provider: 'openai',
    metered: ['json', 'responses', 'stream'],
    refusal: 'AuthenticationError',
  },
  ...Object.fromEntries(
    ['xai', 'together', 'nvidia', 'cerebras', 'vllm', 'lmstudio'].map(provider => [
      `openai at ${provider}`,
      {
        title: `openai 6 with /${provider}`,
        provider,
        sdk: 'openai',
        metered: ['json', 'stream', 'streamWithUsage', 'responses', 'responsesStream'],
        refusal: 'AuthenticationError',
      },
    ]),
  ),
}

/** Takes out what the mock draws anew for each reply: message ids, and the headers that @google/genai shows. */
function settled(report: Report): unknown {
  return JSON.parse(
    JSON.stringify(report, (name, value) => (name === 'sdkHttpResponse' ? undefined : value)).replace(/msg-[\w-]{16}/g, 'msg'),
  )
}

t.test('official SDKs', async t => {
  const mock = new LLMock({ port: 0 })
  mock.onMessage('hello', { content: 'Hi there, thé fish 🐟!', id: 'fixed-1', created: 1_763_000_000, usage })
  mock.onMessage('limited', { error: { message: 'slow down', type: 'rate_limit_error', code: 'rate_limit_exceeded' }, status: 429 })
  mock.onMessage('broken', { error: { message: 'oops', type: 'server_error' }, status: 500 })
  mock.onEmbedding('hello', { embedding: [0.1, 0.2, 0.3] })
  await mock.start()
  t.teardown(() => mock.stop())

  const home = await makeHome(t)
  for (const provider of new Set(Object.values(subjects).map(subject => subject.provider))) {
    await home.addKey(provider, { secret: `test-key-of-${provider}-0123456789abcdef`, baseUrl: mock.url })
  }
  const daemon = await home.serve()

  for (const [name, { title, provider, sdk = name, metered, refusal }] of Object.entries(subjects)) {
    await t.test(`${title}: what it returns through soakp equals what it returns directly`, async t => {
      const issued = await home.createToken(['--provider', provider, '--name', name])
      const [through, direct] = await Promise.all([
        runSdk(sdk, `${daemon.origin}/${provider}`, issued.token, home.caFile()),
        runSdk(sdk, mock.url, 'the-real-key', home.caFile()),
      ])
      t.ok(Object.keys(direct).length >= 4)
      for (const scenario of metered) t.ok(direct[scenario]?.returned, `${scenario} works directly`)
      t.strictSame(settled(through), settled(direct))

      const entries = (await home.entries()).filter(entry => entry.grantId === issued.id)
      t.equal(entries.length, Object.keys(direct).length, 'one entry a call')
      const stated = entries.filter(entry => entry.usageSource === 'provider' && entry.outputTokens > 0)
      t.equal(stated.length, metered.length, 'usage was read wherever it was stated')
      for (const entry of stated) t.match(entry, { inputTokens: 11, outputTokens: 7, outcome: 'ok' })
    })

    await t.test(`${title}: a refused access token raises the error class its users catch`, async t => {
      const report = await runSdk(sdk, `${daemon.origin}/${provider}`, 'not-a-token', home.caFile(), ['json'])
      const threw = report.json?.threw
      t.equal(threw?.class, refusal)
      t.equal(threw?.status ?? threw?.statusCode, 401)
    })
  }

  await t.test('the mock provider got the stored key, never the access token', async t => {
    for (const request of mock.getRequests()) {
      const sent = JSON.stringify(request)
      t.notMatch(sent, /eyJ/)
    }
    t.ok(mock.getRequests().length > 20)
  })

  await t.test('soakp usage sums what the ledger holds', async t => {
    const rows = await home.json<readonly { calls: number; inputTokens: number; outputTokens: number }[]>(['usage', '--by', 'provider'])
    const entries = await home.entries()
    const sum = (of: (row: { calls: number; inputTokens: number; outputTokens: number }) => number) =>
      rows.reduce((total, row) => total + of(row), 0)
    t.equal(
      sum(row => row.calls),
      entries.length,
    )
    t.equal(
      sum(row => row.inputTokens),
      entries.reduce((total, entry) => total + entry.inputTokens, 0),
    )
    t.equal(
      sum(row => row.outputTokens),
      entries.reduce((total, entry) => total + entry.outputTokens, 0),
    )
  })

  await t.test('an error of our own is in the dialect of the provider that was called', async t => {
    const openai = await chat(daemon, 'nonsense')
    t.equal(openai.status, 401)
    t.match(openai.json(), { error: { message: String, type: String, code: 'token_invalid' } })
    const anthropic = await call(daemon, { path: '/anthropic/v1/messages', body: '{}', headers: { 'x-api-key': 'nonsense' } })
    t.equal(anthropic.status, 401)
    t.match(anthropic.json(), { type: 'error', error: { type: 'authentication_error', message: String } })
    const gemini = await call(daemon, {
      path: '/gemini/v1beta/models/m:generateContent',
      body: '{}',
      headers: { 'x-goog-api-key': 'nonsense' },
    })
    t.equal(gemini.status, 401)
    t.match(gemini.json(), { error: { code: 401, message: String, status: 'UNAUTHENTICATED' } })
  })
})
