import { openaiDialect } from './dialect-openai.js'
import { endpoint, json } from './endpoints.js'
import { openaiCompatible } from './openai-row.js'
import type { Dialect } from './provider.js'
import { count, object } from './usage.js'

/** Sonar counts reasoning and citations beside the completion, and bills both; its agent counts as OpenAI's Responses do. */
const perplexityDialect: Dialect = {
  ...openaiDialect,
  readUsage(value, soFar) {
    const known = openaiDialect.readUsage(value, soFar)
    const usage = object(object(value)?.usage)
    if (known === soFar || known === undefined || count(usage?.completion_tokens) === undefined) return known
    const reasoning = count(usage?.reasoning_tokens) ?? 0
    const beside = reasoning + (count(usage?.citation_tokens) ?? 0)
    return beside === 0 ? known : { ...known, outputTokens: known.outputTokens + beside, reasoningTokens: reasoning }
  },
}

const chat = { models: json('/model'), estimate: true } as const
const agent = { models: json('/model', '/models/*', '/preset', '/tools/*/model'), estimate: true } as const
const embedding = { models: json('/model'), estimate: 'input' } as const

/** Sources: docs.perplexity.ai, api.md of the perplexityai package, @ai-sdk/perplexity. Its chat API, Sonar, is announced to end. */
export const perplexity = openaiCompatible({
  id: 'perplexity',
  title: 'Perplexity',
  origin: 'https://api.perplexity.ai',
  dialect: perplexityDialect,
  keyHints: [{ pattern: /^pplx-[A-Za-z0-9]{48}$/ }],
  // nothing can be read for free: an empty call is refused for what it lacks, after the key was looked at
  keyCheck: { method: 'POST', path: '/v1/agent', body: '{}', works: [400, 422], restricted: [403, 429], refused: [401] },
  endpoints: [
    endpoint('inference', 'POST /v1/agent', agent),
    endpoint('inference', 'POST /v1/responses', agent),
    endpoint('inference', 'POST /chat/completions', chat),
    endpoint('inference', 'POST /v1/chat/completions', chat),
    endpoint('inference', 'POST /v1/sonar', chat),
    endpoint('inference', 'POST /v1/embeddings', embedding),
    endpoint('inference', 'POST /v1/contextualizedembeddings', embedding),
    endpoint('inference', 'POST /search'),
    endpoint('inference', 'POST /v1/search'),
    endpoint('inference', 'GET /v1/models'),
    endpoint('account', '* /v1/responses/*/**'),
    endpoint('account', '* /v1/agent/*/**'),
    endpoint('account', '* /async/**', { models: json('/request/model') }),
    endpoint('account', '* /v1/async/**', { models: json('/request/model') }),
    endpoint('account', '* /v1/files/**'),
    endpoint('credential', '* /generate_auth_token/**'),
    endpoint('credential', '* /revoke_auth_token/**'),
  ],
  compatiblePath: '/v1',
  unverified: ['the call that checks a key', 'POST /v1/chat/completions, which the unified endpoint sends chats to'],
})
