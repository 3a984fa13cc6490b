import { endpoint } from './endpoints.js'
import type { Dialect, Endpoint, ModelPlace, Usage } from './provider.js'
import { providerRow } from './row.js'
import { deepgramSockets } from './sockets/sockets.js'
import { count, type Json, noUsage, object, unitsOf } from './usage.js'

/** The tokens of what reads a text: summaries, topics, intents, sentiments. */
function readTokens(metadata: Json): Pick<Usage, 'inputTokens' | 'outputTokens'> | undefined {
  let input: number | undefined
  let output = 0
  for (const name of ['summary_info', 'sentiment_info', 'topics_info', 'intents_info']) {
    const info = object(metadata[name])
    const found = count(info?.input_tokens)
    if (found === undefined) continue
    input = (input ?? 0) + found
    output += count(info?.output_tokens) ?? 0
  }
  return input === undefined ? undefined : { inputTokens: input, outputTokens: output }
}

/** `metadata.duration` is in seconds, for each of the channels that were transcribed by themselves. */
function readUsage(value: unknown, soFar: Usage | undefined): Usage | undefined {
  const reply = object(value)
  const metadata = object(reply?.metadata) ?? (reply?.type === 'Metadata' ? reply : undefined)
  if (!metadata) return soFar
  const { duration } = metadata
  const channels = Math.max(1, count(metadata.channels) ?? 1)
  const seconds = typeof duration === 'number' && duration > 0 ? unitsOf('audioSeconds', duration * channels) : undefined
  const tokens = readTokens(metadata)
  return seconds || tokens ? { ...(soFar ?? noUsage), ...tokens, ...seconds } : soFar
}

const deepgramDialect: Dialect = {
  name: 'deepgram',
  errorBody: ({ message, code, requestId }) => ({ err_code: code.toUpperCase(), err_msg: message, request_id: requestId }),
  usageMembers: ['metadata'],
  readUsage,
  usageHeaders: { 'dg-char-count': 'characters' },
  maxOutputPointers: [],
  choicesPointers: [],
  textMembers: [],
  modelMember: 'model',
}

const inQuery: readonly ModelPlace[] = [{ in: 'query', name: 'model' }]
const speech = { models: inQuery, countsText: ['/text'] } as const

/** Source: the @deepgram/sdk package 5.13, developers.deepgram.com/reference. */
const endpoints: readonly Endpoint[] = [
  endpoint('inference', 'POST /v1/listen', { models: inQuery }),
  endpoint('inference', 'POST /v1/speak', speech),
  endpoint('inference', 'POST /v2/speak', speech),
  endpoint('inference', 'POST /v1/read', { models: inQuery }),
  endpoint('inference', 'GET /v1/models'),
  endpoint('inference', 'GET /v1/models/*'),
  endpoint('inference', 'GET /v1/agent/settings/think/models'),
  endpoint('credential', '* /v1/auth/grant/**'),
  endpoint('credential', '* /v1/projects/*/keys/**'),
  endpoint('credential', '* /v1/projects/*/self-hosted/**'),
  endpoint('administration', '* /v1/projects/**'),
  endpoint('administration', '* /v1/auth/token/**'),
]

export const deepgram = providerRow({
  id: 'deepgram',
  title: 'Deepgram',
  origin: 'https://api.deepgram.com',
  hosts: [{ prefix: '/v1/agent', origin: 'https://agent.deepgram.com' }],
  baseUrl: {
    example: 'https://api.eu.deepgram.com',
    required: false,
    note: 'The address of accounts that are kept in the European Union.',
  },
  auth: { type: 'header', name: 'authorization', word: 'Token' },
  dialect: deepgramDialect,
  keyHints: [{ pattern: /^[0-9a-f]{40}$/ }],
  keyCheck: { method: 'GET', path: '/v1/auth/token', works: [200], restricted: [402, 403, 429], refused: [401] },
  sockets: deepgramSockets,
  endpoints,
  unverified: ['the header `dg-char-count`'],
})
