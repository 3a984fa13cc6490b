import { anthropicDialect } from './dialect-anthropic.js'
import type { Dialect, ErrorFacts, Usage } from './provider.js'
import { count, type Json, noUsage, object } from './usage.js'

const types: Readonly<Record<number, string>> = {
  400: 'ValidationException',
  401: 'AccessDeniedException',
  403: 'AccessDeniedException',
  404: 'ResourceNotFoundException',
  429: 'ThrottlingException',
  503: 'ServiceUnavailableException',
  504: 'ModelTimeoutException',
}

/** AWS's clients take the class from `__type` where no header names one. */
function errorBody({ status, code, message }: ErrorFacts): unknown {
  const type = types[status] ?? (status >= 500 ? 'InternalServerException' : 'ValidationException')
  return { __type: type, message, reason: code }
}

/** What was written to the cache, by how long it stays: `[{ttl: '1h', inputTokens}]`. */
function writtenForHour(details: unknown): number {
  if (!Array.isArray(details)) return 0
  return details.reduce((sum: number, detail) => sum + (object(detail)?.ttl === '1h' ? (count(object(detail)?.inputTokens) ?? 0) : 0), 0)
}

/** `inputTokens` leaves out what came from and went to the cache. */
function ofConverse(usage: Json, before: Usage): Usage {
  const cached = count(usage.cacheReadInputTokens) ?? count(usage.cacheReadInputTokenCount) ?? 0
  const written = count(usage.cacheWriteInputTokens) ?? count(usage.cacheWriteInputTokenCount) ?? 0
  const input = count(usage.inputTokens) ?? count(usage.inputTokenCount)
  const hour = writtenForHour(usage.cacheDetails)
  return {
    ...before,
    ...(hour > 0 ? { cacheWriteHourTokens: hour } : {}),
    inputTokens: input === undefined ? before.inputTokens : input + cached + written,
    outputTokens: count(usage.outputTokens) ?? count(usage.outputTokenCount) ?? before.outputTokens,
    cachedInputTokens: cached || before.cachedInputTokens,
    cacheWriteInputTokens: written || before.cacheWriteInputTokens,
  }
}

/** Titan, Cohere's and Meta's models in their own words. */
function ofVendor(reply: Json, before: Usage): Usage | undefined {
  const input = count(reply.inputTextTokenCount) ?? count(reply.prompt_token_count)
  const results = Array.isArray(reply.results) ? reply.results : []
  let output = count(reply.generation_token_count) ?? count(reply.totalOutputTextTokenCount)
  for (const result of results) output = (output ?? 0) + (count(object(result)?.tokenCount) ?? 0)
  if (input === undefined && output === undefined) return undefined
  return { ...before, inputTokens: input ?? before.inputTokens, outputTokens: output ?? before.outputTokens }
}

/**
 * `usage` of Converse and of the last event of its stream; `amazon-bedrock-invocationMetrics` in the last chunk of any streamed model; else the words of the model's
 * maker, most often Anthropic's.
 */
function readUsage(value: unknown, soFar: Usage | undefined): Usage | undefined {
  const reply = object(value)
  if (!reply) return soFar
  const before = soFar ?? noUsage
  const metrics = object(reply['amazon-bedrock-invocationMetrics'])
  if (metrics) return ofConverse(metrics, before)
  const usage = object(reply.usage)
  if (usage && (count(usage.inputTokens) !== undefined || count(usage.outputTokens) !== undefined)) return ofConverse(usage, before)
  return ofVendor(reply, before) ?? anthropicDialect.readUsage(value, soFar)
}

/** Streams of `invoke-with-response-stream` wrap the maker's event: `{"bytes":"…base64…"}`. */
function unwrap(event: Buffer): Buffer {
  const found = /^\s*\{\s*"bytes"\s*:\s*"([A-Za-z0-9+/=]*)"/.exec(event.toString('latin1'))
  return found?.[1] === undefined ? event : Buffer.from(found[1], 'base64')
}

/** Source: docs.aws.amazon.com/bedrock/latest/APIReference (TokenUsage, ConverseStreamMetadataEvent), the @aws-sdk/client-bedrock-runtime package. */
export const bedrockDialect: Dialect = {
  name: 'bedrock',
  errorBody,
  usageMembers: [
    'usage',
    'amazon-bedrock-invocationMetrics',
    'inputTextTokenCount',
    'prompt_token_count',
    'generation_token_count',
    'totalOutputTextTokenCount',
  ],
  readUsage,
  usageHeaders: { 'x-amzn-bedrock-input-token-count': 'inputTokens', 'x-amzn-bedrock-output-token-count': 'outputTokens' },
  unwrap,
  maxOutputPointers: [
    '/inferenceConfig/maxTokens',
    '/max_tokens',
    '/max_gen_len',
    '/max_tokens_to_sample',
    '/textGenerationConfig/maxTokenCount',
    '/inferenceConfig/max_new_tokens',
  ],
  choicesPointers: ['/num_generations'],
  textMembers: ['text', 'partial_json', 'thinking', 'input', 'outputText', 'generation', 'completion'],
  modelMember: 'model',
}
