import { geminiDialect, geminiKeyRefused } from './dialect-gemini.js'
import { openaiDialect } from './dialect-openai.js'
import { endpoint, inPath, json, under } from './endpoints.js'
import { commonAccount, commonInference } from './endpoints-openai.js'
import type { Endpoint, ModelPlace, Provider } from './provider.js'
import * as own from './resources/gemini.js'
import { geminiSockets } from './sockets/sockets.js'

const generate: readonly ModelPlace[] = [...inPath, ...json('/model')]
const count: readonly ModelPlace[] = [...generate, ...json('/generateContentRequest/model', '/generate_content_request/model')]
const several: readonly ModelPlace[] = [...generate, ...json('/requests/*/model')]

const interactionModels = json('/model', '/agent', '/agent_config/model', '/agentConfig/model')

/** One version of the API, relative to `/v1beta` and its like. Sources: the @google/genai package 2.32, ai.google.dev/api. */
export const geminiRows: readonly Endpoint[] = [
  endpoint('inference', 'POST /models/{model}:generateContent', { models: generate, estimate: true, owns: own.generateNamed }),
  endpoint('inference', 'POST /models/{model}:streamGenerateContent', { models: generate, estimate: true, owns: own.generateNamed }),
  endpoint('inference', 'POST /models/{model}:generateMessage', { models: generate, estimate: true }),
  endpoint('inference', 'POST /models/{model}:generateText', { models: generate, estimate: true }),
  endpoint('inference', 'POST /models/{model}:generateAnswer', { models: generate, estimate: true, owns: own.generateNamed }),
  endpoint('inference', 'POST /models/{model}:embedContent', { models: generate, estimate: 'input', owns: own.generateNamed }),
  endpoint('inference', 'POST /models/{model}:batchEmbedContents', { models: several, estimate: 'input', owns: own.generateNamed }),
  endpoint('inference', 'POST /models/{model}:embedText', { models: generate, estimate: 'input' }),
  endpoint('inference', 'POST /models/{model}:batchEmbedText', { models: several, estimate: 'input' }),
  endpoint('inference', 'POST /models/{model}:countTokens', { models: count, free: true, owns: own.generateNamed }),
  endpoint('inference', 'POST /models/{model}:countTextTokens', { models: generate }),
  endpoint('inference', 'POST /models/{model}:countMessageTokens', { models: generate }),
  endpoint('inference', 'POST /models/{model}:computeTokens', { models: generate }),
  endpoint('inference', 'POST /models/{model}:predict', { models: generate, owns: own.generateNamed }),
  endpoint('inference', 'POST /interactions', { models: interactionModels, estimate: true, owns: own.interactionsMade }),
  endpoint('inference', 'GET /models'),
  endpoint('inference', 'GET /models/{model}', { models: inPath }),
  // these leave something behind that is the project's, not the caller's
  endpoint('account', 'POST /models/*:predictLongRunning', { models: json('/model'), owns: own.operationsMade }),
  endpoint('account', 'POST /models/*:batchGenerateContent', { owns: own.batchesMade }),
  endpoint('account', 'POST /models/*:asyncBatchEmbedContent', { models: json('/model', '/batch/model'), owns: own.batchesMade }),
  endpoint('account', '* /models/*/operations/**', { owns: own.operations }),
  endpoint('account', '* /interactions/*/**', { owns: own.interactions }),
  endpoint('account', '* /agents/**'),
  endpoint('account', '* /environments/**'),
  endpoint('account', '* /triggers/**'),
  endpoint('account', '* /voices/**'),
  endpoint('account', '* /files/**', { owns: own.geminiFiles }),
  endpoint('account', '* /files:register'),
  endpoint('account', '* /generatedFiles/**'),
  endpoint('account', '* /cachedContents/**', { models: json('/model'), owns: own.caches }),
  endpoint('account', '* /tunedModels/**', { models: json('/baseModel', '/base_model') }),
  endpoint('account', '* /tunedModels:*'),
  endpoint('account', '* /tuningJobs/**', { models: json('/baseModel', '/base_model') }),
  endpoint('account', '* /tuningJobs:*'),
  endpoint('account', '* /batches/**', { owns: own.geminiBatches }),
  endpoint('account', '* /operations/**'),
  endpoint('account', '* /corpora/**'),
  endpoint('account', '* /fileSearchStores/**', { owns: own.stores }),
  endpoint('account', '* /ragStores/**'),
  endpoint('credential', '* /auth_tokens/**'),
  endpoint('credential', '* /authTokens/**'),
  // secrets that are kept there and put into what agents send
  endpoint('credential', '* /credentials/**'),
  endpoint('administration', '* /webhooks/**'),
  endpoint('administration', '* /tunedModels/*/permissions/**'),
  endpoint('administration', '* /tunedModels/*:transferOwnership'),
  endpoint('administration', '* /corpora/*/permissions/**'),
]

const versions = ['/v1', '/v1beta', '/v1alpha']

const endpoints: readonly Endpoint[] = [
  ...versions.flatMap(version => under(version, geminiRows)),
  ...versions.flatMap(version => under(`/upload${version}`, [endpoint('account', '* /**', { owns: own.geminiUploads })])),
  ...versions.flatMap(version => under(`/download${version}`, [endpoint('account', '* /**', { owns: own.geminiDownloads })])),
  ...under(
    '/v1beta/openai',
    [...commonInference, ...commonAccount].map(row => ({ ...row, dialect: openaiDialect })),
  ),
  // the model stands in the first message, which no rule has seen when the upgrade is decided
  endpoint('inference', 'GET /ws/google.ai.generativelanguage.*.GenerativeService.BidiGenerateContent'),
  endpoint('inference', 'GET /ws/google.ai.generativelanguage.*.GenerativeService.BidiGenerateMusic'),
]

export const gemini: Provider = {
  id: 'gemini',
  title: 'Google Gemini',
  origin: 'https://generativelanguage.googleapis.com',
  auth: { type: 'header', name: 'x-goog-api-key' },
  dialect: geminiDialect,
  keyHints: [{ pattern: /^AIza[0-9A-Za-z_-]{35}$/ }, { pattern: /^AQ\.[0-9A-Za-z_-]{20,}$/ }],
  keyCheck: { method: 'GET', path: '/v1beta/models?pageSize=1', works: [200], restricted: [403, 429], refused: [400, 401] },
  endpoints,
  sockets: geminiSockets,
  compatiblePath: '/v1beta/openai',
  defaultHeaders: {},
  allowRequestHeaders: [],
  dropRequestHeaders: ['x-goog-user-project', 'x-goog-iam-*', 'x-goog-authenticated-*'],
  dropResponseHeaders: [],
  // the session of a resumable upload
  calledNext: { headers: ['x-goog-upload-url', 'x-goog-upload-control-url'], members: [] },
  tokenQuery: 'key',
  keyRefused: geminiKeyRefused,
}
