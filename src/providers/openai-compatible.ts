import { endpoint, inBodyOrForm, json, under } from './endpoints.js'
import { common, messages, openaiCompatible, slashed, withoutIncludeUsage } from './openai-row.js'
import type { Endpoint } from './provider.js'
import * as own from './resources/others.js'
import { xaiSockets } from './sockets/sockets.js'
import { beginsWith, statedError } from './stated-error.js'

export const groq = openaiCompatible({
  id: 'groq',
  title: 'Groq',
  origin: 'https://api.groq.com',
  keyHints: [{ pattern: /^gsk_[A-Za-z0-9]{40,}$/ }],
  endpoints: under('/openai/v1', [...common, slashed, endpoint('account', '* /fine_tunings/**')]),
  compatiblePath: '/openai/v1',
  unverified: ['its Responses API'],
})

const deepseekRows: readonly Endpoint[] = [
  ...under('', common),
  ...under('/v1', common),
  ...under('/beta', common),
  ...under('/anthropic/v1', [...messages, endpoint('inference', 'GET /models')]),
  endpoint('administration', '* /user/**'),
]

export const deepseek = openaiCompatible({
  id: 'deepseek',
  title: 'DeepSeek',
  origin: 'https://api.deepseek.com',
  keyHints: [{ pattern: /^sk-[a-z0-9]{32}$/ }],
  // the list of models may be open to everybody; this also works while the balance is empty
  keyCheck: { method: 'GET', path: '/user/balance', works: [200], restricted: [402, 403, 429], refused: [401] },
  endpoints: deepseekRows,
  compatiblePath: '/v1',
  messagesPath: '/anthropic/v1',
})

export const cerebras = openaiCompatible({
  id: 'cerebras',
  title: 'Cerebras',
  origin: 'https://api.cerebras.ai',
  keyHints: [{ pattern: /^csk-[a-z0-9]{40,}$/ }],
  endpoints: [
    ...under('/v1', common),
    // the catalogue, which needs no key
    ...under('/public/v1', [endpoint('inference', 'GET /models/**')]),
  ],
  compatiblePath: '/v1',
  unverified: ['the form of its keys'],
})

/** Source: docs.x.ai/api-reference. Its Messages API is announced as deprecated. */
const xaiRows: readonly Endpoint[] = [
  ...own.owning(common, { 'POST /chat/completions': own.deferredMade }),
  ...messages,
  endpoint('inference', 'POST /tokenize-text', { models: json('/model') }),
  // speech in and out; neither names a model
  endpoint('inference', 'POST /tts', { countsText: ['/text'] }),
  endpoint('inference', 'GET /tts/voices'),
  endpoint('inference', 'POST /stt'),
  ...['language', 'image-generation', 'video-generation', 'embedding'].flatMap(kind => [
    endpoint('inference', `GET /${kind}-models`),
    endpoint('inference', `GET /${kind}-models/*`),
  ]),
  endpoint('account', 'GET /chat/deferred-completion/*', { owns: own.deferred }),
  endpoint('account', '* /custom-voices/**'),
  endpoint('account', '* /collections/**'),
  endpoint('account', '* /documents/**'),
  endpoint('administration', '* /api-key/**'),
]

const badKeyOfXai = /^(?:Incorrect|Invalid) API key|^(?:\w+ )?API key is disabled/i

export const xai = openaiCompatible({
  id: 'xai',
  sockets: xaiSockets,
  title: 'xAI',
  origin: 'https://api.x.ai',
  keyHints: [{ pattern: /^xai-[0-9A-Za-z_]{80}$/ }],
  keyCheck: { method: 'GET', path: '/v1/api-key', works: [200], restricted: [403, 429], refused: [400, 401] },
  endpoints: under('/v1', xaiRows),
  compatiblePath: '/v1',
  messagesPath: '/v1',
  // an unknown key is a bad argument here
  keyRefused: (status, body) => status === 401 || (status === 400 && badKeyOfXai.test(statedError(body).message)),
})

