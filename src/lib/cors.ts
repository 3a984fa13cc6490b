/**
 * What a reply to a browser carries once its origin is allowed: never `Allow-Credentials`, so no cookie is ever involved, and every header may be read, which providers'
 * SDKs do (request ids, rate limits). See https://fetch.spec.whatwg.org/#http-cors-protocol.
 */
export function corsHeaders(origin: string): Record<string, string> {
  return { 'access-control-allow-origin': origin, 'access-control-expose-headers': '*', vary: 'Origin' }
}

/** For how long a browser may remember a preflight. */
const preflightSeconds = 600

const preflightVary = 'Origin, Access-Control-Request-Method, Access-Control-Request-Headers'
const methods = 'GET, HEAD, POST, PUT, PATCH, DELETE'
const token = /^[!#$%&'*+.^_`|~0-9A-Za-z-]{1,128}$/

/** Headers of the answer to an allowed preflight; `requested` is its `Access-Control-Request-Headers`. Undefined: that is no list of header names. */
export function preflightHeaders(origin: string, requested: string | undefined): Record<string, string> | undefined {
  const headers: Record<string, string> = {
    'access-control-allow-origin': origin,
    'access-control-allow-methods': methods,
    'access-control-max-age': String(preflightSeconds),
    vary: preflightVary,
  }
  if (requested === undefined || requested.trim() === '') return headers
  const names = requested.split(',').map(name => name.trim())
  if (names.length > 100 || !names.every(name => token.test(name))) return undefined
  headers['access-control-allow-headers'] = names.join(', ')
  return headers
}

/** `Vary` of every answer to a preflight, also of a refusal, so that no cache serves one origin's answer to another. */
export function refusedPreflightHeaders(): Record<string, string> {
  return { vary: preflightVary }
}
