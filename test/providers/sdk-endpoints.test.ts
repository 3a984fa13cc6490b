import t from 'tap'
import { findProvider, matchEndpoint } from '../../src/providers/index.js'
import {
  awsCalls,
  bundledCalls,
  fernCalls,
  requestedCalls,
  type SdkCall,
  speakeasyCalls,
  stainlessCalls,
} from '../support/sdk-endpoints.js'

// The official SDKs are the most complete list of a provider's calls: a new one that they learn shows up here.

interface Subject {
  readonly calls: readonly SdkCall[]
  /** At least so many, or the list was not found. */
  readonly atLeast: number
  /** All that a grant opens by itself. */
  readonly open: readonly SdkCall[]
}

const subjects: Readonly<Record<string, Subject>> = {
  openai: {
    calls: stainlessCalls('node_modules/openai/resources').map(call => call.replace(' /', ' /v1/')),
    atLeast: 250,
    open: [
      'GET /v1/models',
      'GET /v1/models/x1',
      'POST /v1/audio/speech',
      'POST /v1/audio/transcriptions',
      'POST /v1/audio/translations',
      'POST /v1/chat/completions',
      'POST /v1/completions',
      'POST /v1/embeddings',
      'POST /v1/images/edits',
      'POST /v1/images/generations',
      'POST /v1/images/variations',
      'POST /v1/moderations',
      'POST /v1/responses',
      'POST /v1/responses/compact',
      'POST /v1/responses/input_tokens',
    ],
  },
  anthropic: {
    calls: stainlessCalls('node_modules/@anthropic-ai/sdk/resources'),
    atLeast: 250,
    open: ['GET /v1/models', 'GET /v1/models/x1', 'POST /v1/messages', 'POST /v1/messages/count_tokens'],
  },
  groq: {
    calls: stainlessCalls('node_modules/groq-sdk/resources'),
    atLeast: 15,
    open: [
      'GET /openai/v1/models',
      'GET /openai/v1/models/x1',
      'POST /openai/v1/audio/speech',
      'POST /openai/v1/audio/transcriptions',
      'POST /openai/v1/audio/translations',
      'POST /openai/v1/chat/completions',
      'POST /openai/v1/embeddings',
    ],
  },
  mistral: {
    calls: speakeasyCalls('node_modules/@mistralai/mistralai/esm/funcs'),
    atLeast: 200,
    open: [
      'GET /v1/models',
      'GET /v1/models/x1',
      'POST /v1/agents/completions',
      'POST /v1/audio/speech',
      'POST /v1/audio/transcriptions',
      'POST /v1/chat/classifications',
      'POST /v1/chat/completions',
      'POST /v1/chat/moderations',
      'POST /v1/classifications',
      'POST /v1/embeddings',
      'POST /v1/fim/completions',
      'POST /v1/moderations',
      'POST /v1/ocr',
    ],
  },
  cohere: {
    calls: fernCalls('node_modules/cohere-ai/dist'),
    atLeast: 40,
    open: [
      'GET /v1/models',
      'GET /v1/models/x1',
      'POST /v1/chat',
      'POST /v1/classify',
      'POST /v1/detokenize',
      'POST /v1/embed',
      'POST /v1/generate',
      'POST /v1/rerank',
      'POST /v1/summarize',
      'POST /v1/tokenize',
      'POST /v2/audio/transcriptions',
      'POST /v2/chat',
      'POST /v2/embed',
      'POST /v2/parse',
      'POST /v2/rerank',
    ],
  },
  elevenlabs: {
    calls: fernCalls('node_modules/@elevenlabs/elevenlabs-js/api'),
    atLeast: 400,
    open: [
      'GET /v1/audio-effects/catalog',
      'GET /v1/models',
      'POST /v1/audio-isolation',
      'POST /v1/audio-isolation/stream',
      'POST /v1/forced-alignment',
      'POST /v1/music',
      'POST /v1/music/detailed',
      'POST /v1/music/detailed/stream',
      'POST /v1/music/plan',
      'POST /v1/music/stem-separation',
      'POST /v1/music/stream',
      'POST /v1/music/video-to-music',
      'POST /v1/sound-generation',
      'POST /v1/speech-to-speech/x1',
      'POST /v1/speech-to-speech/x1/stream',
      'POST /v1/speech-to-text',
      'POST /v1/text-to-dialogue',
      'POST /v1/text-to-dialogue/stream',
      'POST /v1/text-to-dialogue/stream/with-timestamps',
      'POST /v1/text-to-dialogue/with-timestamps',
      'POST /v1/text-to-speech/x1',
      'POST /v1/text-to-speech/x1/stream',
      'POST /v1/text-to-speech/x1/stream/with-timestamps',
      'POST /v1/text-to-speech/x1/with-timestamps',
    ],
  },
  gemini: {
    // what it makes of resource names is not written out there
    calls: bundledCalls('node_modules/@google/genai/dist/node/index.mjs', 'v1beta'),
    atLeast: 30,
    open: ['POST /v1beta/interactions'],
  },
  deepgram: {
    calls: fernCalls('node_modules/@deepgram/sdk/dist/cjs/api'),
    atLeast: 40,
    open: [
      'GET /v1/agent/settings/think/models',
      'GET /v1/models',
      'GET /v1/models/x1',
      'POST /v1/listen',
      'POST /v1/read',
      'POST /v1/speak',
      'POST /v2/speak',
    ],
  },
  replicate: {
    calls: requestedCalls('node_modules/replicate/lib').map(call => call.replace(' /', ' /v1/')),
    atLeast: 25,
    open: [
      'GET /v1/collections',
      'GET /v1/collections/x1',
      'GET /v1/hardware',
      'GET /v1/models',
      'GET /v1/models/x1/x1',
      'GET /v1/models/x1/x1/versions',
      'GET /v1/models/x1/x1/versions/x1',
      'POST /v1/deployments/x1/x1/predictions',
      'POST /v1/models/x1/predictions',
      'POST /v1/predictions',
      'QUERY /v1/models',
    ],
  },
  bedrock: {
    // the bidirectional stream is HTTP/2 both ways at once, and is not served
    calls: awsCalls('node_modules/@aws-sdk/client-bedrock-runtime/dist-es/schemas').filter(call => !call.includes('bidirectional')),
    atLeast: 10,
    open: [
      'POST /guardrail-checks/invoke',
      'POST /guardrail/x1/version/x1/apply',
      'POST /model/x1/converse',
      'POST /model/x1/converse-stream',
      'POST /model/x1/count-tokens',
      'POST /model/x1/invoke',
      'POST /model/x1/invoke-with-response-stream',
    ],
  },
}

