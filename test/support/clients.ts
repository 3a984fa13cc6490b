import { once } from 'node:events'
import type { IncomingHttpHeaders, IncomingMessage } from 'node:http'
import { type ClientHttp2Session, type ClientHttp2Stream, connect as connectHttp2 } from 'node:http2'
import { type Agent, request as httpsRequest } from 'node:https'
import { connect as connectTls, type TLSSocket } from 'node:tls'
import type { Daemon } from './daemon.js'

export type Headers = Readonly<Record<string, string | readonly string[]>>

export interface Ask {
  readonly method?: string
  readonly path: string
  readonly token?: string
  readonly headers?: Headers
  readonly body?: string | Uint8Array
  /** Keeps connections open between calls. */
  readonly agent?: Agent | undefined
  /** Connect here instead, such as an IPv6 loopback. */
  readonly localAddress?: string
}

export interface Answer {
  readonly status: number
  readonly headers: IncomingHttpHeaders
  readonly rawHeaders: readonly string[]
  readonly body: Buffer
  readonly trailers: NodeJS.Dict<string>
  /** False: the connection broke before the end of the body. */
  readonly complete: boolean
  text(): string
  // biome-ignore lint/suspicious/noExplicitAny: replies are looked into without a schema
  json(): any
}

type Where = Pick<Daemon, 'port' | 'ca'>

/** Sends a request over HTTP/1.1 and resolves with the head of the reply; the body is read by the caller. */
export function open(daemon: Where, ask: Ask): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    const request = httpsRequest(
      {
        host: 'localhost',
        family: 4,
        port: daemon.port,
        ca: daemon.ca,
        method: ask.method ?? (ask.body === undefined ? 'GET' : 'POST'),
        path: ask.path,
        agent: ask.agent ?? false,
        headers: headersOf(ask),
        ...(ask.localAddress === undefined ? {} : { localAddress: ask.localAddress }),
      },
      response => {
        response.on('error', () => {})
        resolve(response)
      },
    )
    request.on('error', reject)
    request.end(ask.body)
  })
}

/** One exchange over HTTP/1.1. Rejects only when no head came; a body that breaks off says so in `complete`. */
export async function call(daemon: Where, ask: Ask): Promise<Answer> {
  const response = await open(daemon, ask)
  return answerOf(response)
}

export async function answerOf(response: IncomingMessage): Promise<Answer> {
  const chunks: Buffer[] = []
  response.on('data', (chunk: Buffer) => chunks.push(chunk))
  await new Promise<void>(resolve => {
    response.on('close', () => resolve())
    response.on('error', () => resolve())
  })
  const body = Buffer.concat(chunks)
  return {
    status: response.statusCode ?? 0,
    headers: response.headers,
    rawHeaders: response.rawHeaders,
    body,
    trailers: response.trailers,
    complete: response.complete,
    text: () => body.toString(),
    json: () => JSON.parse(body.toString()),
  }
}

function headersOf(ask: Ask): Record<string, string | string[]> {
  const headers: Record<string, string | string[]> = {}
  if (ask.token !== undefined) headers.authorization = `Bearer ${ask.token}`
  if (ask.body !== undefined) headers['content-type'] = 'application/json'
  for (const [name, value] of Object.entries(ask.headers ?? {})) headers[name] = typeof value === 'string' ? value : [...value]
  if (ask.body !== undefined && headers['transfer-encoding'] === undefined)
    headers['content-length'] ??= `${Buffer.byteLength(ask.body as string)}`
  return headers
}

/** A chat completion in OpenAI's dialect. */
export function chat(daemon: Where, token: string, more: Partial<Ask> & { stream?: boolean; model?: string } = {}): Promise<Answer> {
  return call(daemon, chatAsk(token, more))
}

export function chatAsk(token: string, more: Partial<Ask> & { stream?: boolean; model?: string } = {}): Ask {
  const { stream, model = 'gpt-4o-mini', ...ask } = more
  const body = JSON.stringify({ model, messages: [{ role: 'user', content: 'hi' }], ...(stream ? { stream: true } : {}) })
  return { path: '/openai/v1/chat/completions', token, body, ...ask }
}

