import { matchEndpoint } from '../../providers/index.js'
import type { Dialect, Endpoint, Provider } from '../../providers/provider.js'

/** Which call a request of a batch stands for. */
export interface ItemCall {
  /** As the request names it; empty: it does not say. */
  readonly path: string
  /** Undefined: no row knows it, or it is closed. */
  readonly endpoint: Endpoint | undefined
  readonly dialect: Dialect
}

const longestPath = 200
/** What a request is taken for that does not say: what it is, the batch says. */
const assumedPath = '/v1/chat/completions'

export function callOf(provider: Provider, method: string, url: string): ItemCall {
  const path = url.slice(0, longestPath)
  const row = matchItem(provider, path, method)
  return { path, endpoint: typeof row === 'string' ? undefined : row, dialect: provider.dialect }
}

/** The row of an inference endpoint; `closed`: it is of another class; `new`: no row knows it. Requests name paths as OpenAI has them, wherever the service's own API begins. */
export function matchItem(provider: Provider, path: string, method = 'POST'): Endpoint | 'closed' | 'new' {
  const wanted = path === '' ? assumedPath : path
  const { compatiblePath } = provider
  const paths = [wanted, ...(compatiblePath === undefined ? [] : [compatiblePath + wanted.replace(/^\/v\d+(?=\/)/, '')])]
  let isClosed = false
  for (const one of paths) {
    const match = matchEndpoint(provider, method, one)
    if (match.kind !== 'endpoint') continue
    if (match.endpoint.class === 'inference') return match.endpoint
    isClosed = true
  }
  return isClosed ? 'closed' : 'new'
}
