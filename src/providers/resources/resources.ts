import type { Dialect, Endpoint } from '../provider.js'

/** Models of one's own, by dialect: no other account has them. */
const ownModels: Readonly<Record<string, RegExp>> = {
  openai: /^ft:|:ft-/,
  gemini: /^tunedModels\//,
}

const inQuery = /[?&](?:[a-z]+_id|conversation|cachedContent)=./i

export interface ResourceFacts {
  readonly dialect: Dialect
  /** Undefined: no row knows the call, and so nobody what it names. */
  readonly endpoint: Endpoint | undefined
  readonly model: string | null
  /** From `?`, or empty. */
  readonly query: string
}

/** Whether a call is about something that belongs to the account of one key, as far as its head and its model tell: it makes no sense with another. */
export function namesAccount({ dialect, endpoint, model, query }: ResourceFacts): boolean {
  if (endpoint?.class !== 'inference' || inQuery.test(query)) return true
  return model !== null && ownModels[dialect.name]?.test(model) === true
}
