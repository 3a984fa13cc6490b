import { anthropicDialect } from './dialect-anthropic.js'
import { openaiDialect } from './dialect-openai.js'
import { endpoint, inBodyOrForm, inPath, json, under } from './endpoints.js'
import { messagesInference } from './endpoints-anthropic.js'
import { commonAccount, commonCredential, commonInference } from './endpoints-openai.js'
import type { Endpoint, KeyCheck, ModelPlace, Provider } from './provider.js'

type Row = Pick<Provider, 'id' | 'title' | 'origin' | 'keyHints' | 'endpoints'> &
  Partial<Pick<Provider, 'dropRequestHeaders' | 'keyRefused' | 'keyCheck'>> & { readonly compatiblePath: string }

/** Bearer keys, OpenAI's dialect, `GET {compatiblePath}/models` to ask about a key. */
function openaiCompatible(row: Row): Provider {
  const keyCheck: KeyCheck = { method: 'GET', path: `${row.compatiblePath}/models`, works: [200], restricted: [403, 429], refused: [401] }
  return {
    auth: { type: 'bearer' },
    dialect: openaiDialect,
    keyCheck,
    defaultHeaders: {},
    allowRequestHeaders: [],
    dropRequestHeaders: [],
    dropResponseHeaders: [],
    keyRefused: status => status === 401,
    ...row,
  }
}

const common: readonly Endpoint[] = [...commonInference, ...commonAccount, ...commonCredential]
const messages = messagesInference.map(row => ({ ...row, dialect: anthropicDialect }))
// their models are named `maker/model`, and some clients leave the slash as it is
const slashed = endpoint('inference', 'GET /models/*/*')

/** Mistral answers 422 to members it does not know, so usage is never asked for; its streams carry it anyway. */
function withoutIncludeUsage(rows: readonly Endpoint[]): Endpoint[] {
  return rows.map(({ includeUsage, ...row }) => row)
}

function merged(places: readonly ModelPlace[], more: readonly ModelPlace[]): ModelPlace[] {
  const known = new Set(places.map(place => JSON.stringify(place)))
  return [...places, ...more.filter(place => !known.has(JSON.stringify(place)))]
}

const mistralRows: readonly Endpoint[] = [
  ...withoutIncludeUsage(common.filter(row => !row.pattern.startsWith('/conversations') && !row.pattern.startsWith('/skills'))),
  endpoint('inference', 'POST /fim/completions', { models: json('/model'), estimate: true }),
  // an agent is the account's, but to talk to one changes nothing of it
  endpoint('inference', 'POST /agents/completions', { models: json('/model', '/agent_id'), estimate: true }),
  endpoint('inference', 'POST /chat/moderations', { models: json('/model') }),
  endpoint('inference', 'POST /chat/classifications', { models: json('/model') }),
  endpoint('inference', 'POST /classifications', { models: json('/model') }),
  endpoint('inference', 'POST /ocr', { models: inBodyOrForm }),
  endpoint('inference', 'GET /audio/transcriptions/realtime', { models: [{ in: 'query', name: 'model' }] }),
  endpoint('account', '* /conversations/**', { models: json('/model', '/agent_id') }),
  endpoint('account', 'GET /agents/**'),
  endpoint('account', 'PATCH /agents/**', { models: json('/model') }),
  endpoint('account', 'PUT /agents/**', { models: json('/model') }),
  endpoint('account', 'DELETE /agents/**'),
  endpoint('account', 'POST /agents', { models: json('/model') }),
  endpoint('account', 'POST /agents/pages'),
  endpoint('account', '* /agents/*/version/**'),
  endpoint('account', '* /agents/*/versions/**'),
  endpoint('account', '* /agents/*/aliases/**'),
  endpoint('account', '* /audio/voices/**'),
  endpoint('account', '* /batch/**', { models: json('/model', '/requests/*/body/model') }),
  endpoint('account', '* /libraries/**'),
  endpoint('account', '* /rag/**'),
  endpoint('credential', '* /client/sessions/**'),
  endpoint('credential', '* /files/*/url'),
  endpoint('credential', '* /connectors/**'),
  endpoint('administration', '* /libraries/*/share/**'),
  endpoint('administration', '* /service-accounts/**'),
  endpoint('administration', '* /users/**'),
  endpoint('administration', '* /workflows/**'),
  endpoint('administration', '* /observability/**'),
]

/** Besides `model`, a call can name fallbacks, a stored preset that brings its own, and plugins and tools that call others. */
const openrouterModels = json(
  '/models/*',
  '/preset',
  '/fallbacks/*/model',
  '/plugins/*/model',
  '/plugins/*/models/*',
  '/plugins/*/allowed_models/*',
  '/plugins/*/analysis_models/*',
  '/tools/*/model',
  '/tools/*/parameters/model',
)

