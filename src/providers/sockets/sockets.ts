import type { ErrorFacts, ModelPlace } from '../provider.js'
import { liveSocket } from '../resources/gemini.js'
import { realtimeSocket, responsesSocket } from '../resources/openai.js'
import { speaking } from '../resources/others.js'
import { geminiAnswers, openaiAnswers } from './bounds.js'
import { type SocketEndpoint, socket } from './socket.js'
import { assemblyaiReader, deepgramReader, geminiReader, openaiReader } from './usage.js'

const inQuery = (...names: string[]): ModelPlace[] => names.map(name => ({ in: 'query', name }))

/** `{"type":"error","error":{…}}` (https://platform.openai.com/docs/api-reference/realtime-server-events/error). */
const openaiError = ({ code, message, requestId }: ErrorFacts) => ({
  type: 'error',
  event_id: requestId,
  error: { type: 'invalid_request_error', code, message, param: null, event_id: null },
})

const realtimeModels = [
  '/session/model',
  '/session/audio/input/transcription/model',
  '/session/input_audio_transcription/model',
  '/response/model',
]

/** A model in the query, or for transcriptions (`intent=transcription`) and calls that are on already (`call_id`) in the first message. */
const realtime = (pattern: string, queries: readonly string[], tokenQuery: readonly string[] = []): SocketEndpoint =>
  socket(pattern, {
    models: inQuery(...queries),
    tokenQuery,
    messageModels: realtimeModels,
    estimates: 'tokens',
    countMembers: ['usage'],
    reader: openaiReader,
    bound: openaiAnswers,
    owns: realtimeSocket,
    errorMessage: openaiError,
  })

const responses = (pattern: string, tokenQuery: readonly string[] = []): SocketEndpoint =>
  socket(pattern, {
    models: inQuery('model'),
    tokenQuery,
    messageModels: ['/model', '/tools/*/model', '/moderation/model', '/response/model', '/response/tools/*/model'],
    workTypes: ['response.create'],
    maxOutputPointers: ['/max_output_tokens', '/response/max_output_tokens'],
    estimates: 'tokens',
    countMembers: ['usage'],
    reader: openaiReader,
    bound: { by: 'calls' },
    owns: responsesSocket,
    errorMessage: openaiError,
  })

/** Sources: openai 6.49 (`realtime/`, `resources/responses/ws`). */
export const openaiSockets: readonly SocketEndpoint[] = [realtime('/v1/realtime', ['model']), responses('/v1/responses')]

export const xaiSockets: readonly SocketEndpoint[] = [realtime('/v1/realtime', ['model']), responses('/v1/responses')]

/** Browsers say `?api-key=`, or `?Authorization=Bearer …` where they would send an Entra token. */
const azureTokens = ['api-key', 'authorization']

export const azureSockets: readonly SocketEndpoint[] = [
  realtime('/openai/realtime', ['deployment', 'model'], azureTokens),
  realtime('/openai/v1/realtime', ['model', 'deployment'], azureTokens),
  responses('/openai/v1/responses', azureTokens),
]

/** The Live API: its first message is `setup` and names the model, `models/…` (https://ai.google.dev/api/live). It takes JSON in binary messages too. */
const live = (method: string, row: Partial<SocketEndpoint> = {}): SocketEndpoint =>
  socket(`/ws/google.ai.generativelanguage.*.GenerativeService.${method}`, {
    tokenQuery: ['key', 'access_token'],
    messageModels: ['/setup/model'],
    estimates: 'tokens',
    countMembers: ['usageMetadata', 'modelTurn', 'turnComplete', 'interrupted'],
    reader: geminiReader,
    owns: liveSocket,
    ...row,
  })

export const geminiSockets: readonly SocketEndpoint[] = [live('BidiGenerateContent', { bound: geminiAnswers }), live('BidiGenerateMusic')]

