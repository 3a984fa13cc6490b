import { request as requestHttp } from 'node:http'
import { request as requestHttps } from 'node:https'

export interface HttpRequest {
  readonly method: string
  readonly url: URL
  readonly headers: Readonly<Record<string, string>>
  readonly body: string
  readonly timeoutMs: number
  readonly signal: AbortSignal
}

export interface HttpReply {
  readonly status: number
  /** Names in lower case. */
  readonly headers: Readonly<Record<string, string>>
  readonly text: string
}

/** No whole reply came. The message is the end of a sentence that begins with who was asked. */
export class HttpTrouble extends Error {
  /** The request cannot have been read by the server. */
  readonly beforeSending: boolean

  constructor(message: string, beforeSending: boolean) {
    super(message)
    this.beforeSending = beforeSending
  }
}

/** No answer that matters is larger: the largest pages of zones and records are far below. */
const largestReply = 8 * 1024 * 1024

/** One request on a connection of its own: credentials do not lie around in kept-open sockets. Follows no redirect. Never rejects. */
export function sendHttp({ method, url, headers, body, timeoutMs, signal }: HttpRequest): Promise<HttpReply | HttpTrouble> {
  return new Promise(resolve => {
    let connected = false
    const send = url.protocol === 'https:' ? requestHttps : requestHttp
    const length = body === '' && (method === 'GET' || method === 'DELETE') ? {} : { 'content-length': String(Buffer.byteLength(body)) }
    const request = send(url, { method, headers: { ...headers, ...length }, agent: false, signal })
    const timer = setTimeout(() => end(new HttpTrouble(`did not answer within ${timeoutMs / 1000} s`, !connected)), timeoutMs)
    const end = (outcome: HttpReply | HttpTrouble) => {
      clearTimeout(timer)
      resolve(outcome)
      request.destroy()
    }
    request.on('socket', socket => socket.once(url.protocol === 'https:' ? 'secureConnect' : 'connect', () => (connected = true)))
    request.on('error', error => end(new HttpTrouble(explain(error, url), !connected)))
    request.on('response', response => {
      const chunks: Buffer[] = []
      let size = 0
      response.on('data', (chunk: Buffer) => {
        chunks.push(chunk)
        size += chunk.length
        if (size > largestReply) end(new HttpTrouble('answers with more than 8 MB', false))
      })
      response.on('error', () => end(new HttpTrouble('broke off its answer', false)))
      response.on('end', () => {
        if (!response.complete) return end(new HttpTrouble('broke off its answer', false))
        const received = Object.entries(response.headers).map(([name, value]) => [name, String(value)] as const)
        end({ status: response.statusCode ?? 0, headers: Object.fromEntries(received), text: Buffer.concat(chunks).toString() })
      })
    })
    request.end(body)
  })
}

const reasons: Record<string, string> = {
  ECONNREFUSED: 'refuses the connection',
  ECONNRESET: 'dropped the connection',
  EPIPE: 'dropped the connection',
  ENOTFOUND: 'is a name that does not exist',
  EAI_AGAIN: 'is a name that cannot be resolved at the moment',
  ETIMEDOUT: 'cannot be reached',
  EHOSTUNREACH: 'cannot be reached',
  ENETUNREACH: 'cannot be reached',
  ABORT_ERR: 'was not waited for',
}

function explain(error: Error, url: URL): string {
  const code = 'code' in error && typeof error.code === 'string' ? error.code : ''
  const known = reasons[code]
  if (known !== undefined) return known
  if (url.protocol === 'https:' && /CERT|SELF_SIGNED|ISSUER|SIGNATURE|ALTNAME/.test(code)) {
    return `has a certificate that is not trusted (${code}); NODE_EXTRA_CA_CERTS names a file with further authorities`
  }
  return `failed${code === '' ? '' : ` (${code})`}`
}

/** What a person learns from a body that is not the API's JSON: of a page its title, of a text its beginning. */
export function describeBody({ text, headers }: HttpReply): string {
  if (text.trim() === '') return 'nothing more is said'
  if (!/html/i.test(headers['content-type'] ?? '') && !/^\s*<(?:!doctype html|html)/i.test(text)) return text
  const title = /<title[^>]*>([^<]*)<\/title>/i.exec(text)?.[1]?.trim()
  return title ? `an HTML page, “${title}”, instead of an answer of the API` : 'an HTML page instead of an answer of the API'
}
