import type { AuthScheme } from './provider.js'

const headerName = /^[a-z0-9!#$%&'*+.^_`|~-]{1,64}$/
const queryName = /^[A-Za-z0-9._~-]{1,64}$/
// these carry the request itself, or another party's say: a key in one of them would break the call or be dropped from it
const notForKeys =
  /^(?:host|connection|keep-alive|te|trailer|transfer-encoding|upgrade|expect|content-.*|cookie|proxy-.*|accept.*|forwarded|x-forwarded-.*|via|origin|referer|user-agent|sec-.*)$/

/** Reads `bearer`, `header:NAME` or `query:NAME`; undefined for anything else. */
export function parseAuthScheme(text: string): AuthScheme | undefined {
  if (text === 'bearer') return { type: 'bearer' }
  const colon = text.indexOf(':')
  const kind = text.slice(0, colon)
  const name = text.slice(colon + 1)
  if (kind === 'header') {
    const lower = name.toLowerCase()
    return headerName.test(lower) && !notForKeys.test(lower) ? { type: 'header', name: lower } : undefined
  }
  return kind === 'query' && queryName.test(name) ? { type: 'query', name } : undefined
}

export function formatAuthScheme(scheme: AuthScheme): string {
  return scheme.type === 'bearer' ? 'bearer' : `${scheme.type}:${scheme.name}`
}
