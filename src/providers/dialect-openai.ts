import type { Dialect, ErrorFacts, Usage } from './provider.js'
import { count, type Json, noUsage, object, unitsOf } from './usage.js'

const types: Readonly<Record<number, string>> = {
  401: 'authentication_error',
  403: 'permission_error',
  404: 'not_found_error',
  429: 'rate_limit_error',
}

/** An error's members as OpenAI names them; some services of the dialect wrap them otherwise. */
export function openaiError({ status, code, message }: ErrorFacts) {
  const type = types[status] ?? (status >= 500 ? 'server_error' : 'invalid_request_error')
  return { message, type, param: null, code }
}

function errorBody(error: ErrorFacts): unknown {
  return { error: openaiError(error) }
}

/**
 * Where a reply or event carries usage: at the top (chat, embeddings, images, transcriptions), under `response` (events of the Responses and Realtime
 * APIs), under `x_groq` (Groq's streams, unasked).
 */
function usageOf(value: unknown): Json | undefined {
  const reply = object(value)
  if (!reply) return undefined
  return object(reply.usage) ?? object(object(reply.response)?.usage) ?? object(object(reply.x_groq)?.usage)
}

/**
 * Cached tokens are a part of the input and reasoning a part of the output, in both spellings (`prompt_tokens`, `input_tokens`). Some services
 * count reasoning beside the completion; their `total_tokens` gives that away.
 */
function readUsage(value: unknown, soFar: Usage | undefined): Usage | undefined {
  const usage = usageOf(value)
  if (!usage) return soFar
  const inputs =
    object(usage.prompt_tokens_details) ??
    object(usage.input_tokens_details) ??
    object(usage.prompt_token_details) ??
    object(usage.input_token_details)
  const outputs = object(usage.completion_tokens_details) ?? object(usage.output_tokens_details) ?? object(usage.output_token_details)
  const total = count(usage.total_tokens)
  const input = count(usage.prompt_tokens) ?? count(usage.input_tokens)
  let output = count(usage.completion_tokens) ?? count(usage.output_tokens)
  // `{type: 'duration', seconds}` of whisper: nothing in model tokens
  const seconds = usage.type === 'duration' ? unitsOf('audioSeconds', usage.seconds) : undefined
  if (seconds) return { ...(soFar ?? noUsage), ...seconds }
  if (input === undefined && output === undefined && total === undefined) return soFar
  const before = soFar ?? noUsage
  const reasoning = count(outputs?.reasoning_tokens)
  if (reasoning && input !== undefined && output !== undefined && total === input + output + reasoning) output = total - input
  return {
    inputTokens: input ?? (output === undefined ? total : undefined) ?? before.inputTokens,
    outputTokens: output ?? before.outputTokens,
    cachedInputTokens:
      count(inputs?.cached_tokens) ?? count(usage.prompt_cache_hit_tokens) ?? count(usage.num_cached_tokens) ?? before.cachedInputTokens,
    cacheWriteInputTokens: count(inputs?.cache_write_tokens) ?? before.cacheWriteInputTokens,
    reasoningTokens: reasoning ?? before.reasoningTokens,
    audioInputTokens: count(inputs?.audio_tokens) ?? before.audioInputTokens,
    audioOutputTokens: count(outputs?.audio_tokens) ?? before.audioOutputTokens,
  }
}

/** OpenAI's chat, completions, responses, embeddings, images and audio, as most of the field speaks them. */
export const openaiDialect: Dialect = {
  name: 'openai',
  errorBody,
  usageMembers: ['usage'],
  readUsage,
  // the last is what llama.cpp's server heeds before the others
  maxOutputPointers: ['/max_tokens', '/max_completion_tokens', '/max_output_tokens', '/n_predict'],
  choicesPointers: ['/n', '/best_of'],
  streamPointer: '/stream',
  textMembers: ['content', 'reasoning_content', 'reasoning', 'refusal', 'arguments', 'text', 'delta'],
  modelMember: 'model',
}
