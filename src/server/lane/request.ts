import type { IncomingHttpHeaders } from 'node:http'
import type { Socket } from 'node:net'
import type { WholeRequest } from '../../relay/call.js'
import type { PlainHead } from './head.js'

/** Of these the first counts, as Node has it (node:http, `message.headers`); values of all others are joined. */
const single: ReadonlySet<string> = new Set([
  'age',
  'authorization',
  'content-length',
  'content-type',
  'etag',
  'expires',
  'from',
  'host',
  'if-modified-since',
  'if-unmodified-since',
  'last-modified',
  'location',
  'max-forwards',
  'proxy-authorization',
  'referer',
  'retry-after',
  'server',
  'user-agent',
])

/** A request that came in one piece. */
export class LaneRequest implements WholeRequest {
  readonly whole: Buffer
  readonly method: string
  readonly url: string
  readonly rawHeaders: string[]
  readonly socket: Socket
  #headers: IncomingHttpHeaders | undefined

  constructor(head: PlainHead, body: Buffer, socket: Socket) {
    this.whole = body
    this.method = head.method
    this.url = head.url
    this.rawHeaders = head.rawHeaders
    this.socket = socket
  }

  get headers(): IncomingHttpHeaders {
    this.#headers ??= byName(this.rawHeaders)
    return this.#headers
  }
}

function byName(raw: readonly string[]): IncomingHttpHeaders {
  const headers: Record<string, string> = Object.create(null)
  for (let at = 0; at < raw.length; at += 2) {
    const name = (raw[at] as string).toLowerCase()
    const value = raw[at + 1] as string
    const before = headers[name]
    if (before === undefined) headers[name] = value
    else if (!single.has(name)) headers[name] = `${before}${name === 'cookie' ? '; ' : ', '}${value}`
  }
  return headers
}
