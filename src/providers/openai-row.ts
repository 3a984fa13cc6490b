import { anthropicDialect } from './dialect-anthropic.js'
import { openaiDialect } from './dialect-openai.js'
import { endpoint, fallbackModels, json } from './endpoints.js'
import { messagesInference } from './endpoints-anthropic.js'
import { commonAccount, commonCredential, commonInference } from './endpoints-openai.js'
import type { Endpoint, ModelPlace, Provider } from './provider.js'
import { messageBatches } from './resources/anthropic.js'
import { providerRow } from './row.js'

type Row = Pick<Provider, 'id' | 'title' | 'origin' | 'keyHints' | 'endpoints'> & Partial<Provider> & { readonly compatiblePath: string }

/** Bearer keys, OpenAI's dialect, `GET {compatiblePath}/models` to ask about a key; whatever a row says otherwise goes. */
export function openaiCompatible(row: Row): Provider {
  return providerRow({
    dialect: openaiDialect,
    keyCheck: { method: 'GET', path: `${row.compatiblePath}/models`, works: [200], restricted: [403, 429], refused: [401] },
    ...row,
  })
}

/** What most services of the dialect have in common, relative to the version prefix. */
export const common: readonly Endpoint[] = [...commonInference, ...commonAccount, ...commonCredential]

/** Anthropic's Messages API, where a service of another dialect offers it too. */
export const messages: readonly Endpoint[] = [
  ...messagesInference.map(row => ({ ...row, dialect: anthropicDialect })),
  endpoint('account', 'POST /messages/batches', {
    models: json('/requests/*/params/model'),
    dialect: anthropicDialect,
    owns: messageBatches,
  }),
  endpoint('account', '* /messages/batches/**', { dialect: anthropicDialect, owns: messageBatches }),
]

/** For services whose models are named `maker/model`: some clients leave the slash as it is. */
export const slashed: Endpoint = endpoint('inference', 'GET /models/*/*')

/** For services that refuse `stream_options`, or that state usage in every stream anyway. */
export function withoutIncludeUsage(rows: readonly Endpoint[]): Endpoint[] {
  return rows.map(({ includeUsage, ...row }) => row)
}

/** For services that pass calls on to others, and take a chain of models to try: LiteLLM and its like. */
export function withFallbacks(rows: readonly Endpoint[]): Endpoint[] {
  const takesModel = ({ method, models }: Endpoint) => method === 'POST' && models.some(place => place.in === 'json')
  return rows.map(row => (row.class === 'inference' && takesModel(row) ? { ...row, models: merged(row.models, fallbackModels) } : row))
}

/** Places in both lists, each once. */
export function merged(places: readonly ModelPlace[], more: readonly ModelPlace[]): ModelPlace[] {
  const known = new Set(places.map(place => JSON.stringify(place)))
  return [...places, ...more.filter(place => !known.has(JSON.stringify(place)))]
}
