import { openaiDialect, openaiError } from './dialect-openai.js'
import { endpoint, inBodyOrForm, json, under } from './endpoints.js'
import { common, openaiCompatible, withoutIncludeUsage } from './openai-row.js'
import type { Dialect, Endpoint } from './provider.js'
import * as own from './resources/others.js'
import { noUsage, object, unitsOf } from './usage.js'

/** Its errors lie flat. Source: the schema by which @ai-sdk/mistral reads them. Audio is billed by its length, and what is read from pages by their number. */
const mistralDialect: Dialect = {
  ...openaiDialect,
  usageMembers: ['usage', 'usage_info'],
  readUsage(value, soFar) {
    const reply = object(value)
    const pages = unitsOf('pages', object(reply?.usage_info)?.pages_processed)
    if (pages) return { ...(soFar ?? noUsage), ...pages }
    const known = openaiDialect.readUsage(value, soFar)
    const seconds = unitsOf('audioSeconds', object(reply?.usage)?.prompt_audio_seconds)
    return known && seconds?.units ? { ...known, ...seconds } : known
  },
  errorBody: error => ({ object: 'error', ...openaiError(error) }),
}

/** Its files, batches and the like, where they are not as OpenAI has them. */
const owned = {
  '* /files/**': own.mistralFiles,
  '* /fine_tuning/**': own.mistralFineTuning,
  '* /conversations/**': own.mistralConversations,
  '* /batch/**': own.mistralBatches,
  '* /libraries/**': own.libraries,
  'POST /ocr': own.documentNamed,
  'POST /audio/transcriptions': own.soundNamed,
}

const plainRows: readonly Endpoint[] = [
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
  endpoint('account', '* /batch/**'),
  endpoint('account', '* /libraries/**'),
  endpoint('account', '* /rag/**'),
  endpoint('credential', '* /client/sessions/**'),
  // addresses that open a file to whoever holds them
  endpoint('credential', '* /files/*/url'),
  endpoint('credential', '* /libraries/*/documents/*/signed-url'),
  endpoint('credential', '* /libraries/*/documents/*/extracted-text-signed-url'),
  endpoint('credential', '* /connectors/**'),
  endpoint('administration', '* /libraries/*/share/**'),
  endpoint('administration', '* /service-accounts/**'),
  endpoint('administration', '* /users/**'),
  endpoint('administration', '* /workflows/**'),
  endpoint('administration', '* /observability/**'),
]

const mistralRows = own.owning(plainRows, owned)

export const mistral = openaiCompatible({
  id: 'mistral',
  title: 'Mistral AI',
  dialect: mistralDialect,
  origin: 'https://api.mistral.ai',
  keyHints: [{ pattern: /^[A-Za-z0-9]{32}$/ }],
  endpoints: [...under('/v1', mistralRows), endpoint('account', '* /v2/prompts/**'), endpoint('account', '* /v2/skills/**')],
  compatiblePath: '/v1',
  unverified: ['the form of its keys'],
})
