import { openaiDialect } from './dialect-openai.js'
import { endpoint, inPath, json, under } from './endpoints.js'
import { common, messages, openaiCompatible, slashed } from './openai-row.js'
import type { Dialect, Endpoint } from './provider.js'
import { count, noUsage, object } from './usage.js'

const administered = [
  ...[
    'load_lora_adapter',
    'unload_lora_adapter',
    'organization',
    'projects',
    'sleep',
    'wake_up',
    'is_sleeping',
    'metrics',
    'load',
    'props',
  ],
  ...[
    'server_info',
    'collective_rpc',
    'reset_prefix_cache',
    'reset_mm_cache',
    'reset_encoder_cache',
    'start_profile',
    'stop_profile',
    'pause',
  ],
  ...['resume', 'scale_elastic_ep', 'update_weights', 'init_weight_transfer_engine', 'abort_requests'],
  ...['pull', 'push', 'delete', 'create', 'copy', 'blobs'].map(name => `api/${name}`),
]

/** Servers that operators run themselves add ways to change what they serve, and to look at what others sent. */
const selfHosted: readonly Endpoint[] = [
  ...['rerank', 'score', 'pooling', 'classify', 'tokenize', 'detokenize', 'infill', 'apply-template'].map(name =>
    endpoint('inference', `POST /${name}`, { models: json('/model') }),
  ),
  ...messages,
  slashed,
  ...['slots', 'lora-adapters', 'lora_adapters'].map(name => endpoint('account', `* /${name}/**`)),
  ...administered.map(name => endpoint('administration', `* /${name}/**`)),
  // llama.cpp, as a router
  ...['load', 'unload', 'download'].map(name => endpoint('administration', `* /models/${name}/**`)),
]

/** At the root of the server, where vLLM asks for no key. */
const atRoot: readonly Endpoint[] = [
  endpoint('inference', 'POST /v2/embed', { models: json('/model'), estimate: 'input' }),
  endpoint('inference', 'POST /v2/rerank', { models: json('/model'), bills: 'documents' }),
  endpoint('inference', 'POST /invocations', { models: json('/model'), estimate: true }),
  ...['health', 'ping', 'version'].map(name => endpoint('inference', `GET /${name}`)),
]

/** Its own API tells in `stats` what others tell in `usage`. Source: lmstudio.ai/docs/developer/rest. */
const lmstudioDialect: Dialect = {
  ...openaiDialect,
  usageMembers: ['usage', 'stats'],
  readUsage(value, soFar) {
    const reply = object(value)
    const stats = object(reply?.stats) ?? object(object(reply?.result)?.stats)
    const input = count(stats?.input_tokens)
    if (input === undefined) return openaiDialect.readUsage(value, soFar)
    return {
      ...noUsage,
      inputTokens: input,
      outputTokens: count(stats?.total_output_tokens) ?? 0,
      reasoningTokens: count(stats?.reasoning_output_tokens) ?? 0,
    }
  },
}

const lmstudioRows: readonly Endpoint[] = [
  endpoint('inference', 'POST /api/v1/chat', { models: json('/model'), estimate: true }),
  endpoint('inference', 'GET /api/v1/models'),
  ...under('/api/v0', common),
  ...['load', 'unload', 'download'].map(name => endpoint('administration', `* /api/v1/models/${name}/**`)),
]

/** For a service nobody described: the dialect's conventional paths, under `/v1` and without it, since a base URL may carry the version itself. */
export const conventionalRows: readonly Endpoint[] = [
  ...['', '/v1'].flatMap(prefix =>
    under(prefix, [...common, ...selfHosted, endpoint('inference', 'GET /models/{model}', { models: inPath })]),
  ),
  ...atRoot,
]

const anyKey = { keyHints: [], keyRefused: (status: number) => status === 401 }

/** vLLM and llama.cpp's server. Sources: docs.vllm.ai/serving, its security page; llama.cpp's tools/server/README. */
export const vllm = openaiCompatible({
  ...anyKey,
  id: 'vllm',
  title: 'vLLM',
  origin: 'http://127.0.0.1:8000',
  baseUrl: {
    example: 'http://HOST:8000',
    required: true,
    note: 'Where your server listens, without /v1; a private address needs --allow-private.',
  },
  endpoints: conventionalRows,
  compatiblePath: '/v1',
  messagesPath: '/v1',
})

export const lmstudio = openaiCompatible({
  ...anyKey,
  id: 'lmstudio',
  title: 'LM Studio',
  origin: 'http://127.0.0.1:1234',
  baseUrl: {
    example: 'http://HOST:1234',
    required: true,
    note: 'Where your server listens, without /v1; a private address needs --allow-private.',
  },
  dialect: lmstudioDialect,
  endpoints: [...conventionalRows, ...lmstudioRows],
  compatiblePath: '/v1',
  messagesPath: '/v1',
  unverified: ['usage of its own API'],
})