const zaiRows: readonly Endpoint[] = [
  ...withoutIncludeUsage(common.filter(row => !row.pattern.startsWith('/videos'))),
  endpoint('inference', 'POST /tokenizer', { models: json('/model') }),
  endpoint('inference', 'POST /layout_parsing', { models: json('/model') }),
  endpoint('inference', 'POST /rerank', { models: json('/model'), bills: 'documents' }),
  endpoint('inference', 'POST /web_search'),
  // what is asked for now is fetched later by its id, from whoever knows it
  endpoint('account', 'POST /videos/generations', { models: json('/model') }),
  endpoint('account', 'POST /async/**', { models: json('/model') }),
  endpoint('account', '* /async-result/**'),
  endpoint('account', '* /videos/**'),
  // fetches any address that it is given
  endpoint('account', 'POST /reader'),
  endpoint('account', '* /knowledge/**'),
  endpoint('account', '* /document/**'),
  endpoint('account', '* /voice/**'),
]

/** Sources: docs.z.ai/api-reference and its openapi.json. The coding plan has a base of its own and the same calls. */
export const zai = openaiCompatible({
  id: 'zai',
  title: 'Z.ai',
  origin: 'https://api.z.ai',
  keyHints: [{ pattern: /^[0-9a-f]{32}\.[A-Za-z0-9]{16}$/ }],
  endpoints: [
    ...under('/api/paas/v4', zaiRows),
    ...under('/api/coding/paas/v4', zaiRows),
    ...under('/api/anthropic', under('/v1', [...messages, endpoint('inference', 'GET /models')])),
    endpoint('inference', 'POST /api/v1/agents', { models: json('/agent_id'), estimate: true }),
    endpoint('account', '* /api/v1/agents/*/**'),
    endpoint('administration', '* /api/monitor/**'),
    endpoint('administration', '* /api/biz/**'),
    endpoint('administration', '* /api/auth/**'),
  ],
  compatiblePath: '/api/paas/v4',
  messagesPath: '/api/anthropic/v1',
  unverified: ['the form of its keys', 'the call that checks a key', 'that a stream states usage unasked'],
})

const githubRows: readonly Endpoint[] = common.filter(row => /^\/(?:chat\/completions|completions|embeddings)/.test(row.pattern))

/** Source: docs.github.com/rest/models. */
export const githubModels = openaiCompatible({
  id: 'github-models',
  title: 'GitHub Models',
  origin: 'https://models.github.ai',
  keyHints: [
    {
      pattern: /^ghp_[A-Za-z0-9]{36}$/,
      warn: 'a classic personal access token, which opens far more than models; make a fine-grained one with models: read alone',
    },
    { pattern: /^gh[ous]_[A-Za-z0-9]{36,}$/, warn: 'a token that GitHub made for an app, which expires' },
    { pattern: /^github_pat_[A-Za-z0-9_]{60,}$/ },
  ],
  keyCheck: { method: 'GET', path: '/catalog/models', works: [200], restricted: [403, 429], refused: [401] },
  endpoints: [
    ...under('/inference', githubRows),
    endpoint('inference', 'GET /catalog/models'),
    // who pays is not the client's to say
    ...under(
      '/orgs/*/inference',
      githubRows.filter(row => row.class === 'inference').map(row => ({ ...row, class: 'account' as const })),
    ),
  ],
  compatiblePath: '/inference',
  unverified: ['that the call that checks a key refuses a bad one'],
})

/** Sources: build.nvidia.com, docs.api.nvidia.com. */
export const nvidia = openaiCompatible({
  id: 'nvidia',
  title: 'NVIDIA NIM',
  origin: 'https://integrate.api.nvidia.com',
  keyHints: [{ pattern: /^nvapi-[A-Za-z0-9_-]{64}$/ }],
  endpoints: [
    ...under('/v1', [
      ...common,
      slashed,
      endpoint('inference', 'POST /ranking', { models: json('/model') }),
      // results of long calls, by an id
      endpoint('account', '* /status/**'),
    ]),
    // models that are not spoken to like OpenAI's: their names lie over two segments, so a rule about models refuses them
    ...under('/ai/v1', [
      endpoint('inference', 'POST /genai/**', { models: json('/model') }),
      endpoint('inference', 'POST /retrieval/**', { models: json('/model') }),
      endpoint('inference', 'POST /cv/**', { models: json('/model') }),
      endpoint('inference', 'POST /vlm/**', { models: json('/model'), estimate: true }),
      endpoint('account', '* /status/**'),
    ]),
    endpoint('account', '* /v2/nvcf/**'),
    endpoint('account', '* /ai/v2/nvcf/**'),
  ],
  hosts: [{ prefix: '/ai', origin: 'https://ai.api.nvidia.com', strips: true }],
  compatiblePath: '/v1',
  unverified: ['that the call that checks a key refuses a bad one: the list of models may be public'],
})

