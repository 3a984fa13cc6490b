import t from 'tap'
import { concernsCallOnly, quotaSpent, retryDelayMs } from '../../src/providers/quota.js'

const body = (error: Record<string, unknown>) => JSON.stringify({ error })

t.test("a spent quota is recognised in each provider's words", async t => {
  const said: Record<string, [number, string]> = {
    openai: [
      429,
      body({
        message: 'You exceeded your current quota, please check your plan and billing details.',
        type: 'insufficient_quota',
        param: null,
        code: 'insufficient_quota',
      }),
    ],
    'openai, hard limit': [
      400,
      body({ message: 'Billing hard limit has been reached', type: 'invalid_request_error', code: 'billing_hard_limit_reached' }),
    ],
    anthropic: [
      400,
      JSON.stringify({
        type: 'error',
        error: {
          type: 'invalid_request_error',
          message:
            'Your credit balance is too low to access the Anthropic API. Please go to Plans & Billing to upgrade or purchase credits.',
        },
      }),
    ],
    'anthropic, limit': [
      400,
      JSON.stringify({
        type: 'error',
        error: {
          type: 'invalid_request_error',
          message: 'You have reached your specified API usage limits. You will regain access on 2026-02-01 at 00:00 UTC.',
        },
      }),
    ],
    deepseek: [402, body({ message: 'Insufficient Balance', type: 'unknown_error', param: null, code: 'invalid_request_error' })],
    openrouter: [402, body({ message: 'Insufficient credits. Add more using https://openrouter.ai/settings/credits', code: 402 })],
    'openrouter, key': [
      403,
      body({ message: 'Key limit exceeded (total limit). Manage it using https://openrouter.ai/settings/keys', code: 403 }),
    ],
    gemini: [
      429,
      JSON.stringify([
        {
          error: {
            code: 429,
            message: 'Your prepayment credits are depleted. Please go to AI Studio to manage your project and billing.',
            status: 'RESOURCE_EXHAUSTED',
          },
        },
      ]),
    ],
    groq: [400, body({ message: 'API access has been blocked', type: 'invalid_request_error', code: 'blocked_api_access' })],
    'nobody knows': [402, 'Payment Required'],
  }
  for (const [title, [status, text]] of Object.entries(said)) t.ok(quotaSpent(status, text), title)
})

t.test('a rate, a call that asks for too much, and what a client wrote put no key to rest', async t => {
  const said: Record<string, [number, string]> = {
    'a rate': [429, body({ message: 'Rate limit reached for gpt-4o', type: 'requests', code: 'rate_limit_exceeded' })],
    "Gemini's rate of a minute": [
      429,
      body({
        code: 429,
        message: 'You exceeded your current quota, please check your plan and billing details.',
        status: 'RESOURCE_EXHAUSTED',
      }),
    ],
    'a call too dear': [
      402,
      body({
        message: 'This request requires more credits, or fewer max_tokens. You requested up to 65536 tokens, but can only afford 3395.',
        code: 402,
      }),
    ],
    'a model named so': [404, body({ message: 'The model `insufficient_quota` does not exist', code: 'model_not_found' })],
    'a word in the middle': [400, body({ message: 'Unknown role: "Your credit balance is too low"', code: null })],
    success: [200, body({ code: 'insufficient_quota' })],
  }
  for (const [title, [status, text]] of Object.entries(said)) t.notOk(quotaSpent(status, text), title)
})

t.test('a 429 about one large call is told from one about all of them', async t => {
  const large = 'Request too large for gpt-4o in organization org-1 on tokens per min (TPM): Limit 30000, Requested 50000.'
  t.ok(concernsCallOnly(body({ message: large, type: 'tokens', code: 'rate_limit_exceeded' })))
  t.notOk(concernsCallOnly(body({ message: `Rate limit reached. ${large}`, code: 'rate_limit_exceeded' })))
  t.notOk(concernsCallOnly('Request too large'))
})

t.test("Google's RetryInfo is read from the body", async t => {
  t.equal(
    retryDelayMs(JSON.stringify({ error: { details: [{ '@type': 'type.googleapis.com/google.rpc.RetryInfo', retryDelay: '37.5s' }] } })),
    37_500,
  )
  t.equal(retryDelayMs('{}'), undefined)
})

t.test('services with words of their own say it, too', async t => {
  const spent: readonly (readonly [string, number, string])[] = [
    ['DeepL', 456, '{"message":"Quota exceeded"}'],
    ['Z.ai', 429, '{"error":{"code":"1113","message":"Insufficient balance or no resource package. Please recharge."}}'],
    ['Hugging Face', 402, '{"error":"You have exceeded your monthly included credits for Inference Providers."}'],
    [
      'Brave',
      429,
      '{"type":"ErrorResponse","error":{"id":"x","status":429,"code":"QUOTA_LIMITED","detail":"Request quota limit exceeded."}}',
    ],
    [
      'xAI',
      429,
      '{"code":"Some resource has been exhausted","error":"Your team x has either used all available credits or reached its monthly spending limit."}',
    ],
  ]
  for (const [who, status, body] of spent) t.ok(quotaSpent(status, body), who)
  const not: readonly (readonly [string, number, string])[] = [
    ['DeepL', 429, '{"message":"Too many requests"}'],
    ['Z.ai', 429, '{"error":{"code":"1302","message":"Rate limit reached for requests"}}'],
    ['Brave', 429, '{"type":"ErrorResponse","error":{"code":"RATE_LIMITED","detail":"Request rate limit exceeded for plan."}}'],
    ['xAI', 429, '{"code":"Some resource has been exhausted","error":"Too many requests for team x and model grok-4."}'],
  ]
  for (const [who, status, body] of not) t.notOk(quotaSpent(status, body), who)
})
