import { openaiDialect } from './dialect-openai.js'
import { endpoint, inBodyOrForm, inPath, json, under } from './endpoints.js'
import { commonInference } from './endpoints-openai.js'
import { withoutIncludeUsage } from './openai-row.js'
import type { Dialect, Endpoint, Usage } from './provider.js'
import { providerRow } from './row.js'
import { count, type Json, noUsage, object, unitsOf } from './usage.js'

/** At the top of a reply as `usage` (v2) or `meta` (v1, embeddings, rankings), in a stream below the last event's `delta` or `response`. */
function billOf(value: unknown): Json | undefined {
  const reply = object(value)
  if (!reply) return undefined
  const response = object(reply.response)
  return (
    object(reply.usage) ?? object(reply.meta) ?? object(object(reply.delta)?.usage) ?? object(response?.meta) ?? object(response?.usage)
  )
}

/** Units other than tokens; a ranking counts in the first, pictures and pages in the others. */
function otherUnits(billed: Json | undefined): Pick<Usage, 'units' | 'unit'> | undefined {
  if (!billed) return undefined
  return unitsOf('searchUnits', billed.search_units) ?? unitsOf('images', billed.images) ?? unitsOf('pages', billed.pages)
}

/** `billed_units` is what is paid for, `tokens` what the model saw, its own preamble included: the first counts where it is there. */
function readUsage(value: unknown, soFar: Usage | undefined): Usage | undefined {
  const bill = billOf(value)
  const billed = object(bill?.billed_units)
  const tokens = object(bill?.tokens)
  const input = count(billed?.input_tokens) ?? count(tokens?.input_tokens)
  const output = count(billed?.output_tokens) ?? count(tokens?.output_tokens)
  const units = otherUnits(billed)
  if (input === undefined && output === undefined && !units) return soFar
  const before = soFar ?? noUsage
  return {
    ...before,
    inputTokens: input ?? before.inputTokens,
    outputTokens: output ?? before.outputTokens,
    cachedInputTokens: count(bill?.cached_tokens) ?? before.cachedInputTokens,
    ...units,
  }
}

const cohereDialect: Dialect = {
  name: 'cohere',
  errorBody: ({ message, code, requestId }) => ({ id: requestId, message, code }),
  usageMembers: ['usage', 'meta'],
  readUsage,
  maxOutputPointers: ['/max_tokens'],
  choicesPointers: ['/num_generations'],
  streamPointer: '/stream',
  textMembers: ['text', 'thinking', 'tool_plan', 'arguments'],
  modelMember: 'model',
}

const model = json('/model')
const forms = { models: inBodyOrForm }

/** Source: the cohere-ai package 8.1, docs.cohere.com/reference. */
const rows: readonly Endpoint[] = [
  endpoint('inference', 'POST /v2/chat', { models: model, estimate: true }),
  endpoint('inference', 'POST /v2/embed', { models: model, estimate: 'input' }),
  endpoint('inference', 'POST /v2/rerank', { models: model, bills: 'documents' }),
  endpoint('inference', 'POST /v2/parse', forms),
  endpoint('inference', 'POST /v2/audio/transcriptions', { ...forms, bills: 'sound' }),
  endpoint('inference', 'POST /v1/chat', { models: model, estimate: true }),
  endpoint('inference', 'POST /v1/generate', { models: model, estimate: true }),
  endpoint('inference', 'POST /v1/summarize', { models: model, estimate: true }),
  endpoint('inference', 'POST /v1/embed', { models: model, estimate: 'input' }),
  endpoint('inference', 'POST /v1/rerank', { models: model, bills: 'documents' }),
  endpoint('inference', 'POST /v1/classify', { models: model }),
  endpoint('inference', 'POST /v1/tokenize', { models: model }),
  endpoint('inference', 'POST /v1/detokenize', { models: model }),
  endpoint('inference', 'GET /v1/models'),
  endpoint('inference', 'GET /v1/models/{model}', { models: inPath }),
  endpoint('account', '* /v2/batches/**', { models: model }),
  endpoint('account', '* /v1/embed-jobs/**', { models: model }),
  endpoint('account', '* /v1/datasets/**'),
  endpoint('account', '* /v1/finetuning/**'),
  endpoint('credential', '* /v1/connectors/**'),
  endpoint('administration', '* /v1/check-api-key/**'),
]

const compatible = ['/chat/completions', '/embeddings']

export const cohere = providerRow({
  id: 'cohere',
  title: 'Cohere',
  origin: 'https://api.cohere.com',
  hosts: [{ prefix: '/compatibility', origin: 'https://api.cohere.ai' }],
  dialect: cohereDialect,
  keyHints: [{ pattern: /^[A-Za-z0-9]{40}$/ }],
  keyCheck: { method: 'GET', path: '/v1/models?page_size=1', works: [200], restricted: [402, 403, 429], refused: [401] },
  endpoints: [
    ...rows,
    ...under(
      '/compatibility/v1',
      withoutIncludeUsage(commonInference.filter(row => compatible.includes(row.pattern))).map(row => ({ ...row, dialect: openaiDialect })),
    ),
  ],
  compatiblePath: '/compatibility/v1',
})