export interface H2Answer {
  readonly status: number
  readonly headers: IncomingHttpHeaders
  readonly body: Buffer
  readonly trailers: IncomingHttpHeaders
  readonly complete: boolean
  text(): string
}

/** An HTTP/2 connection; the caller closes it. */
export async function http2(daemon: Where): Promise<ClientHttp2Session> {
  const session = connectHttp2(`https://localhost:${daemon.port}`, { ca: daemon.ca, family: 4 } as Parameters<typeof connectHttp2>[1] & {
    family: number
  })
  session.on('error', () => {})
  await once(session, 'connect')
  return session
}

export function openHttp2(session: ClientHttp2Session, ask: Ask): ClientHttp2Stream {
  const headers = headersOf(ask)
  const stream = session.request(
    { ':method': ask.method ?? (ask.body === undefined ? 'GET' : 'POST'), ':path': ask.path, ...headers },
    { endStream: ask.body === undefined },
  )
  stream.on('error', () => {})
  if (ask.body !== undefined) stream.end(ask.body)
  return stream
}

export async function callHttp2(session: ClientHttp2Session, ask: Ask): Promise<H2Answer> {
  const stream = openHttp2(session, ask)
  const chunks: Buffer[] = []
  let headers: IncomingHttpHeaders & { ':status'?: number | undefined } = {}
  let trailers: IncomingHttpHeaders = {}
  let complete = false
  stream.on('response', given => {
    headers = given
  })
  stream.on('trailers', given => {
    trailers = given
  })
  stream.on('data', (chunk: Buffer) => chunks.push(chunk))
  stream.on('end', () => {
    complete = stream.rstCode === 0
  })
  await new Promise<void>(resolve => stream.on('close', () => resolve()))
  const body = Buffer.concat(chunks)
  return {
    status: headers[':status'] ?? 0,
    headers,
    body,
    trailers,
    complete: complete && stream.rstCode === 0,
    text: () => body.toString(),
  }
}

/** A TLS connection that speaks whatever bytes are written to it. */
export interface RawConnection {
  readonly socket: TLSSocket
  /** Everything received so far, as latin1. */
  received(): string
  write(bytes: string | Uint8Array): void
  /** Resolves when what was received satisfies `condition`, or the connection has ended. */
  until(condition: (received: string) => boolean): Promise<string>
  /** Resolves at the end of the connection. */
  readonly ended: Promise<string>
}

export async function rawTls(daemon: Where, alpn: readonly string[] = ['http/1.1']): Promise<RawConnection> {
  const socket = connectTls({ host: '127.0.0.1', servername: 'localhost', port: daemon.port, ca: daemon.ca, ALPNProtocols: [...alpn] })
  let received = ''
  let over = false
  let look: () => void = () => {}
  socket.setEncoding('latin1')
  socket.on('data', (text: string) => {
    received += text
    look()
  })
  socket.on('error', () => {})
  const ended = new Promise<string>(resolve => {
    socket.on('close', () => {
      over = true
      look()
      resolve(received)
    })
  })
  await Promise.race([once(socket, 'secureConnect'), ended])
  return {
    socket,
    received: () => received,
    write: bytes => void socket.write(bytes),
    ended,
    until: condition =>
      new Promise(resolve => {
        look = () => {
          if (over || condition(received)) resolve(received)
        }
        look()
      }),
  }
}

/** Sends bytes on a connection of their own and resolves with the first reply's head and whatever came with it, once the server has said its word. */
export async function exchangeRaw(daemon: Where, bytes: string | Uint8Array): Promise<string> {
  const connection = await rawTls(daemon)
  connection.write(bytes)
  const text = await connection.until(received => replyIsWhole(received))
  connection.socket.destroy()
  return text
}

function replyIsWhole(text: string): boolean {
  const end = text.indexOf('\r\n\r\n')
  if (end < 0) return false
  if (/^HTTP\/1\.1 1\d\d/.test(text)) return replyIsWhole(text.slice(end + 4))
  const head = text.slice(0, end)
  const length = /^content-length: *(\d+)/im.exec(head)?.[1]
  if (length !== undefined) return text.length >= end + 4 + Number(length)
  return /^transfer-encoding: *chunked/im.test(head) ? text.endsWith('0\r\n\r\n') : false
}