const openrouterRows: readonly Endpoint[] = [
  ...[...commonInference, ...messages].map(row => (row.method === 'POST' ? { ...row, models: merged(row.models, openrouterModels) } : row)),
  ...commonAccount,
  ...commonCredential,
  endpoint('inference', 'POST /rerank', { models: json('/model', '/models/*') }),
  endpoint('inference', 'POST /images', { models: json('/model', '/models/*') }),
  endpoint('inference', 'GET /models/count'),
  endpoint('inference', 'GET /models/user'),
  endpoint('inference', 'GET /embeddings/models'),
  endpoint('inference', 'GET /images/models'),
  endpoint('inference', 'GET /models/*/*/endpoints'),
  endpoint('inference', 'GET /parameters/*/*'),
  endpoint('inference', 'GET /providers'),
  endpoint('inference', 'GET /endpoints/zdr'),
  slashed,
  endpoint('account', '* /generation/**'),
  endpoint('account', '* /generations/**'),
  endpoint('account', '* /presets/**'),
  endpoint('account', '* /datasets/**'),
  endpoint('account', '* /agents/**'),
  endpoint('account', '* /agent-contexts/**'),
  endpoint('account', '* /agent-sessions/**'),
  endpoint('credential', '* /keys/**'),
  endpoint('credential', '* /auth/**'),
  endpoint('credential', '* /byok/**'),
  endpoint('credential', '* /vault/**'),
  endpoint('administration', '* /key/**'),
  endpoint('administration', '* /credits/**'),
  endpoint('administration', '* /activity/**'),
  endpoint('administration', '* /analytics/**'),
  endpoint('administration', '* /guardrails/**'),
  endpoint('administration', '* /workspaces/**'),
  endpoint('administration', '* /organization/**'),
  endpoint('administration', '* /organizations/**'),
  endpoint('administration', '* /orgs/**'),
  endpoint('administration', '* /observability/**'),
  endpoint('administration', '* /private-endpoints/**'),
  endpoint('administration', '* /end-users/**'),
  endpoint('administration', '* /scim/**'),
]

const deepseekRows: readonly Endpoint[] = [
  ...under('', common),
  ...under('/v1', common),
  ...under('/beta', common),
  ...under('/anthropic/v1', [...messages, endpoint('inference', 'GET /models')]),
  endpoint('administration', '* /user/**'),
]

const groqRows: readonly Endpoint[] = [...common, slashed]

export const groq = openaiCompatible({
  id: 'groq',
  title: 'Groq',
  origin: 'https://api.groq.com',
  keyHints: [{ pattern: /^gsk_[A-Za-z0-9]{40,}$/ }],
  endpoints: under('/openai/v1', groqRows),
  compatiblePath: '/openai/v1',
})

export const mistral = openaiCompatible({
  id: 'mistral',
  title: 'Mistral AI',
  origin: 'https://api.mistral.ai',
  keyHints: [{ pattern: /^[A-Za-z0-9]{32}$/ }],
  endpoints: [...under('/v1', mistralRows), endpoint('account', '* /v2/prompts/**'), endpoint('account', '* /v2/skills/**')],
  compatiblePath: '/v1',
})

export const deepseek = openaiCompatible({
  id: 'deepseek',
  title: 'DeepSeek',
  origin: 'https://api.deepseek.com',
  keyHints: [{ pattern: /^sk-[a-z0-9]{32}$/ }],
  endpoints: deepseekRows,
  compatiblePath: '/v1',
})

export const openrouter = openaiCompatible({
  id: 'openrouter',
  title: 'OpenRouter',
  origin: 'https://openrouter.ai',
  keyHints: [{ pattern: /^sk-or-v1-[0-9a-f]{64}$/ }],
  // its list of models is open to everybody: only this says whether a key works
  keyCheck: { method: 'GET', path: '/api/v1/key', works: [200], restricted: [403, 429], refused: [401] },
  endpoints: [...under('/api/v1', openrouterRows), endpoint('account', '* /api/alpha/**')],
  compatiblePath: '/api/v1',
  // a refusal by the service behind it names that service
  keyRefused: (status, body) => status === 401 && !body.includes('"provider_name"'),
})

/** Servers that operators run themselves add ways to change what they serve. */
const selfHosted: readonly Endpoint[] = [
  endpoint('inference', 'POST /rerank', { models: json('/model') }),
  endpoint('inference', 'POST /tokenize', { models: json('/model') }),
  endpoint('inference', 'POST /detokenize', { models: json('/model') }),
  ...messages,
  slashed,
  endpoint('administration', '* /load_lora_adapter/**'),
  endpoint('administration', '* /unload_lora_adapter/**'),
  endpoint('administration', '* /sleep/**'),
  endpoint('administration', '* /wake_up/**'),
  endpoint('administration', '* /metrics/**'),
  endpoint('administration', '* /organization/**'),
  endpoint('administration', '* /projects/**'),
  ...['pull', 'push', 'delete', 'create', 'copy', 'blobs'].map(name => endpoint('administration', `* /api/${name}/**`)),
]

/** For a service nobody described: the dialect's conventional paths, under `/v1` and without it, since a base URL may carry the version itself. */
export const conventionalRows: readonly Endpoint[] = [
  ...common,
  ...selfHosted,
  endpoint('inference', 'GET /models/{model}', { models: inPath }),
]
