import type { Dialect, ErrorFacts, Usage } from './provider.js'
import { count, Extras, type Json, noUsage, object } from './usage.js'

const types: Readonly<Record<number, string>> = {
  401: 'authentication_error',
  403: 'permission_error',
  404: 'not_found_error',
  413: 'request_too_large',
  429: 'rate_limit_error',
  503: 'overloaded_error',
  504: 'timeout_error',
}

function errorBody({ status, message, requestId }: ErrorFacts): unknown {
  const type = types[status] ?? (status >= 500 ? 'api_error' : 'invalid_request_error')
  return { type: 'error', error: { type, message }, request_id: requestId }
}

/**
 * `message_start` has the input side, each `message_delta` the counts so far, any of them `null`: a later event overlays an earlier one. `input_tokens`
 * leaves out what came from and went to the cache, so the total is the sum of three.
 */
function readUsage(value: unknown, soFar: Usage | undefined): Usage | undefined {
  const event = object(value)
  const usage = object(event?.usage) ?? object(object(event?.message)?.usage)
  if (!usage) return soFar
  const before = soFar ?? noUsage
  const cached = count(usage.cache_read_input_tokens) ?? before.cachedInputTokens
  const written = count(usage.cache_creation_input_tokens) ?? before.cacheWriteInputTokens
  const fresh = count(usage.input_tokens) ?? before.inputTokens - before.cachedInputTokens - before.cacheWriteInputTokens
  const counts: Usage = {
    inputTokens: fresh + cached + written,
    outputTokens: count(usage.output_tokens) ?? before.outputTokens,
    cachedInputTokens: cached,
    cacheWriteInputTokens: written,
    reasoningTokens: count(object(usage.output_tokens_details)?.thinking_tokens) ?? before.reasoningTokens,
    audioInputTokens: 0,
    audioOutputTokens: 0,
  }
  const known = extrasOf(usage).on(counts, soFar)
  return event?.type === 'message_start' ? { ...known, isOpening: true } : known
}

const usualTiers = new Set(['standard', 'global', 'not_available'])

/** `speed: "fast"`, `inference_geo: "us"` and batches have prices of their own (https://platform.claude.com/docs/en/about-claude/pricing). */
function extrasOf(usage: Json): Extras {
  const extras = new Extras()
  extras.count('cacheWriteHourTokens', object(usage.cache_creation)?.ephemeral_1h_input_tokens)
  extras.count('webSearches', object(usage.server_tool_use)?.web_search_requests)
  extras.tier(usage.service_tier, usualTiers)
  extras.tier(usage.inference_geo, usualTiers)
  extras.tier(usage.speed, usualTiers)
  return extras
}

export const anthropicDialect: Dialect = {
  name: 'anthropic',
  errorBody,
  usageMembers: ['usage'],
  readUsage,
  maxOutputPointers: ['/max_tokens', '/fallbacks/*/max_tokens'],
  choicesPointers: [],
  streamPointer: '/stream',
  textMembers: ['text', 'partial_json', 'thinking', 'completion'],
  modelMember: 'model',
}
