import t from 'tap'
import { type Consumed, createPrices } from '../../src/prices/prices.js'

const at = Date.parse('2026-06-01T12:00:00Z')
const nothing: Consumed = {
  inputTokens: 0,
  outputTokens: 0,
  cachedInputTokens: 0,
  cacheWriteInputTokens: 0,
  reasoningTokens: 0,
  audioInputTokens: 0,
  audioOutputTokens: 0,
}
const prices = createPrices()

function cost(provider: string, model: string, use: Partial<Consumed>, atMs = at): number | undefined {
  return prices.find(provider, model, atMs)?.cost({ ...nothing, ...use })
}

// what is expected is worked out by hand from the providers' price pages, in micro-dollars: dollars per million model tokens are micro-dollars a token

t.test('a call costs what its model tokens cost, cached ones at their own price', async t => {
  // 1000 × 2.50 + 100 × 10
  t.equal(cost('openai', 'gpt-4o', { inputTokens: 1000, outputTokens: 100 }), 3500)
  // 600 × 2.50 + 400 × 1.25 + 100 × 10
  t.equal(cost('openai', 'gpt-4o', { inputTokens: 1000, cachedInputTokens: 400, outputTokens: 100 }), 3000)
  // 10 × 3 + 2000 × 0.30 + 1000 × 3.75 + 500 × 15
  const cached = { inputTokens: 3010, cachedInputTokens: 2000, cacheWriteInputTokens: 1000, outputTokens: 500 }
  t.equal(cost('anthropic', 'claude-sonnet-4-5-20250929', cached), 30 + 600 + 3750 + 7500)
})

t.test('what costs less than a micro-dollar costs one, and nothing costs nothing', async t => {
  t.equal(cost('openai', 'text-embedding-3-small', { inputTokens: 1 }), 1)
  t.equal(cost('openai', 'text-embedding-3-small', { inputTokens: 50 }), 1)
  t.equal(cost('openai', 'text-embedding-3-small', { inputTokens: 51 }), 2)
  t.equal(cost('openai', 'text-embedding-3-small', {}), 0)
})

t.test('a long prompt is billed as a whole by the price of long prompts', async t => {
  // 200 000 × 1.25 + 1000 × 10, and 200 001 × 2.50 + 1000 × 15
  t.equal(cost('gemini', 'gemini-2.5-pro', { inputTokens: 200_000, outputTokens: 1000 }), 260_000)
  t.equal(cost('gemini', 'gemini-2.5-pro', { inputTokens: 200_001, outputTokens: 1000 }), 515_003)
})

t.test('a price is that of the day of the call', async t => {
  // o3 became cheaper on 10 June 2025: 10 / 40 before, 2 / 8 since
  t.equal(cost('openai', 'o3', { inputTokens: 100, outputTokens: 100 }, Date.parse('2025-06-09T23:59:59Z')), 5000)
  t.equal(cost('openai', 'o3', { inputTokens: 100, outputTokens: 100 }, Date.parse('2025-06-10T00:00:00Z')), 1000)
  t.not(prices.find('openai', 'o3', Date.parse('2025-01-01'))?.version, prices.find('openai', 'o3', at)?.version)
})

t.test('an unknown model has no price, nor has a provider that only sounds like a known one', async t => {
  t.equal(prices.find('openai', 'gpt-99', at), undefined)
  t.equal(prices.find('openai', null, at), undefined)
  t.equal(prices.find('my-openai', 'gpt-4o', at), undefined)
  t.equal(prices.find('constructor', 'gpt-4o', at), undefined)
  t.equal(prices.find('azure-openai', 'our-deployment', at), undefined)
})

t.test('what has no price of its own makes the call unpriced, never free', async t => {
  t.equal(cost('openai', 'gpt-4o', { inputTokens: 10, units: 3, unit: 'images' }), undefined)
  t.equal(cost('openai', 'text-embedding-3-small', { inputTokens: 10, outputTokens: 5 }), undefined)
  // 90 s of an hour at $0.36
  t.equal(cost('openai', 'whisper-1', { units: 90, unit: 'audioSeconds' }), 9000)
})

t.test('the worst case is never below what a call of that size then costs', async t => {
  const worst = (provider: string, model: string, call: { inputTokens: number; maxOutputTokens: number | undefined; choices?: number }) =>
    prices.find(provider, model, at)?.worstCase(call)
  // 1000 × 2.50 + 2 × 100 × 10
  t.equal(worst('openai', 'gpt-4o', { inputTokens: 1000, maxOutputTokens: 100, choices: 2 }), 4500)
  // everything may be written to the cache for an hour: 1000 × 6 + 100 × 15
  t.equal(worst('anthropic', 'claude-sonnet-4-5', { inputTokens: 1000, maxOutputTokens: 100 }), 7500)
  // as long as the model's context: 1000 × 2.50 + 128 000 × 10
  t.equal(worst('openai', 'gpt-4o', { inputTokens: 1000, maxOutputTokens: undefined }), 1_282_500)
  t.equal(worst('gemini', 'gemini-2.5-pro', { inputTokens: 1000, maxOutputTokens: undefined }), undefined)
  t.equal(worst('openai', 'text-embedding-3-small', { inputTokens: 1000, maxOutputTokens: 0 }), 20)
})

t.test('names are found as providers write them', async t => {
  const same = (provider: string, ...names: string[]) => {
    const versions = names.map(name => prices.find(provider, name, at)?.version)
    t.ok(versions[0], names.join(', '))
    t.same(versions, Array(names.length).fill(versions[0]), names.join(', '))
  }
  same('openai', 'gpt-4o', 'gpt-4o-2024-08-06', 'GPT-4o')
  same('gemini', 'gemini-2.5-pro', 'models/gemini-2.5-pro')
  same('vertex', 'gemini-2.5-flash', 'publishers/google/models/gemini-2.5-flash')
  same(
    'bedrock',
    'anthropic.claude-3-haiku-20240307-v1:0',
    'us.anthropic.claude-3-haiku-20240307-v1:0',
    'arn:aws:bedrock:us-east-1::foundation-model/anthropic.claude-3-haiku-20240307-v1:0',
  )
  same('openrouter', 'anthropic/claude-sonnet-4.5', 'anthropic/claude-4.5-sonnet-20250929')
})