/** Source: huggingface.co/docs/inference-providers. */
export const huggingface = openaiCompatible({
  id: 'huggingface',
  title: 'Hugging Face',
  origin: 'https://router.huggingface.co',
  keyHints: [{ pattern: /^hf_[A-Za-z0-9]{34}$/ }, { pattern: /^api_org_[A-Za-z0-9]{34}$/, warn: 'a token of an organisation' }],
  endpoints: [
    ...under('/v1', [...common, slashed]),
    // the same calls, at one of the services behind it
    endpoint('inference', 'POST /*/v1/chat/completions', { models: json('/model'), includeUsage: true, estimate: true }),
    // `org/name` lies over two segments, so a rule about models refuses these
    endpoint('inference', 'POST /hf-inference/models/**', { models: json('/model'), estimate: 'input' }),
    endpoint('administration', '* /api/**'),
    endpoint('administration', '* /hub/**'),
  ],
  // only to ask about a key
  hosts: [{ prefix: '/hub', origin: 'https://huggingface.co', strips: true }],
  keyCheck: { method: 'GET', path: '/hub/api/whoami-v2', works: [200], restricted: [403, 429], refused: [401] },
  compatiblePath: '/v1',
})

/** What most of these services add. */
const rerank = endpoint('inference', 'POST /rerank', { models: json('/model'), bills: 'documents' })

/** Source: the together-ai package's api.md. */
export const together = openaiCompatible({
  id: 'together',
  title: 'Together AI',
  origin: 'https://api.together.xyz',
  keyHints: [{ pattern: /^tgp_v1_[A-Za-z0-9_-]{40,}$/ }, { pattern: /^[a-f0-9]{64}$/ }],
  endpoints: [
    ...under('/v1', [
      ...common,
      slashed,
      rerank,
      endpoint('inference', 'GET /voices'),
      endpoint('inference', 'GET /hardware'),
      // a session of the interpreter is anybody's who knows its id
      endpoint('account', '* /tci/**'),
      endpoint('account', 'POST /models'),
      endpoint('account', '* /finetune/**'),
      endpoint('account', '* /evaluation/**', { models: json('/parameters/judge/model', '/parameters/model_to_evaluate/model') }),
      endpoint('account', '* /jobs/**'),
      endpoint('account', '* /queue/**', { models: json('/model') }),
      endpoint('credential', '* /api-keys/**'),
      endpoint('credential', '* /deployments/secrets/**'),
      // machines, which cost money as long as they run
      endpoint('administration', '* /endpoints/**'),
      endpoint('administration', '* /clusters/**'),
      endpoint('administration', '* /compute/**'),
      endpoint('administration', '* /deployments/**'),
    ]),
    endpoint('account', '* /v2/videos/**', { models: inBodyOrForm }),
  ],
  compatiblePath: '/v1',
  unverified: ['the form of its keys'],
})

/** Sources: docs.fireworks.ai/api-reference. Transcriptions have hosts of their own, which need a key with that base URL. */
export const fireworks = openaiCompatible({
  id: 'fireworks',
  title: 'Fireworks AI',
  origin: 'https://api.fireworks.ai',
  keyHints: [{ pattern: /^fw_[A-Za-z0-9]{20,}$/ }],
  keyCheck: { method: 'GET', path: '/inference/v1/models', works: [200], restricted: [412, 429], refused: [401, 403] },
  endpoints: [
    ...under('/inference/v1', [
      ...common,
      ...messages,
      endpoint('inference', 'GET /models/accounts/**'),
      rerank,
      endpoint('inference', 'POST /workflows/accounts/*/models/{model}/text_to_image', { models: [{ in: 'path' }] }),
      endpoint('inference', 'POST /image_generation/accounts/*/models/{model}', { models: [{ in: 'path' }] }),
      // an asynchronous picture is anybody's who knows its id
      endpoint('account', 'POST /workflows/accounts/*/models/*'),
      endpoint('account', 'POST /workflows/accounts/*/models/*/get_result'),
    ]),
    endpoint('administration', '* /v1/accounts/**'),
  ],
  compatiblePath: '/inference/v1',
  messagesPath: '/inference/v1',
  keyRefused: (status, body) => status === 401 || (status === 403 && beginsWith(body, /api key|unauthorized|authenticat/i)),
  unverified: ['the form of its keys', 'the paths of its pictures', 'its Messages API'],
})
