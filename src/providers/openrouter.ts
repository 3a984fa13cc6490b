import { endpoint, json, under } from './endpoints.js'
import { commonAccount, commonCredential, commonInference } from './endpoints-openai.js'
import { merged, messages, openaiCompatible, slashed } from './openai-row.js'
import type { Endpoint } from './provider.js'

/** Besides `model`, a call can name fallbacks, a stored preset that brings its own, and plugins and tools that call others. */
const openrouterModels = json(
  '/models/*',
  '/preset',
  '/fallbacks',
  '/fallbacks/*',
  '/fallbacks/*/model',
  '/plugins/*/model',
  '/plugins/*/models/*',
  '/plugins/*/allowed_models/*',
  '/plugins/*/analysis_models/*',
  '/tools/*/model',
  '/tools/*/parameters/model',
  '/tools/*/parameters/models/*',
  '/tools/*/parameters/analysis_models/*',
)

const openrouterRows: readonly Endpoint[] = [
  ...[...commonInference, ...messages].map(row => (row.method === 'POST' ? { ...row, models: merged(row.models, openrouterModels) } : row)),
  ...commonAccount,
  ...commonCredential,
  endpoint('inference', 'POST /rerank', { models: json('/model', '/models/*'), bills: 'documents' }),
  endpoint('inference', 'POST /images', { models: json('/model', '/models/*'), bills: 'pictures' }),
  endpoint('inference', 'GET /models/count'),
  endpoint('inference', 'GET /models/user'),
  endpoint('inference', 'GET /embeddings/models'),
  endpoint('inference', 'GET /images/models'),
  endpoint('inference', 'GET /models/*/*/endpoints'),
  endpoint('inference', 'GET /parameters/*/*'),
  endpoint('inference', 'GET /providers'),
  endpoint('inference', 'GET /benchmarks/**'),
  endpoint('inference', 'GET /classifications/**'),
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

export const openrouter = openaiCompatible({
  id: 'openrouter',
  title: 'OpenRouter',
  origin: 'https://openrouter.ai',
  keyHints: [{ pattern: /^sk-or-v1-[0-9a-f]{64}$/ }],
  // its list of models is open to everybody: only this says whether a key works
  keyCheck: { method: 'GET', path: '/api/v1/key', works: [200], restricted: [403, 429], refused: [401] },
  endpoints: [...under('/api/v1', openrouterRows), endpoint('account', '* /api/alpha/**')],
  compatiblePath: '/api/v1',
  messagesPath: '/api/v1',
  // a refusal by the service behind it names that service
  keyRefused: (status, body) => status === 401 && !body.includes('"provider_name"'),
})
