import { request as httpRequest } from 'node:http'
import { request as httpsRequest } from 'node:https'

export interface SelfCall {
  /** Of a listener on this machine. */
  readonly port: number
  /** PEM of the CA to trust; `undefined`: plain HTTP. */
  readonly ca: string | undefined
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

/** One call to a daemon on this machine, by the name that its certificate is for, over loopback. Rejects with the socket's own error. */
export function callSelf({ port, ca, method, path, headers = {}, body, timeoutMs }: SelfCall): Promise<SelfReply> {
  const common = {
    host: 'localhost',
    family: 4,
    port,
    method,
    path,
    headers,
    agent: false,
    signal: AbortSignal.timeout(timeoutMs),
  } as const
  return new Promise((resolve, reject) => {
    const request = ca === undefined ? httpRequest(common) : httpsRequest({ ...common, ca })
    request.on('error', reject)
    request.on('response', response => resolve({ status: response.statusCode ?? 0, chunks: response }))
    request.end(body)
  })
}
