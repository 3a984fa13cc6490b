import { Secret } from '../lib/secret.js'
import { anthropicDialect } from './dialect-anthropic.js'
import { geminiDialect, geminiKeyRefused } from './dialect-gemini.js'
import { openaiDialect } from './dialect-openai.js'
import { endpoint, inPath, json, under } from './endpoints.js'
import { isServiceAccount, tokenOfServiceAccount, withServiceAccount } from './google-token.js'
import type { Dialect, Endpoint, Usage } from './provider.js'
import { messagesNamed } from './resources/anthropic.js'
import { generateNamed } from './resources/gemini.js'
import { providerRow } from './row.js'
import { count, noUsage, object, unitsOf } from './usage.js'

/** `predict` counts tokens with each embedding, or characters for all of them. */
function readPrediction(value: unknown, soFar: Usage | undefined): Usage | undefined {
  const reply = object(value)
  const predictions = Array.isArray(reply?.predictions) ? reply.predictions : []
  let tokens: number | undefined
  for (const prediction of predictions) {
    const statistics = object(object(object(prediction)?.embeddings)?.statistics)
    const found = count(statistics?.token_count)
    if (found !== undefined) tokens = (tokens ?? 0) + found
  }
  if (tokens !== undefined) return { ...noUsage, inputTokens: tokens }
  if (soFar?.inputTokens) return soFar
  const characters = unitsOf('characters', object(reply?.metadata)?.billableCharacterCount)
  return characters ? { ...noUsage, ...characters } : geminiDialect.readUsage(value, soFar)
}

const predictDialect: Dialect = { ...geminiDialect, usageMembers: ['predictions', 'metadata', 'usageMetadata'], readUsage: readPrediction }

const generating = { models: inPath, estimate: true, owns: generateNamed } as const
const embedding = { models: inPath, estimate: 'input', dialect: predictDialect } as const
const ofAnthropic = { models: [...inPath, ...json('/model')], estimate: true, dialect: anthropicDialect, owns: messagesNamed } as const
// the others there, Mistral's and Meta's models, speak as OpenAI's do
const ofOthers = { models: [...inPath, ...json('/model')], estimate: true, dialect: openaiDialect } as const

const gemini: readonly Endpoint[] = [
  endpoint('inference', 'POST /{model}:generateContent', generating),
  endpoint('inference', 'POST /{model}:streamGenerateContent', generating),
  endpoint('inference', 'POST /{model}:countTokens', { models: inPath, free: true, owns: generateNamed }),
  endpoint('inference', 'POST /{model}:computeTokens', { models: inPath }),
  endpoint('inference', 'POST /{model}:embedContent', { models: inPath, estimate: 'input' }),
  endpoint('inference', 'POST /{model}:predict', embedding),
]

const published: readonly Endpoint[] = [
  ...under('/publishers/*/models', gemini),
  endpoint('inference', 'POST /publishers/anthropic/models/{model}:rawPredict', ofAnthropic),
  endpoint('inference', 'POST /publishers/anthropic/models/{model}:streamRawPredict', ofAnthropic),
  endpoint('inference', 'POST /publishers/*/models/{model}:rawPredict', ofOthers),
  endpoint('inference', 'POST /publishers/*/models/{model}:streamRawPredict', ofOthers),
  endpoint('inference', 'GET /publishers/*/models'),
  endpoint('inference', 'GET /publishers/*/models/{model}', { models: inPath }),
  // what these start is looked for again by its name
  endpoint('account', 'POST /publishers/*/models/*:predictLongRunning'),
  endpoint('account', 'POST /publishers/*/models/*:fetchPredictOperation'),
]

const compatible = { models: json('/model'), dialect: openaiDialect } as const

