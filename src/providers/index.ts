import { anthropic } from './anthropic.js'
import { assemblyai } from './assemblyai.js'
import { azureOpenai } from './azure-openai.js'
import { bedrock } from './bedrock.js'
import { brave } from './brave.js'
import { cohere } from './cohere.js'
import { deepgram } from './deepgram.js'
import { deepl } from './deepl.js'
import { findDialect } from './dialects.js'
import { elevenlabs } from './elevenlabs.js'
import { under } from './endpoints.js'
import { anthropicRows } from './endpoints-anthropic.js'
import { openaiRows } from './endpoints-openai.js'
import { fal } from './fal.js'
import { gemini, geminiRows } from './gemini.js'
import { compileKeyShapes } from './key-shape.js'
import { mistral } from './mistral.js'
import { ollama } from './ollama.js'
import { openai } from './openai.js'
import { cerebras, deepseek, fireworks, githubModels, groq, huggingface, nvidia, together, xai, zai } from './openai-compatible.js'
import { withFallbacks } from './openai-row.js'
import { openrouter } from './openrouter.js'
import { perplexity } from './perplexity.js'
import type { AuthScheme, Endpoint, Provider } from './provider.js'
import { replicate } from './replicate.js'
import { jina, voyage } from './retrieval.js'
import { sandbox } from './sandbox.js'
import { conventionalRows, lmstudio, vllm } from './self-hosted.js'
import { conventionalSockets } from './sockets/sockets.js'
import { stability } from './stability.js'
import { vertex } from './vertex.js'

/** Every provider there is, in the order of the docs. */
export const providers: readonly Provider[] = [
  openai,
  anthropic,
  gemini,
  groq,
  mistral,
  deepseek,
  xai,
  openrouter,
  together,
  fireworks,
  perplexity,
  zai,
  githubModels,
  nvidia,
  cerebras,
  huggingface,
  voyage,
  jina,
  brave,
  deepl,
  cohere,
  azureOpenai,
  vertex,
  bedrock,
  elevenlabs,
  deepgram,
  assemblyai,
  replicate,
  fal,
  stability,
  ollama,
  vllm,
  lmstudio,
  sandbox,
]

const byId = new Map(providers.map(provider => [provider.id, provider]))
const aliases = new Map(providers.flatMap(({ id, aliases = [] }) => aliases.map(alias => [alias, id])))

/** By its id, not by an alias: see `providerId`. */
export function findProvider(id: string): Provider | undefined {
  return byId.get(id)
}

/** The id behind an alias; any other name as it is. Names are turned into ids where they come in: in paths and on the CLI. */
export function providerId(name: string): string {
  return aliases.get(name) ?? name
}

/** Whether a text sent as an access token looks like some provider's real key. */
export const looksLikeProviderKey: (text: string) => boolean = compileKeyShapes(providers)

/** First path segments that are ours: never a provider's name. */
export const reservedNames: ReadonlySet<string> = new Set([
  'v1',
  'auth',
  'jwt',
  'get-jwt',
  'api',
  'admin',
  'proxy',
  'credentials',
  'docs',
  'metrics',
  'healthz',
  'readyz',
])

const shape = /^[a-z][a-z0-9-]{0,38}[a-z0-9]$/

/** Whether a custom provider may be called so. */
export function isProviderName(id: string): boolean {
  return shape.test(id) && !reservedNames.has(id) && !aliases.has(id)
}

const conventional: Readonly<Record<string, readonly Endpoint[]>> = {
  openai: withFallbacks([...['', '/v1'].flatMap(prefix => under(prefix, openaiRows)), ...conventionalRows]),
  anthropic: ['', '/v1'].flatMap(prefix => under(prefix, anthropicRows)),
  gemini: ['', '/v1', '/v1beta', '/v1alpha'].flatMap(prefix => under(prefix, geminiRows)),
}

/** How a key record describes a service that no row does. */
export interface CustomProvider {
  readonly id: string
  readonly baseUrl: string
  readonly auth: AuthScheme
  /** A name in `dialects`. */
  readonly dialect: string
}

/** Where the API begins, relative to a base URL: one that ends in a version is not followed by another. */
function versionAfter(baseUrl: string, dialect: string): string {
  const versioned = /\/v\d[a-z0-9]*\/?$/.test(new URL(baseUrl).pathname)
  return versioned ? '' : dialect === 'gemini' ? '/v1beta' : '/v1'
}

/** The row of a service that only its keys describe. Undefined for a dialect or base URL that is none. Build it once per key, not per call. */
export function customProvider({ id, baseUrl, auth, dialect: name }: CustomProvider): Provider | undefined {
  const dialect = findDialect(name)
  const endpoints = conventional[name]
  if (!dialect || !endpoints || !URL.canParse(baseUrl)) return undefined
  const version = versionAfter(baseUrl, name)
  const known = providers.find(provider => provider.dialect === dialect)
  return {
    id,
    title: id,
    origin: new URL(baseUrl).origin,
    auth,
    dialect,
    keyHints: [],
    keyCheck: {
      method: 'GET',
      path: `${version}/models`,
      headers: known?.defaultHeaders ?? {},
      works: [200],
      restricted: [403, 429],
      refused: [401],
    },
    endpoints,
    ...(name === 'openai' ? { compatiblePath: version } : {}),
    ...(name === 'anthropic' ? { messagesPath: version } : {}),
    sockets: conventionalSockets[name] ?? [],
    defaultHeaders: known?.defaultHeaders ?? {},
    allowRequestHeaders: [],
    dropRequestHeaders: [],
    dropResponseHeaders: known?.dropResponseHeaders ?? [],
    ...(known?.gatedHeader === undefined ? {} : { gatedHeader: known.gatedHeader }),
    ...(known?.tokenQuery === undefined ? {} : { tokenQuery: known.tokenQuery }),
    keyRefused: (status, body) => known?.keyRefused(status, body) ?? status === 401,
  }
}

export { formatAuthScheme, parseAuthScheme } from './auth-scheme.js'
export { dialects, findDialect } from './dialects.js'
export { checkPath, type EndpointMatch, matchEndpoint, matchUnderPrefix, pathReadings } from './match.js'
export { concernsCallOnly, quotaSpent, retryDelayMs } from './quota.js'
export { type Batch, findBatch, plainId } from './resources/batch.js'
export { around, type OwnershipPlan, ownershipOf, resourceKinds, wayOf } from './resources/ownership.js'
export { namesAccount } from './resources/resources.js'
export { asSocketProvider, isSocketEndpoint } from './sockets/socket.js'
export { onlyUnits, sumUsage } from './sockets/usage.js'
export { noUsage, statedUsage } from './usage.js'
