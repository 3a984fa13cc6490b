import { openaiDialect } from './dialect-openai.js'
import { endpoint, json, under } from './endpoints.js'
import { commonInference } from './endpoints-openai.js'
import { messages } from './openai-row.js'
import type { Dialect, Endpoint, Usage } from './provider.js'
import { providerRow } from './row.js'
import { count, noUsage, object } from './usage.js'

/** On the last line of a stream and in a whole reply; a prompt that was in the cache as a whole is not counted. */
function readUsage(value: unknown, soFar: Usage | undefined): Usage | undefined {
  const reply = object(value)
  const input = count(reply?.prompt_eval_count)
  const output = count(reply?.eval_count)
  if (input === undefined && output === undefined) return soFar
  const before = soFar ?? noUsage
  return { ...before, inputTokens: input ?? before.inputTokens, outputTokens: output ?? before.outputTokens }
}

const ollamaDialect: Dialect = {
  name: 'ollama',
  errorBody: ({ message, code }) => ({ error: message, code }),
  usageMembers: ['prompt_eval_count', 'eval_count'],
  readUsage,
  maxOutputPointers: ['/options/num_predict'],
  choicesPointers: [],
  textMembers: ['content', 'response', 'thinking'],
  modelMember: 'model',
}

const model = json('/model')
const changes = ['pull', 'push', 'delete', 'create', 'copy', 'blobs', 'signout', 'me', 'experimental']

/** Source: docs/api.md of ollama/ollama, the ollama package 0.6. */
const endpoints: readonly Endpoint[] = [
  endpoint('inference', 'POST /api/chat', { models: model, estimate: true }),
  endpoint('inference', 'POST /api/generate', { models: model, estimate: true }),
  endpoint('inference', 'POST /api/embed', { models: model, estimate: 'input' }),
  endpoint('inference', 'POST /api/embeddings', { models: model, estimate: 'input' }),
  endpoint('inference', 'POST /api/show', { models: json('/model', '/name') }),
  // at its cloud alone; the second fetches any address that it is given
  endpoint('inference', 'POST /api/web_search'),
  endpoint('account', 'POST /api/web_fetch'),
  endpoint('inference', 'GET /api/tags'),
  endpoint('inference', 'GET /api/ps'),
  endpoint('inference', 'GET /api/version'),
  ...under('/v1', [...commonInference.map(row => ({ ...row, dialect: openaiDialect })), ...messages]),
  ...changes.map(name => endpoint('administration', `* /api/${name}/**`)),
]

export const ollama = providerRow({
  id: 'ollama',
  title: 'Ollama',
  origin: 'http://127.0.0.1:11434',
  baseUrl: {
    example: 'http://HOST:11434',
    required: true,
    note: 'For the Ollama of this machine: --base-url http://127.0.0.1:11434 --allow-private --auth none; for its cloud: --base-url https://ollama.com, with a key.',
  },
  dialect: ollamaDialect,
  keyCheck: { method: 'GET', path: '/api/tags', works: [200], restricted: [429], refused: [401, 403] },
  endpoints,
  compatiblePath: '/v1',
  messagesPath: '/v1',
  keyRefused: status => status === 401 || status === 403,
})
