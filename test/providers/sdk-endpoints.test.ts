import t from 'tap'
import { findProvider, matchEndpoint } from '../../src/providers/index.js'
import { type SdkCall, speakeasyCalls, stainlessCalls } from '../support/sdk-endpoints.js'

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
