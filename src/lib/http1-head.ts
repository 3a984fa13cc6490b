import { SoakpError } from '../errors.js'

/** A request whose body, if it has one, is there already. */
export interface PlainRequest {
  readonly method: string
  /** Path and query. */
  readonly path: string
  /** Names and values in turn, without `host`, `connection` and a length. May hold a stand-in for a secret. */
  readonly headers: readonly string[]
  readonly body: Buffer | undefined
}

const tokenShape = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/
const notInValue = /[^\t\x20-\x7e\x80-\xff]/
const pathShape = /^\/[\x21-\x7e\x80-\xff]*$/
const withBody: ReadonlySet<string> = new Set(['POST', 'PUT', 'PATCH'])

/** The head of a request, which may hold a stand-in. Throws `invalid_request` for what cannot stand in one. */
export function requestHead({ method, path, headers, body }: PlainRequest, host: string): string {
  if (!tokenShape.test(method) || !pathShape.test(path)) throw new SoakpError('invalid_request', 'Its method or path cannot be sent.')
  let text = `${method} ${path} HTTP/1.1\r\nhost: ${host}\r\nconnection: keep-alive\r\n`
  for (let at = 0; at < headers.length; at += 2) {
    const name = headers[at] as string
    const value = headers[at + 1] as string
    if (!tokenShape.test(name) || notInValue.test(value)) throw new SoakpError('invalid_request', 'A header cannot be sent.')
    text += `${name}: ${value}\r\n`
  }
  if (body !== undefined) text += `content-length: ${body.length}\r\n`
  else if (withBody.has(method)) text += 'content-length: 0\r\n'
  return `${text}\r\n`
}

/** The value of a field in `text`, without the blanks around it: these are space and tab (RFC 9112, section 5), and what `trim` takes away besides is a part of it, or not allowed. */
export function fieldValue(text: string, from: number, to: number): string {
  let start = from
  let end = to
  while (start < end && isBlank(text.charCodeAt(start))) start++
  while (end > start && isBlank(text.charCodeAt(end - 1))) end--
  return text.slice(start, end)
}

function isBlank(code: number): boolean {
  return code === 0x20 || code === 0x09
}
