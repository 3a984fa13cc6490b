import type { Dialect, ErrorFacts, Usage } from './provider.js'
import { count, Extras, type Json, noUsage, object, unitsOf } from './usage.js'

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
  const extras = extrasOf(value as Json, usage, inputs, outputs)
  if (input === undefined && output === undefined && total === undefined) return soFar
  const before = soFar ?? noUsage
  const reasoning = count(outputs?.reasoning_tokens)
  if (reasoning && input !== undefined && output !== undefined && total === input + output + reasoning) output = total - input
  const counts: Usage = {
    inputTokens: input ?? (output === undefined ? total : undefined) ?? before.inputTokens,
    outputTokens: output ?? before.outputTokens,
    cachedInputTokens:
      count(inputs?.cached_tokens) ?? count(usage.prompt_cache_hit_tokens) ?? count(usage.num_cached_tokens) ?? before.cachedInputTokens,
    cacheWriteInputTokens: count(inputs?.cache_write_tokens) ?? before.cacheWriteInputTokens,
    reasoningTokens: reasoning ?? before.reasoningTokens,
    audioInputTokens: count(inputs?.audio_tokens) ?? before.audioInputTokens,
    audioOutputTokens: count(outputs?.audio_tokens) ?? before.audioOutputTokens,
  }
  return extras.on(counts, soFar)
}

const usualTiers = new Set(['default', 'standard', 'auto', 'on_demand'])

/**
 * Some services state what the call costs: OpenRouter `cost` in dollars (and beside it what one's own key at the provider was charged), Perplexity
 * `cost.total_cost`, xAI `cost_in_usd_ticks`, 10^10 to the dollar (https://docs.x.ai/developers/cost-tracking).
 */
function extrasOf(reply: Json, usage: Json, inputs: Json | undefined, outputs: Json | undefined): Extras {
  const extras = new Extras()
  extras.tier(usage.service_tier ?? reply.service_tier ?? object(reply.response)?.service_tier, usualTiers)
  if (inputs) {
    extras.count('imageInputTokens', inputs.image_tokens)
    const cached = object(inputs.cached_tokens_details)
    extras.count('cachedAudioInputTokens', cached?.audio_tokens)
    extras.count('cachedImageInputTokens', cached?.image_tokens)
  }
  if (outputs) extras.count('imageOutputTokens', outputs.image_tokens)
  if (typeof usage.cost_in_usd_ticks === 'number') extras.dollars(usage.cost_in_usd_ticks / 1e10)
  else if (usage.cost !== undefined) extras.dollars(statedDollars(usage))
  return extras
}

function statedDollars(usage: Json): number | undefined {
  const { cost } = usage
  if (typeof cost !== 'number') {
    const total = object(cost)?.total_cost
    return typeof total === 'number' ? total : undefined
  }
  const upstream = usage.is_byok === true ? object(usage.cost_details)?.upstream_inference_cost : undefined
  return typeof upstream === 'number' ? cost + upstream : cost
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
