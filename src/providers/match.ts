import { isPlain, readings, readingText } from './path.js'
import type { Endpoint, EndpointClass, Provider } from './provider.js'

export { checkPath } from './path.js'

/** Every way a path can be read; only one for a plain path. */
export function pathReadings(path: string): readonly string[] {
  return isPlain(path) ? [path] : readings(path)
}

/** `new`: no row knows this call. `model` is what `{model}` matched, percent-decoded. */
export type EndpointMatch = { readonly kind: 'endpoint'; readonly endpoint: Endpoint; readonly model?: string } | { readonly kind: 'new' }

interface Pattern {
  readonly endpoint: Endpoint
  readonly regex: RegExp
}

interface Compiled {
  /** By method, then path: the answer for paths without a wildcard, closed rows considered. */
  readonly literal: ReadonlyMap<string, ReadonlyMap<string, EndpointMatch>>
  /** All closed rows of a method at once, to say no quickly. */
  readonly closedAtAll: ReadonlyMap<string, RegExp>
  /** Strictest first. */
  readonly closed: ReadonlyMap<string, readonly Pattern[]>
  readonly open: ReadonlyMap<string, readonly Pattern[]>
}

const nothing: EndpointMatch = { kind: 'new' }
const strictness: Readonly<Record<EndpointClass, number>> = { administration: 0, credential: 1, account: 2, inference: 3 }
const methods = ['GET', 'QUERY', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS']

/** The regular expression of a pattern, unanchored. */
export function source(pattern: string): string {
  const rest = pattern.endsWith('/**')
  const segments = (rest ? pattern.slice(0, -3) : pattern).split(/(\*|\{model\+?\})/)
  const body = segments.map(part => {
    if (part === '*') return '[^/]+'
    if (part === '{model}') return '([^/]+)'
    if (part === '{model+}') return '([^/]+(?:/[^/]+)*)'
    return part.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')
  })
  return body.join('') + (rest ? '(?:/.*)?' : '')
}

function isLiteral(pattern: string): boolean {
  return !pattern.includes('*') && !pattern.includes('{')
}

/** QUERY (draft-ietf-httpbis-safe-method-w-body) is a GET with a body: what may not be read may not be searched. */
function isReadByQuery(endpoint: Endpoint, method: string): boolean {
  return method === 'QUERY' && endpoint.method === 'GET' && endpoint.class !== 'inference'
}

function compileMethod(endpoints: readonly Endpoint[], method: string) {
  const rows = endpoints.filter(endpoint => endpoint.method === '*' || endpoint.method === method || isReadByQuery(endpoint, method))
  const closedRows = rows.filter(row => row.class !== 'inference').sort((a, b) => strictness[a.class] - strictness[b.class])
  const closed = closedRows.map(endpoint => ({ endpoint, regex: new RegExp(`^${source(endpoint.pattern)}$`, 'is') }))
  const open = rows
    .filter(row => row.class === 'inference')
    .sort((a, b) => Number(isLiteral(b.pattern)) - Number(isLiteral(a.pattern)))
    .map(endpoint => ({ endpoint, regex: new RegExp(`^${source(endpoint.pattern)}$`, 's') }))
  const any = closedRows.map(row => source(row.pattern).replaceAll('([^/]+)', '[^/]+')).join('|')
  return { closed, open, closedAtAll: any === '' ? /[^\s\S]/ : new RegExp(`^(?:${any})$`, 'is') }
}

function compile(provider: Provider): Compiled {
  const literal = new Map<string, Map<string, EndpointMatch>>()
  const closedAtAll = new Map<string, RegExp>()
  const closed = new Map<string, readonly Pattern[]>()
  const open = new Map<string, readonly Pattern[]>()
  const compiled = { literal, closedAtAll, closed, open }
  for (const method of [...methods, '*']) {
    const rows = compileMethod(provider.endpoints, method)
    closed.set(method, rows.closed)
    open.set(method, rows.open)
    closedAtAll.set(method, rows.closedAtAll)
    const paths = provider.endpoints.filter(row => isLiteral(row.pattern)).map(row => row.pattern)
    literal.set(method, new Map(paths.map(path => [path, search(compiled, method, [path])])))
  }
  // HEAD is asked wherever GET is, and answers the same but for the body
  for (const map of [literal, closedAtAll, closed, open] as Map<string, unknown>[]) map.set('HEAD', map.get('GET'))
  return compiled
}

const compiledProviders = new WeakMap<Provider, Compiled>()

function compiledFor(provider: Provider): Compiled {
  let compiled = compiledProviders.get(provider)
  if (!compiled) {
    compiled = compile(provider)
    compiledProviders.set(provider, compiled)
  }
  return compiled
}

function findClosed(compiled: Compiled, method: string, paths: readonly string[]): EndpointMatch | undefined {
  const any = compiled.closedAtAll.get(method)
  if (!paths.some(path => any?.test(path))) return undefined
  const row = compiled.closed.get(method)?.find(({ regex }) => paths.some(path => regex.test(path)))
  return row ? { kind: 'endpoint', endpoint: row.endpoint } : undefined
}

function findOpen(compiled: Compiled, method: string, path: string): EndpointMatch | undefined {
  for (const { endpoint, regex } of compiled.open.get(method) ?? []) {
    const found = regex.exec(path)
    if (found) return found[1] === undefined ? { kind: 'endpoint', endpoint } : { kind: 'endpoint', endpoint, model: readingText(found[1]) }
  }
  return undefined
}

/** Closed in one reading is closed; else the plainest reading that a row knows counts, unless another one would name another model. */
function search(compiled: Compiled, method: string, paths: readonly string[]): EndpointMatch {
  const known = compiled.open.has(method) ? method : '*'
  const closed = findClosed(compiled, known, paths)
  if (closed) return closed
  let best: EndpointMatch | undefined
  for (const path of paths) {
    const found = findOpen(compiled, known, path)
    if (found?.kind !== 'endpoint') continue
    if (best?.kind !== 'endpoint') best = found
    else if (found.endpoint === best.endpoint && found.model !== best.model) return nothing
  }
  return best ?? nothing
}

/**
 * Which row a call falls under. `path` is relative to the provider's origin, from its first `/`, as received and without the query; it has passed
 * `checkPath`. A closed row wins over an open one if any reading of the path falls under it.
 */
export function matchEndpoint(provider: Provider, method: string, path: string): EndpointMatch {
  const compiled = compiledFor(provider)
  const exact = compiled.literal.get(method)?.get(path)
  if (exact) return exact
  return search(compiled, method, pathReadings(path))
}

/**
 * The same where a key's base URL carries a path prefix (`/v1`, `/gateway/openai`; no slash at its end): the path is read by itself and behind every
 * end of the prefix, and closed in one of them is closed.
 */
export function matchUnderPrefix(provider: Provider, prefix: string, method: string, path: string): EndpointMatch {
  let best = matchEndpoint(provider, method, path)
  for (let at = prefix.lastIndexOf('/'); at >= 0; at = at === 0 ? -1 : prefix.lastIndexOf('/', at - 1)) {
    const found = matchEndpoint(provider, method, prefix.slice(at) + path)
    if (found.kind === 'new') continue
    if (best.kind === 'new' || strictness[found.endpoint.class] < strictness[best.endpoint.class]) best = found
  }
  return best
}
