import { endpoint, json } from './endpoints.js'
import type { Dialect, Endpoint, ModelPlace, Usage } from './provider.js'
import * as own from './resources/others.js'
import { providerRow } from './row.js'
import { elevenlabsSockets } from './sockets/sockets.js'
import { noUsage, object, unitsOf } from './usage.js'

/** Transcripts say how long the sound was; speech is counted by the head of its reply. */
function readUsage(value: unknown, soFar: Usage | undefined): Usage | undefined {
  const seconds = unitsOf('audioSeconds', object(value)?.audio_duration_secs)
  return seconds ? { ...(soFar ?? noUsage), ...seconds } : soFar
}

const elevenlabsDialect: Dialect = {
  name: 'elevenlabs',
  errorBody: ({ message, code }) => ({ detail: { status: code, message } }),
  usageMembers: ['audio_duration_secs'],
  readUsage,
  usageHeaders: { 'character-cost': 'characters' },
  maxOutputPointers: [],
  choicesPointers: [],
  textMembers: [],
  modelMember: 'model_id',
}

const model = json('/model_id')
const form: readonly ModelPlace[] = [{ in: 'multipart', field: 'model_id' }]
const text = { models: model, countsText: ['/text'], owns: own.speaking('/text-to-speech') } as const
const dialogue = { models: model, countsText: ['/inputs/*/text'], owns: own.dialogueNamed } as const

/** Voices, histories and dictionaries are the whole account's; so is everything that is made once and read again by id. */
const accountRoots = [
  'assets',
  'audio-native',
  'dubbing',
  'flows',
  'history',
  'productions',
  'pronunciation-dictionaries',
  'shared-voices',
  'similar-voices',
  'speech-engine',
  'studio',
  'text-to-voice',
  'voice-generation',
  'projects',
  'convai',
]
const administrationRoots = ['user', 'usage', 'workspace', 'workspaces', 'service-accounts']

/** Source: the @elevenlabs/elevenlabs-js package 2.73. */
const rows: readonly Endpoint[] = [
  endpoint('inference', 'POST /v1/text-to-speech/*', text),
  endpoint('inference', 'POST /v1/text-to-speech/*/stream', text),
  endpoint('inference', 'POST /v1/text-to-speech/*/with-timestamps', text),
  endpoint('inference', 'POST /v1/text-to-speech/*/stream/with-timestamps', text),
  endpoint('inference', 'POST /v1/text-to-dialogue', dialogue),
  endpoint('inference', 'POST /v1/text-to-dialogue/stream', dialogue),
  endpoint('inference', 'POST /v1/text-to-dialogue/with-timestamps', dialogue),
  endpoint('inference', 'POST /v1/text-to-dialogue/stream/with-timestamps', dialogue),
  endpoint('inference', 'POST /v1/sound-generation', { models: model }),
  endpoint('inference', 'POST /v1/music', { models: model }),
  endpoint('inference', 'POST /v1/music/stream', { models: model }),
  endpoint('inference', 'POST /v1/music/detailed', { models: model }),
  endpoint('inference', 'POST /v1/music/detailed/stream', { models: model }),
  endpoint('inference', 'POST /v1/music/plan', { models: model }),
  endpoint('inference', 'POST /v1/music/stem-separation'),
  endpoint('inference', 'POST /v1/music/video-to-music', { models: form }),
  endpoint('inference', 'POST /v1/speech-to-text', { models: form, bills: 'sound' }),
  endpoint('inference', 'POST /v1/speech-to-speech/*', { models: form, owns: own.speaking('/speech-to-speech') }),
  endpoint('inference', 'POST /v1/speech-to-speech/*/stream', { models: form, owns: own.speaking('/speech-to-speech') }),
  endpoint('inference', 'POST /v1/audio-isolation'),
  endpoint('inference', 'POST /v1/audio-isolation/stream'),
  endpoint('inference', 'POST /v1/forced-alignment'),
  endpoint('inference', 'GET /v1/models'),
  endpoint('inference', 'GET /v1/audio-effects/catalog'),
  endpoint('account', '* /v1/speech-to-text/transcripts/**'),
  endpoint('account', '* /v1/audio-isolation/history/**'),
  endpoint('account', '* /v1/music/finetunes/**'),
  endpoint('account', '* /v1/music/upload/**'),
  endpoint('account', '* /v2/**'),
  endpoint('account', '* /v1/voices/**', { owns: own.elevenlabsVoices }),
  ...accountRoots.map(root => endpoint('account', `* /v1/${root}/**`)),
  endpoint('credential', '* /v1/single-use-token/**'),
  endpoint('credential', '* /v1/convai/conversation/get-signed-url/**'),
  endpoint('credential', '* /v1/convai/conversation/get_signed_url/**'),
  endpoint('credential', '* /v1/convai/conversation/token/**'),
  endpoint('credential', '* /v1/convai/secrets/**'),
  endpoint('credential', '* /v1/service-accounts/*/api-keys/**'),
  endpoint('administration', '* /v1/convai/settings/**'),
  ...administrationRoots.map(root => endpoint('administration', `* /v1/${root}/**`)),
]

// 401 is also what a key without the permission, a used-up quota or a suspicion of abuse is answered with
const badKey = /invalid_api_key|needs_authorization|api_key_disabled|invalid api key/i

export const elevenlabs = providerRow({
  id: 'elevenlabs',
  title: 'ElevenLabs',
  origin: 'https://api.elevenlabs.io',
  baseUrl: {
    example: 'https://api.REGION.residency.elevenlabs.io',
    required: false,
    note: 'With data residency (eu, in, sg) the account lives at an address of its own; https://api.us.elevenlabs.io is the American one.',
  },
  auth: { type: 'header', name: 'xi-api-key' },
  dialect: elevenlabsDialect,
  keyHints: [{ pattern: /^sk_[a-f0-9]{48}$/ }, { pattern: /^[a-f0-9]{32}$/ }],
  keyCheck: { method: 'GET', path: '/v1/models', works: [200], restricted: [403, 429], refused: [401] },
  endpoints: rows,
  sockets: elevenlabsSockets,
  keyRefused: (status, body) => status === 401 && badKey.test(body),
  unverified: ['the header `character-cost` of its replies', 'names of some refusals'],
})