function classOf(id: string, call: SdkCall): string {
  const provider = findProvider(id)
  const [method = '', path = ''] = call.split(' ')
  const match = provider && matchEndpoint(provider, method, path)
  return match?.kind === 'endpoint' ? match.endpoint.class : 'new'
}

for (const [id, { calls, atLeast, open }] of Object.entries(subjects)) {
  t.test(`${id}: every call of its own SDK is in a row, and only inference is open`, async t => {
    t.ok(calls.length >= atLeast, `${calls.length} calls`)
    t.same(
      calls.filter(call => classOf(id, call) === 'new'),
      [],
      'none is new',
    )
    t.same(
      calls.filter(call => classOf(id, call) === 'inference'),
      open,
    )
  })

  t.test(
    `${id}: what its SDK calls keys, secrets, credentials, tokens or an organisation is closed to whoever may use an account’s files`,
    async t => {
      const strict = calls.filter(call => /secret|credential|api_key|\/organizations?\/|\/sessions$|service.account/i.test(call))
      const lax = strict.filter(call => !['credential', 'administration'].includes(classOf(id, call)))
      // an agent's sessions at Anthropic are work of the account, not a way in
      t.same(
        lax.filter(call => !call.includes('/v1/sessions')),
        [],
      )
    },
  )
}
