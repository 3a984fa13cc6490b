import type { Dialect, ErrorFacts, Usage } from './provider.js'
import { statedError } from './stated-error.js'
import { count, Extras, type Json, noUsage, object } from './usage.js'

const statuses: Readonly<Record<number, string>> = {
  400: 'INVALID_ARGUMENT',
  401: 'UNAUTHENTICATED',
  403: 'PERMISSION_DENIED',
  404: 'NOT_FOUND',
  409: 'ABORTED',
  429: 'RESOURCE_EXHAUSTED',
  499: 'CANCELLED',
  500: 'INTERNAL',
  502: 'UNAVAILABLE',
  503: 'UNAVAILABLE',
  504: 'DEADLINE_EXCEEDED',
}

function errorBody({ status, code, message, requestId }: ErrorFacts): unknown {
  const details = [
    { '@type': 'type.googleapis.com/google.rpc.ErrorInfo', reason: code.toUpperCase(), domain: 'soakp', metadata: { requestId } },
  ]
  return { error: { code: status, message, status: statuses[status] ?? (status >= 500 ? 'INTERNAL' : 'INVALID_ARGUMENT'), details } }
}

function tokensOf(modality: 'AUDIO' | 'IMAGE', details: unknown): number | undefined {
  if (!Array.isArray(details)) return undefined
  let sum = 0
  for (const detail of details) {
    const part = object(detail)
    if (typeof part?.modality === 'string' && part.modality.toUpperCase() === modality)
      sum += count(part.tokenCount) ?? count(part.tokens) ?? 0
  }
  return sum
}

/** Thoughts are not among the candidates' tokens, tool prompts not among the prompt's; cached ones are. Every chunk states the counts so far. */
function readMetadata(usage: Json, before: Usage): Usage {
  const tools = count(usage.toolUsePromptTokenCount) ?? 0
  const candidates = count(usage.candidatesTokenCount) ?? count(usage.responseTokenCount)
  const thoughts = count(usage.thoughtsTokenCount)
  // what was put into a cache has no other count than the total
  const all = candidates === undefined && thoughts === undefined && before === noUsage ? count(usage.totalTokenCount) : undefined
  const prompt = count(usage.promptTokenCount) ?? all
  const counts: Usage = {
    inputTokens: prompt === undefined ? before.inputTokens : prompt + tools,
    outputTokens: candidates === undefined && thoughts === undefined ? before.outputTokens : (candidates ?? 0) + (thoughts ?? 0),
    cachedInputTokens: count(usage.cachedContentTokenCount) ?? before.cachedInputTokens,
    cacheWriteInputTokens: 0,
    reasoningTokens: thoughts ?? before.reasoningTokens,
    audioInputTokens: tokensOf('AUDIO', usage.promptTokensDetails) ?? before.audioInputTokens,
    audioOutputTokens: tokensOf('AUDIO', usage.candidatesTokensDetails ?? usage.responseTokensDetails) ?? before.audioOutputTokens,
  }
  return extrasOf(usage).on(counts, before)
}

const usualTiers = new Set(['standard', 'service_tier_unspecified', 'traffic_type_unspecified', 'on_demand'])

/** `serviceTier` (https://ai.google.dev/gemini-api/docs/optimization), on Vertex `trafficType`. */
function extrasOf(usage: Json): Extras {
  const extras = new Extras()
  if (usage.promptTokensDetails !== undefined) extras.count('imageInputTokens', tokensOf('IMAGE', usage.promptTokensDetails))
  const outputs = usage.candidatesTokensDetails ?? usage.responseTokensDetails
  if (outputs !== undefined) extras.count('imageOutputTokens', tokensOf('IMAGE', outputs))
  if (usage.cacheTokensDetails !== undefined) {
    extras.count('cachedAudioInputTokens', tokensOf('AUDIO', usage.cacheTokensDetails))
    extras.count('cachedImageInputTokens', tokensOf('IMAGE', usage.cacheTokensDetails))
  }
  extras.tier(usage.serviceTier ?? usage.trafficType, usualTiers)
  return extras
}

function readInteraction(usage: Json, before: Usage): Usage {
  const input = count(usage.total_input_tokens)
  const output = count(usage.total_output_tokens)
  const thoughts = count(usage.total_thought_tokens)
  return {
    inputTokens: input === undefined ? before.inputTokens : input + (count(usage.total_tool_use_tokens) ?? 0),
    outputTokens: output === undefined && thoughts === undefined ? before.outputTokens : (output ?? 0) + (thoughts ?? 0),
    cachedInputTokens: count(usage.total_cached_tokens) ?? before.cachedInputTokens,
    cacheWriteInputTokens: 0,
    reasoningTokens: thoughts ?? before.reasoningTokens,
    audioInputTokens: tokensOf('AUDIO', usage.input_tokens_by_modality) ?? before.audioInputTokens,
    audioOutputTokens: tokensOf('AUDIO', usage.output_tokens_by_modality) ?? before.audioOutputTokens,
  }
}

function readUsage(value: unknown, soFar: Usage | undefined): Usage | undefined {
  const event = object(value)
  if (!event) return soFar
  const metadata = object(event.usageMetadata)
  if (metadata) return readMetadata(metadata, soFar ?? noUsage)
  const usage = object(event.usage) ?? object(object(event.interaction)?.usage)
  return usage && count(usage.total_tokens) !== undefined ? readInteraction(usage, soFar ?? noUsage) : soFar
}

export const geminiDialect: Dialect = {
  name: 'gemini',
  errorBody,
  usageMembers: ['usageMetadata', 'usage'],
  readUsage,
  maxOutputPointers: [
    '/generationConfig/maxOutputTokens',
    '/generation_config/max_output_tokens',
    '/generationConfig/max_output_tokens',
    '/generation_config/maxOutputTokens',
  ],
  choicesPointers: [
    '/generationConfig/candidateCount',
    '/generation_config/candidate_count',
    '/generationConfig/candidate_count',
    '/generation_config/candidateCount',
  ],
  streamPointer: '/stream',
  textMembers: ['text'],
  modelMember: 'modelVersion',
  modelPrefix: 'models/',
}

// an unknown, expired or leaked key is answered with 400 or 403 here, never plainly with 401
const badKey = /^(?:API key (?:not valid|expired|not found)|Your API key was reported as leaked)/i
const badKeyReasons: ReadonlySet<string> = new Set(['API_KEY_INVALID', 'API_KEY_EXPIRED', 'API_KEY_SERVICE_BLOCKED', 'CONSUMER_SUSPENDED'])

/** Whether Google's error means the key and not the call. */
export function geminiKeyRefused(status: number, body: string): boolean {
  if (status !== 400 && status !== 403) return status === 401
  // by what it states: a 400 repeats names of members that a client sent
  const { message, codes } = statedError(body)
  return badKey.test(message) || codes.some(code => badKeyReasons.has(code))
}
