import { compilePointers, type Pointers, scanJson } from '../lib/json-scan.js'
import type { Dialect, Endpoint } from './provider.js'

/** Where a call names what only one account has: JSON pointers to texts, and models of one's own. */
interface Resources {
  readonly pointers: readonly string[]
  readonly models?: RegExp
}

/** By dialect. Sources: openai-openapi 2.3.0, docs.anthropic.com/en/api, ai.google.dev/api. */
const byDialect: Readonly<Record<string, Resources>> = {
  openai: {
    pointers: [
      '/previous_response_id',
      '/conversation',
      '/conversation/id',
      '/prompt/id',
      '/file_id',
      '/thread_id',
      '/assistant_id',
      '/input/*/id',
      '/input/*/encrypted_content',
      '/input/*/content/*/file_id',
      '/input/*/output/*/file_id',
      '/messages/*/audio/id',
      '/messages/*/content/*/file/file_id',
      '/messages/*/content/*/file_id',
      '/tools/*/container',
      '/tools/*/container/file_ids/*',
      '/tools/*/vector_store_ids/*',
      '/tools/*/connector_id',
    ],
    models: /^ft:|:ft-/,
  },
  anthropic: {
    pointers: [
      '/container',
      '/container/id',
      '/container/skills/*/skill_id',
      '/messages/*/content/*/file_id',
      '/messages/*/content/*/source/file_id',
      '/messages/*/content/*/content/*/source/file_id',
    ],
  },
  gemini: {
    pointers: [
      '/cachedContent',
      '/cached_content',
      '/previous_interaction_id',
      '/previousInteractionId',
      '/contents/*/parts/*/fileData/fileUri',
      '/contents/*/parts/*/file_data/file_uri',
    ],
    models: /^tunedModels\//,
  },
}

const compiled = new Map<string, Pointers>()

function pointersOf(dialect: string): Pointers | undefined {
  const resources = byDialect[dialect]
  if (!resources) return undefined
  let pointers = compiled.get(dialect)
  if (!pointers) {
    pointers = compilePointers(resources.pointers)
    compiled.set(dialect, pointers)
  }
  return pointers
}

const inQuery = /[?&](?:[a-z]+_id|conversation|cachedContent)=./i

export interface ResourceFacts {
  readonly dialect: Dialect
  /** Undefined: no row knows the call, and so nobody what it names. */
  readonly endpoint: Endpoint | undefined
  readonly model: string | null
  /** From `?`, or empty. */
  readonly query: string
  /** JSON, where it was read. */
  readonly body: Buffer | undefined
}

/** Whether a call is about something that belongs to the account of one key: it makes no sense with another. What cannot be told counts as such. */
export function namesResource({ dialect, endpoint, model, query, body }: ResourceFacts): boolean {
  if (endpoint?.class !== 'inference' || inQuery.test(query)) return true
  if (model !== null && byDialect[dialect.name]?.models?.test(model)) return true
  const pointers = pointersOf(dialect.name)
  if (!pointers || !body) return false
  const scan = scanJson(body, pointers)
  return !scan.ok || scan.found.some(({ value }) => typeof value === 'string' && value !== '')
}
