import { SoakpError } from '../errors.js'
import type { Request } from './call.js'

/** What the relay needs to know of a request's head, read in one pass. */
export interface Head {
  /** The access token, or what was sent in its place; undefined where nothing was. */
  readonly token: string | undefined
  /** It came as `Authorization: DPoP`. */
  readonly asDpop: boolean
  /** The `DPoP` header; several of them as one that is none. */
  readonly proof: string | undefined
  readonly contentType: string
  /** `undefined`: none was stated. */
  readonly contentLength: number | undefined
  /** The body is compressed or otherwise not as its type says. */
  readonly encoded: boolean
  readonly hasBody: boolean
  readonly origin: string | undefined
  readonly expectsContinue: boolean
  /** A browser opened the address as a page. */
  readonly navigates: boolean
  /** Names in `Connection`, lower case, beyond the usual ones: they end here (RFC 9110, section 7.6.1). */
  readonly connectionNames: readonly string[]
}

const schemes: ReadonlySet<string> = new Set(['bearer', 'token', 'key', 'deepl-auth-key', 'dpop'])
const usualConnectionNames: ReadonlySet<string> = new Set(['keep-alive', 'close', 'upgrade', 'te', 'http2-settings'])
const none: readonly string[] = []

/** `key` of `Authorization: Bearer key`; the whole value where there is no scheme. */
export function tokenOf(name: string, value: string): string {
  if (name !== 'authorization') return value.trim()
  const space = value.indexOf(' ')
  if (space === -1) return schemes.has(value.toLowerCase()) ? '' : value
  return schemes.has(value.slice(0, space).toLowerCase()) ? value.slice(space + 1).trim() : value
}

const letterD = 100

function isDpop(name: string, value: string): boolean {
  return (value.charCodeAt(0) | 32) === letterD && name === 'authorization' && /^dpop /i.test(value)
}

/** Throws `several_tokens`, `invalid_request`, and `real_key_sent` for what `looksReal` recognises as a provider's key. */
export function readHead(request: Request, looksReal: (text: string) => boolean): Head {
  const raw = request.rawHeaders
  let token: string | undefined
  let asDpop = false
  let proof: string | undefined
  let contentType: string | undefined
  let contentLength: number | undefined
  let encoded = false
  let chunked = false
  let origin: string | undefined
  let expectsContinue = false
  let navigates = false
  let connectionNames = none
  for (let at = 0; at < raw.length; at += 2) {
    const name = (raw[at] as string).toLowerCase()
    const value = raw[at + 1] as string
    switch (name) {
      case 'authorization':
      case 'x-api-key':
      case 'api-key':
      case 'x-goog-api-key':
      case 'xi-api-key':
      case 'x-subscription-token': {
        const found = tokenOf(name, value)
        if (found === '') break
        if (looksReal(found)) throw new SoakpError('real_key_sent')
        if (token !== undefined && token !== found) throw new SoakpError('several_tokens')
        token = found
        asDpop ||= isDpop(name, value)
        break
      }
      case 'dpop':
        proof = proof === undefined ? value : `${proof}, ${value}`
        break
      case 'content-type':
        // whoever takes the other one reads another body than the rules did
        if (contentType !== undefined && contentType !== value.toLowerCase())
          throw new SoakpError('invalid_request', 'It names two content types.')
        contentType = value.toLowerCase()
        break
      case 'content-length':
        contentLength = Number(value)
        break
      case 'content-encoding':
        encoded ||= value.toLowerCase() !== 'identity'
        break
      case 'transfer-encoding':
        chunked = true
        break
      case 'origin':
        origin = value
        break
      case 'expect':
        expectsContinue = value.toLowerCase() === '100-continue'
        break
      case 'sec-fetch-mode':
        navigates = value === 'navigate'
        break
      case 'connection':
        connectionNames = readConnection(value, connectionNames)
        break
    }
  }
  // HTTP/2 needs no length to carry a body: there the end of the stream tells
  const hasBody =
    contentLength === undefined
      ? chunked || ('stream' in request && !request.stream.readableEnded && !request.stream.endAfterHeaders)
      : contentLength > 0
  return {
    token,
    asDpop,
    proof,
    contentType: contentType ?? '',
    contentLength,
    encoded,
    hasBody,
    origin,
    expectsContinue,
    navigates,
    connectionNames,
  }
}

function readConnection(value: string, soFar: readonly string[]): readonly string[] {
  if (value === 'keep-alive' || value === 'close') return soFar
  const names = value
    .toLowerCase()
    .split(',')
    .map(name => name.trim())
    .filter(name => name !== '' && !usualConnectionNames.has(name))
  return names.length === 0 ? soFar : [...soFar, ...names]
}
