import type { AuthScheme } from './provider.js'

const headerName = /^[a-z0-9!#$%&'*+.^_`|~-]{1,64}$/
const word = /^[A-Za-z][A-Za-z0-9-]{0,31}$/
const queryName = /^[A-Za-z0-9._~-]{1,64}$/
// these carry the request itself, or another party's say: a key in one of them would break the call or be dropped from it
const notForKeys =
  /^(?:host|connection|keep-alive|te|trailer|transfer-encoding|upgrade|expect|content-.*|cookie|proxy-.*|accept.*|forwarded|x-forwarded-.*|via|origin|referer|user-agent|sec-.*)$/

/** Reads `bearer`, `basic`, `none`, `header:NAME`, `header:NAME:WORD` or `query:NAME`; undefined for anything else. */
export function parseAuthScheme(text: string): AuthScheme | undefined {
  if (text === 'bearer' || text === 'basic' || text === 'none') return { type: text }
  const [kind, name = '', before, ...more] = text.split(':')
  if (more.length > 0) return undefined
  if (kind === 'query') return before === undefined && queryName.test(name) ? { type: 'query', name } : undefined
  if (kind !== 'header') return undefined
  const lower = name.toLowerCase()
  if (!headerName.test(lower) || notForKeys.test(lower) || (before !== undefined && !word.test(before))) return undefined
  return { type: 'header', name: lower, ...(before === undefined ? {} : { word: before }) }
}

export function formatAuthScheme(scheme: AuthScheme): string {
  if (scheme.type === 'query') return `query:${scheme.name}`
  if (scheme.type !== 'header') return scheme.type
  return scheme.word === undefined ? `header:${scheme.name}` : `header:${scheme.name}:${scheme.word}`
}
