import type { ServerResponse } from 'node:http'
import { type ErrorCode, errors, type SoakpError } from '../errors.js'
import type { Response } from '../relay/call.js'

export const problemType = 'application/problem+json'

/** Body of an error reply (RFC 9457). */
export interface Problem {
  readonly type: string
  readonly title: string
  readonly status: number
  readonly detail?: string
  readonly code: ErrorCode
  readonly requestId?: string
}

/** What a stranger may read of an error. `requestId` finds it in the log. */
export function problem(code: ErrorCode, detail?: string, requestId?: string): Problem {
  const { status, text } = errors[code]
  // of what went wrong inside, a stranger learns no more than that
  const told = status >= 500 ? undefined : detail
  return {
    type: `urn:soakp:error:${code}`,
    title: text,
    status,
    ...(told === undefined ? {} : { detail: told }),
    code,
    ...(requestId === undefined ? {} : { requestId }),
  }
}

/** Sent with everything that is not the relay's: nothing here is a page, and nothing here is to be kept. */
export const plainHeaders = {
  'x-content-type-options': 'nosniff',
  'content-security-policy': "default-src 'none'; frame-ancestors 'none'",
  'referrer-policy': 'no-referrer',
  'cache-control': 'no-store',
} as const

/** Answers a request that reached neither the router nor the relay. */
export function sendProblem(response: Response, error: SoakpError, requestId: string, headers: Record<string, string> = {}): void {
  // one of the two faces of the same method; TypeScript cannot call a union of their overloads
  const raw = response as ServerResponse
  if (raw.headersSent || raw.destroyed) {
    raw.destroy()
    return
  }
  const body = Buffer.from(JSON.stringify(problem(error.code, error.detail, requestId)))
  const head: Record<string, string | number> = {
    ...plainHeaders,
    'content-type': problemType,
    'content-length': body.length,
    'x-request-id': requestId,
    ...headers,
  }
  if (error.waitSeconds !== undefined) head['retry-after'] = error.waitSeconds
  raw.writeHead(error.status, head)
  if (raw.req?.method === 'HEAD') raw.end()
  else raw.end(body)
}
