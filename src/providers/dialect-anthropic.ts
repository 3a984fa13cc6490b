import type { Dialect, ErrorFacts, Usage } from './provider.js'
import { readSamplings } from './samplings.js'
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
 * leaves out what came from and went to the cache, so the total is the sum of three. Where a model ran several times for one call, the list of these has more than the counts beside it.
 */
function readUsage(value: unknown, soFar: Usage | undefined): Usage | undefined {
  const event = object(value)
  const usage = object(event?.usage) ?? object(object(event?.message)?.usage)
  if (!usage) return soFar
  const before = soFar ?? noUsage
  const all = readSamplings(usage.iterations)
  const cached = most(count(usage.cache_read_input_tokens), all?.cached) ?? before.cachedInputTokens
  const written = most(count(usage.cache_creation_input_tokens), all?.written) ?? before.cacheWriteInputTokens
  const fresh = most(count(usage.input_tokens), all?.fresh) ?? before.inputTokens - before.cachedInputTokens - before.cacheWriteInputTokens
  const counts: Usage = {
    inputTokens: fresh + cached + written,
    outputTokens: most(count(usage.output_tokens), all?.output) ?? before.outputTokens,
    cachedInputTokens: cached,
    cacheWriteInputTokens: written,
    reasoningTokens: count(object(usage.output_tokens_details)?.thinking_tokens) ?? before.reasoningTokens,
    audioInputTokens: 0,
    audioOutputTokens: 0,
  }
  const known = extrasOf(usage, all?.writtenHour).on(counts, soFar)
  const whole = all ? { ...known, ...all.more } : known
  return event?.type === 'message_start' ? { ...whole, isOpening: true } : whole
}

function most(stated: number | undefined, summed: number | undefined): number | undefined {
  return stated === undefined ? summed : Math.max(stated, summed ?? 0)
}

const usualTiers = new Set(['standard', 'global', 'not_available'])

/** `speed: "fast"`, `inference_geo: "us"` and batches have prices of their own (https://platform.claude.com/docs/en/about-claude/pricing). */
function extrasOf(usage: Json, writtenHour: number | undefined): Extras {
  const extras = new Extras()
  extras.count('cacheWriteHourTokens', most(count(object(usage.cache_creation)?.ephemeral_1h_input_tokens), writtenHour))
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