const elevenlabsTokens = ['xi_api_key', 'xi-api-key', 'single_use_token', 'token', 'authorization']
const elevenlabsError = ({ code, message }: ErrorFacts) => ({ message, error: code, code: 1008 })

const elevenlabs = (pattern: string, row: Partial<SocketEndpoint>): SocketEndpoint =>
  socket(pattern, {
    tokenQuery: elevenlabsTokens,
    credentialPointers: ['/xi_api_key', '/xi-api-key', '/authorization', '/single_use_token'],
    errorMessage: elevenlabsError,
    ...row,
  })

const speech: Partial<SocketEndpoint> = {
  models: inQuery('model_id'),
  textPointers: ['/text'],
  bound: { by: 'characters' },
  owns: speaking('/text-to-speech'),
}

/** Sources: @elevenlabs/elevenlabs-js 2.73, elevenlabs.io/docs/api-reference (websockets). */
export const elevenlabsSockets: readonly SocketEndpoint[] = [
  elevenlabs('/v1/text-to-speech/*/stream-input', speech),
  elevenlabs('/v1/text-to-speech/*/multi-stream-input', speech),
  elevenlabs('/v1/speech-to-text/realtime', { models: inQuery('model_id'), estimates: 'audioSeconds', bound: { by: 'audioSeconds' } }),
  // an agent is the account's, with models and tools of its own
  elevenlabs('/v1/convai/conversation', { class: 'account', estimates: 'audioSeconds' }),
]

const deepgramError = ({ code, message }: ErrorFacts) => ({ type: 'Error', description: message, message, code })

const deepgram = (pattern: string, row: Partial<SocketEndpoint>): SocketEndpoint =>
  socket(pattern, { takesMedia: true, errorMessage: deepgramError, ...row })

/** Sources: @deepgram/sdk 5.13, developers.deepgram.com/reference. */
export const deepgramSockets: readonly SocketEndpoint[] = [
  deepgram('/v1/listen', {
    models: inQuery('model'),
    estimates: 'audioSeconds',
    countMembers: ['duration'],
    reader: deepgramReader,
    bound: { by: 'audioSeconds' },
  }),
  deepgram('/v2/listen', {
    models: inQuery('model'),
    estimates: 'audioSeconds',
    countMembers: ['duration'],
    reader: deepgramReader,
    bound: { by: 'audioSeconds' },
  }),
  deepgram('/v1/speak', { models: inQuery('model'), textPointers: ['/text'], bound: { by: 'characters' } }),
  deepgram('/v2/speak', { models: inQuery('model'), textPointers: ['/text'], bound: { by: 'characters' } }),
  deepgram('/v1/agent/converse', {
    messageModels: [
      '/agent/listen/provider/model',
      '/agent/think/provider/model',
      '/agent/think/*/provider/model',
      '/agent/speak/provider/model',
      '/agent/speak/*/provider/model',
      '/think/provider/model',
      '/think/*/provider/model',
      '/speak/provider/model',
      '/speak/*/provider/model',
    ],
    estimates: 'audioSeconds',
  }),
]

/** Sources: assemblyai 4.41, assemblyai.com/docs. */
export const assemblyaiSockets: readonly SocketEndpoint[] = [
  socket('/v3/ws', {
    tokenQuery: ['token'],
    models: inQuery('speech_model'),
    takesMedia: true,
    estimates: 'audioSeconds',
    countMembers: ['audio_duration_seconds', 'session_duration_seconds'],
    reader: assemblyaiReader,
    bound: { by: 'audioSeconds' },
    errorMessage: ({ code, message }) => ({ type: 'Error', error_code: code, error: message }),
  }),
]

/** For a service nobody described, by the dialect it speaks. */
export const conventionalSockets: Readonly<Record<string, readonly SocketEndpoint[]>> = {
  openai: [...openaiSockets, realtime('/realtime', ['model']), responses('/responses')],
  gemini: geminiSockets,
}
