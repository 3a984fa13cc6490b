import { createServer, type IncomingMessage, type ServerResponse, request as sendRequest } from 'node:http'

/** What a DNS provider's API was asked. */
export interface ApiCall {
  readonly method: string
  /** Only path and query mean something. */
  readonly url: URL
  /** Names in lower case. */
  readonly headers: Readonly<Record<string, string>>
  readonly body: string
}

/** `json` or `body`; neither is an empty one. */
export interface ApiAnswer {
  readonly status: number
  readonly headers?: Readonly<Record<string, string>>
  readonly json?: unknown
  readonly body?: string
}

export type ApiHandler = (call: ApiCall) => ApiAnswer | Promise<ApiAnswer>

/** What goes wrong, for the calls it matches, `times` times (for ever unless told). Exactly one of the three ways. */
export interface ApiFault {
  readonly match?: (call: ApiCall) => boolean
  readonly times?: number
  readonly answer?: ApiHandler
  /** Ends the connection without an answer: `before` the provider has done what it was asked, or `after`. */
  readonly drop?: 'before' | 'after'
  /** Answers rightly, but only then. */
  readonly delayMs?: number
}

export interface FakeApi {
  /** `http://127.0.0.1:PORT` */
  readonly url: string
  readonly calls: ApiCall[]
  fault(fault: ApiFault): void
  /** No faults any more. */
  heal(): void
}

interface Test {
  teardown(work: () => unknown): unknown
}

/** An HTTP server that stands for a provider's API; its state and its answers are the handler's. */
export async function startApi(t: Test, handler: ApiHandler): Promise<FakeApi> {
  const calls: ApiCall[] = []
  let faults: (ApiFault & { left: number })[] = []
  const server = createServer((request, response) => void serve(request, response).catch(() => response.destroy()))
  async function serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const call = await read(request)
    calls.push(call)
    const fault = faults.find(({ left, match }) => left > 0 && (match?.(call) ?? true))
    if (fault) fault.left--
    if (fault?.drop === 'before') return void request.socket.destroy()
    if (fault?.delayMs !== undefined) await new Promise(resolve => setTimeout(resolve, fault.delayMs).unref())
    const answer = await (fault?.answer ?? handler)(call)
    if (fault?.drop === 'after') return void request.socket.destroy()
    const body = answer.json === undefined ? (answer.body ?? '') : JSON.stringify(answer.json)
    const type = answer.json === undefined ? 'text/plain' : 'application/json'
    response.writeHead(answer.status, { 'content-type': type, ...answer.headers }).end(body)
  }
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  t.teardown(() => {
    server.closeAllConnections()
    server.close()
  })
  const address = server.address()
  if (typeof address !== 'object' || address === null) throw new Error('not listening')
  return {
    url: `http://127.0.0.1:${address.port}`,
    calls,
    fault: fault => void faults.push({ ...fault, left: fault.times ?? Number.POSITIVE_INFINITY }),
    heal() {
      faults = []
    },
  }
}

async function read(request: IncomingMessage): Promise<ApiCall> {
  const chunks: Buffer[] = []
  for await (const chunk of request) chunks.push(chunk)
  const headers = Object.fromEntries(Object.entries(request.headers).map(([name, value]) => [name, String(value)]))
  return { method: request.method ?? '', url: new URL(request.url ?? '/', 'http://fake'), headers, body: Buffer.concat(chunks).toString() }
}

/** A handler that passes everything on to a real server, so that it can have faults too. */
export function passTo(origin: string): ApiHandler {
  return ({ method, url, headers, body }) =>
    new Promise((resolve, reject) => {
      const { host: _, connection: __, ...rest } = headers
      const request = sendRequest(`${origin}${url.pathname}${url.search}`, { method, headers: rest, agent: false }, response => {
        const chunks: Buffer[] = []
        response.on('data', chunk => chunks.push(chunk))
        response.on('end', () =>
          resolve({
            status: response.statusCode ?? 0,
            headers: { 'content-type': response.headers['content-type'] ?? 'text/plain' },
            body: Buffer.concat(chunks).toString(),
          }),
        )
      })
      request.on('error', reject)
      request.end(body)
    })
}