const ofProject: readonly Endpoint[] = [
  ...published,
  endpoint('inference', 'POST /endpoints/openapi/chat/completions', { ...compatible, includeUsage: true, estimate: true }),
  endpoint('inference', 'POST /endpoints/openapi/embeddings', { ...compatible, estimate: 'input' }),
  ...under('/endpoints', gemini),
  endpoint('account', 'GET /endpoints/**'),
  endpoint('account', 'POST /endpoints'),
  endpoint('account', 'PATCH /endpoints/*'),
  endpoint('account', 'PUT /endpoints/*'),
  endpoint('account', 'DELETE /endpoints/*'),
  endpoint('administration', '* /endpoints/*:deployModel'),
  endpoint('administration', '* /endpoints/*:undeployModel'),
  endpoint('administration', '* /endpoints/*:mutateDeployedModel'),
]

/** The project's own things, whatever is done to them. */
const resources = [
  'batchPredictionJobs',
  'cachedContents',
  'customJobs',
  'dataLabelingJobs',
  'datasets',
  'deploymentResourcePools',
  'evaluationItems',
  'evaluationRuns',
  'evaluationSets',
  'exampleStores',
  'extensions',
  'featureGroups',
  'featureOnlineStores',
  'featurestores',
  'hyperparameterTuningJobs',
  'indexEndpoints',
  'indexes',
  'memoryBanks',
  'metadataStores',
  'migratableResources',
  'modelDeploymentMonitoringJobs',
  'modelMonitors',
  'models',
  'nasJobs',
  'notebookExecutionJobs',
  'notebookRuntimes',
  'notebookRuntimeTemplates',
  'operations',
  'persistentResources',
  'pipelineJobs',
  'ragCorpora',
  'ragEngineConfig',
  'reasoningEngines',
  'schedules',
  'semanticGovernancePolicies',
  'specialistPools',
  'studies',
  'tensorboards',
  'trainingPipelines',
  'tuningJobs',
]

const place = '/projects/*/locations/*'

/** One version of the API. Sources: cloud.google.com/vertex-ai/docs/reference/rest, the @google/genai package 2.32. */
const version: readonly Endpoint[] = [
  ...published,
  ...under(place, ofProject),
  ...resources.flatMap(name => [endpoint('account', `* ${place}/${name}/**`), endpoint('account', `* ${place}/${name}:*`)]),
]

const verbs = ['setIamPolicy', 'getIamPolicy', 'testIamPermissions']

export const vertex = providerRow({
  id: 'vertex',
  aliases: ['vertex-ai', 'google-vertex'],
  title: 'Google Vertex AI',
  origin: 'https://aiplatform.googleapis.com',
  baseUrl: {
    example: 'https://LOCATION-aiplatform.googleapis.com',
    required: false,
    note: 'The usual address is that of the location `global`; the location in a path has to fit the address, so us-central1 needs https://us-central1-aiplatform.googleapis.com.',
  },
  dialect: geminiDialect,
  keyHints: [
    { pattern: /^\s*\{[\s\S]*"type"\s*:\s*"service_account"/ },
    { pattern: /^AIza[0-9A-Za-z_-]{35}$/ },
    { pattern: /^AQ\.[0-9A-Za-z_-]{20,}$/ },
  ],
  endpoints: ['/v1', '/v1beta1'].flatMap(prefix => [
    ...under(prefix, version),
    ...verbs.flatMap(verb =>
      ['', '/*', '/*/*', '/*/*/*/*'].map(rest => endpoint('administration', `* ${prefix}${place}/*${rest}:${verb}`)),
    ),
  ]),
  dropRequestHeaders: ['x-goog-user-project', 'x-goog-iam-*', 'x-goog-authenticated-*'],
  keyRefused: (status, body) => geminiKeyRefused(status, body) && !/PERMISSION_DENIED.*aiplatform\./s.test(body),
  /** A service account's key file is traded for tokens; anything else is an API key of express mode. */
  authorize(call, secret) {
    if (isServiceAccount(secret)) return withServiceAccount(call, secret)
    return { headers: [], credentials: [{ name: 'x-goog-api-key', secret: new Secret(secret.bytes()) }] }
  },
  issued: tokenOfServiceAccount,
  unverified: ['the form of the keys of express mode', 'some of the resources of a project'],
})
