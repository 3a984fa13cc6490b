import { SoakpError } from '../errors.js'
import { Secret } from '../lib/secret.js'
import { type AwsCredentials, sha256Hex, sigV4Headers } from '../lib/sigv4.js'
import { bedrockDialect } from './dialect-bedrock.js'
import { openaiDialect } from './dialect-openai.js'
import { endpoint, inPath, json, under } from './endpoints.js'
import { commonAccount, commonInference } from './endpoints-openai.js'
import { messages } from './openai-row.js'
import type { Authorization, CallToAuthorize, Endpoint } from './provider.js'
import { providerRow } from './row.js'

const generating = { models: inPath, estimate: true } as const
const compatible = ['/chat/completions', '/responses', '/models', '/models/{model}']
const ofOpenai = [...commonInference.filter(row => compatible.includes(row.pattern)), ...commonAccount].map(row => ({
  ...row,
  dialect: openaiDialect,
}))

/** Knowledge bases, agents and the like, at `bedrock-agent-runtime`: the account's, whoever asks. */
const ofAccount = ['knowledgebases', 'agents', 'flows', 'prompts', 'sessions', 'retrieveAndGenerate', 'retrieveAndGenerateStream']
const rerankModel = '/rerankingConfiguration/bedrockRerankingConfiguration/modelConfiguration/modelArn'

/**
 * Sources: the @aws-sdk/client-bedrock-runtime package 3.1163; docs.aws.amazon.com/bedrock/latest/userguide (inference-responses-api, inference-messages-api). The model stands in the path,
 * percent-encoded where it is an ARN; in OpenAI's and Anthropic's dialect it stands in the body.
 */
const endpoints: readonly Endpoint[] = [
  endpoint('inference', 'POST /model/{model}/converse', generating),
  endpoint('inference', 'POST /model/{model}/converse-stream', generating),
  endpoint('inference', 'POST /model/{model}/invoke', generating),
  endpoint('inference', 'POST /model/{model}/invoke-with-response-stream', generating),
  endpoint('inference', 'POST /model/{model}/count-tokens', { models: inPath }),
  endpoint('inference', 'POST /guardrail/*/version/*/apply'),
  endpoint('inference', 'POST /guardrail-checks/invoke'),
  endpoint('inference', 'POST /rerank', { models: json(rerankModel) }),
  ...under('/openai/v1', ofOpenai),
  // at bedrock-mantle, for most models
  ...under('/v1', ofOpenai),
  ...under('/anthropic/v1', messages),
  ...ofAccount.map(name => endpoint('account', `* /${name}/**`)),
  endpoint('account', '* /async-invoke/**', { models: json('/modelId') }),
]

const apiKey = /^(?:ABSK|bedrock-api-key-)/
const pair = /^([A-Z0-9]{16,128}):([A-Za-z0-9/+=]{16,128})(?::([A-Za-z0-9/+=_-]{16,4096}))?$/

/** `AKID:SECRET` or `AKID:SECRET:SESSION`. */
function readPair(text: string): AwsCredentials {
  const [, accessKeyId, secretAccessKey, sessionToken] = pair.exec(text) ?? []
  if (accessKeyId === undefined || secretAccessKey === undefined) {
    throw new SoakpError(
      'key_unreadable',
      'It is neither an API key of Bedrock nor of the form ACCESS_KEY_ID:SECRET_ACCESS_KEY[:SESSION_TOKEN].',
    )
  }
  return { accessKeyId, secretAccessKey, sessionToken }
}

/** The region in a host of AWS, of VPC endpoints and of China too; us-east-1 where it names none. */
function regionOf(origin: string): string {
  const { hostname } = new URL(origin)
  return /(?:^|\.)bedrock[a-z-]*\.([a-z0-9-]+)\.(?:vpce\.)?(?:amazonaws\.com(?:\.cn)?|api\.aws)$/.exec(hostname)?.[1] ?? 'us-east-1'
}

