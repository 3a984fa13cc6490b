import type { Endpoint, EndpointClass, ModelPlace } from './provider.js'

type Extra = Pick<Endpoint, 'includeUsage' | 'estimate' | 'dialect' | 'countsText' | 'bills' | 'perCall' | 'free' | 'owns' | 'prompts'> & {
  readonly models?: readonly ModelPlace[]
}

/** `spec` is `METHOD /pattern`. */
export function endpoint(kind: EndpointClass, spec: string, extra: Extra = {}): Endpoint {
  const gap = spec.indexOf(' ')
  const { models = [], ...rest } = extra
  return { method: spec.slice(0, gap), pattern: spec.slice(gap + 1), class: kind, models, ...rest }
}

/** The same rows under a path prefix. */
export function under(prefix: string, rows: readonly Endpoint[]): Endpoint[] {
  return rows.map(row => ({ ...row, pattern: prefix + row.pattern }))
}

export function json(...pointers: string[]): ModelPlace[] {
  return pointers.map(pointer => ({ in: 'json', pointer }))
}

/** Models that a call may be answered by instead: named one by one, or a word (`default`) for those that the provider picks. */
export const fallbackModels: readonly ModelPlace[] = json('/fallbacks', '/fallbacks/*', '/fallbacks/*/model')

export const inPath: readonly ModelPlace[] = [{ in: 'path' }]

/** Endpoints that take their parameters as JSON or as a form. */
export const inBodyOrForm: readonly ModelPlace[] = [
  { in: 'json', pointer: '/model' },
  { in: 'multipart', field: 'model' },
]
