import { openaiDialect } from './dialect-openai.js'
import { endpoint, json, under } from './endpoints.js'
import { commonInference } from './endpoints-openai.js'
import { withFallbacks } from './openai-row.js'
import type { Dialect, Endpoint, Usage } from './provider.js'
import * as own from './resources/others.js'
import { providerRow } from './row.js'
import { assemblyaiSockets } from './sockets/sockets.js'
import { count, noUsage, object, unitsOf } from './usage.js'

/** A finished transcript says how long the sound was; LeMUR counts tokens. */
function readUsage(value: unknown, soFar: Usage | undefined): Usage | undefined {
  const reply = object(value)
  const usage = object(reply?.usage)
  const input = count(usage?.input_tokens)
  if (input !== undefined) return { ...noUsage, inputTokens: input, outputTokens: count(usage?.output_tokens) ?? 0 }
  const finished = reply?.status === undefined || reply.status === 'completed'
  const seconds = finished ? unitsOf('audioSeconds', reply?.audio_duration ?? reply?.audio_duration_seconds) : undefined
  return seconds ? { ...noUsage, ...seconds } : soFar
}

const assemblyaiDialect: Dialect = {
  name: 'assemblyai',
  errorBody: ({ message, code }) => ({ error: message, code }),
  // the status first: it has to be read with the duration, and what stands behind it is read along
  usageMembers: ['status', 'audio_duration', 'usage'],
  readUsage,
  maxOutputPointers: ['/max_output_size'],
  choicesPointers: [],
  textMembers: [],
  modelMember: 'speech_model_used',
}

const speech = json('/speech_model', '/speech_models/*')
const gateway = commonInference.filter(row => row.pattern === '/chat/completions')

/** Source: the assemblyai package 4.41, assemblyai.com/docs/api-reference, assemblyai.com/docs/llm-gateway. */
const endpoints: readonly Endpoint[] = [
  endpoint('inference', 'POST /v2/transcript', { models: speech, owns: own.transcriptsMade }),
  // transcripts and what was uploaded for them are found by an id alone, whoever made them
  endpoint('account', '* /v2/upload/**', { owns: own.transcriptUploads }),
  endpoint('account', 'GET /v2/transcript/**', { owns: own.transcripts }),
  endpoint('account', 'DELETE /v2/transcript/**', { owns: own.transcripts }),
  endpoint('account', '* /lemur/v3/**', { models: json('/final_model'), owns: own.lemur }),
  ...under(
    '/llm-gateway/v1',
    withFallbacks(gateway).map(({ includeUsage, ...row }) => ({ ...row, dialect: openaiDialect })),
  ),
  endpoint('credential', '* /v3/token/**'),
  endpoint('credential', '* /v2/realtime/token/**'),
  endpoint('administration', '* /v2/account/**'),
]

export const assemblyai = providerRow({
  id: 'assemblyai',
  title: 'AssemblyAI',
  origin: 'https://api.assemblyai.com',
  hosts: [
    { prefix: '/v3', origin: 'https://streaming.assemblyai.com' },
    { prefix: '/llm-gateway', origin: 'https://llm-gateway.assemblyai.com', strips: true },
  ],
  baseUrl: { example: 'https://api.eu.assemblyai.com', required: false, note: 'The address of what is processed in the European Union.' },
  auth: { type: 'header', name: 'authorization' },
  dialect: assemblyaiDialect,
  keyHints: [{ pattern: /^[0-9a-f]{32}$/ }],
  keyCheck: { method: 'GET', path: '/v2/transcript?limit=1', works: [200], restricted: [402, 403, 429], refused: [401] },
  sockets: assemblyaiSockets,
  endpoints,
  compatiblePath: '/llm-gateway/v1',
})