/** The other of its two endpoints is signed for under a name of its own. */
function serviceOf(origin: string): string {
  return new URL(origin).hostname.startsWith('bedrock-mantle.') ? 'bedrock-mantle' : 'bedrock'
}

/** Signs with Signature Version 4: host, date, content type and the whole body are covered. */
function sign(call: CallToAuthorize, credentials: AwsCredentials): Authorization {
  const at = call.path.indexOf('?')
  const [path, query] = at < 0 ? [call.path, ''] : [call.path.slice(0, at), call.path.slice(at + 1)]
  const bodySha256 = sha256Hex(call.body ?? '')
  const signed: Record<string, string> = { host: new URL(call.origin).host, 'x-amz-content-sha256': bodySha256 }
  const type = call.headers.indexOf('content-type')
  if (type >= 0 && type % 2 === 0) signed['content-type'] = call.headers[type + 1] as string
  const scope = { credentials, region: regionOf(call.origin), service: serviceOf(call.origin), nowMs: call.nowMs }
  const { 'x-amz-security-token': session, ...added } = sigV4Headers(
    { method: call.method, path, query, headers: signed, bodySha256 },
    scope,
  )
  const headers = ['x-amz-content-sha256', bodySha256, ...Object.entries(added).flat()]
  return { headers, credentials: session === undefined ? [] : [{ name: 'x-amz-security-token', secret: new Secret(session) }] }
}

const badKey =
  /UnrecognizedClient|InvalidClientTokenId|InvalidSignature|SignatureDoesNotMatch|IncompleteSignature|MissingAuthenticationToken|ExpiredToken|security token included in the request is (?:invalid|expired)|signature we calculated|Authentication failed|API Key is valid|[Bb]earer [Tt]oken (?:has expired|is invalid)/

const notAllowed = /is not authorized to perform/

export const bedrock = providerRow({
  id: 'bedrock',
  aliases: ['amazon-bedrock', 'aws-bedrock'],
  title: 'Amazon Bedrock',
  origin: 'https://bedrock-runtime.us-east-1.amazonaws.com',
  baseUrl: {
    example: 'https://bedrock-runtime.REGION.amazonaws.com',
    required: false,
    note: 'The usual address is that of us-east-1; the region that calls are signed for is read from it. https://bedrock-mantle.REGION.api.aws has models and tools that this one has not, below /v1.',
  },
  dialect: bedrockDialect,
  keyHints: [
    { pattern: apiKey },
    { pattern: /^ASIA[A-Z0-9]+:[^:]+$/, warn: 'a temporary key pair without its session token, which AWS refuses' },
    { pattern: pair },
  ],
  keyCheck: {
    method: 'GET',
    path: '/foundation-models',
    // the list of models lives beside the runtime; a base URL that is not AWS's is asked itself
    origin: origin =>
      origin
        .replace(/^https:\/\/bedrock-mantle\.([a-z0-9-]+)\.api\.aws$/, 'https://bedrock.$1.amazonaws.com')
        .replace(/^https:\/\/bedrock-runtime(?=[.-][a-z0-9.-]+\.(?:amazonaws\.com(?:\.cn)?|api\.aws)$)/, 'https://bedrock'),
    works: [200],
    restricted: [429],
    refused: [401, 403],
  },
  endpoints,
  compatiblePath: '/openai/v1',
  messagesPath: '/anthropic/v1',
  // what is signed says so itself
  dropRequestHeaders: ['amz-sdk-*'],
  // a key that may not do this is known, and the sentence names the model
  keyRefused: (status, body) => (status === 401 || status === 403) && badKey.test(body) && !notAllowed.test(body),
  signsBody: true,
  /** An API key of Bedrock travels as it is; with an access key pair every call is signed. */
  authorize(call, secret) {
    const text = secret.expose().trim()
    if (!apiKey.test(text)) return sign(call, readPair(text))
    return { headers: [], credentials: [{ name: 'authorization', word: 'Bearer', secret: new Secret(text) }] }
  },
  unverified: ['usage headers of invoked models', 'how the refusal of an API key is worded'],
})
