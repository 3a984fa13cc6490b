import { request as httpRequest } from 'node:http'
import { request as httpsRequest } from 'node:https'

export interface SelfCall {
  /** Address that a listener on this machine is bound to; loopback where it is not given. */
  readonly host?: string
  readonly port: number
  /** `http`, or whom to believe over TLS: the CA in this PEM, or, for what is no secret, anyone. */
  readonly trust: 'http' | 'anyone' | { readonly ca: string }
  readonly method: string
  readonly path: string
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: string
  readonly timeoutMs: number
}

export interface SelfReply {
  readonly status: number
  /** In the pieces they came in. */
  readonly chunks: AsyncIterable<Buffer>
}

/** One call to a daemon on this machine, by the name that its certificate is for. Rejects with the socket's own error. */
export function callSelf({ host = '127.0.0.1', port, trust, method, path, headers = {}, body, timeoutMs }: SelfCall): Promise<SelfReply> {
  const common = {
    host,
    port,
    method,
    path,
    headers: { host: `localhost:${port}`, ...headers },
    agent: false,
    signal: AbortSignal.timeout(timeoutMs),
  } as const
  const tls = trust === 'anyone' ? { rejectUnauthorized: false } : trust
  return new Promise((resolve, reject) => {
    const request = tls === 'http' ? httpRequest(common) : httpsRequest({ ...common, ...tls, servername: 'localhost' })
    request.on('error', reject)
    request.on('response', response => resolve({ status: response.statusCode ?? 0, chunks: response }))
    request.end(body)
  })
}
