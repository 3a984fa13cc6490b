import type { ServerResponse } from 'node:http'
import { SoakpError } from '../errors.js'
import { preflightHeaders, refusedPreflightHeaders } from '../lib/cors.js'
import type { Request, Response } from '../relay/call.js'
import { sendProblem } from './problem.js'

/** Whether a browser asks here if it may make a call (https://fetch.spec.whatwg.org/#cors-preflight-request), rather than making one. */
export function isPreflight(request: Request): boolean {
  return (
    request.method === 'OPTIONS' && request.headers.origin !== undefined && request.headers['access-control-request-method'] !== undefined
  )
}

/** Whether a web page of this origin may call. Preflights carry no token, so it is whether *any* grant allows it; the call itself then meets its own grant. */
export type OriginRule = (origin: string) => boolean | Promise<boolean>

/** Origins allowed by the settings, or else by a grant. `*` in the settings allows all. */
export function originRule(listed: readonly string[], allowsOrigin: OriginRule): OriginRule {
  const set = new Set(listed)
  return origin => set.has('*') || set.has(origin) || allowsOrigin(origin)
}

/** Answers a preflight. A refusal carries no CORS header, which is what makes the browser refuse. Rejects if the rule does. */
export async function answerPreflight(request: Request, response: Response, requestId: string, allows: OriginRule): Promise<void> {
  const origin = request.headers.origin as string
  const headers = (await allows(origin))
    ? preflightHeaders(origin, request.headers['access-control-request-headers'] as string | undefined)
    : undefined
  if (headers === undefined) {
    sendProblem(response, new SoakpError('origin_not_allowed'), requestId, refusedPreflightHeaders())
    return
  }
  const raw = response as ServerResponse
  raw.writeHead(204, { ...headers, 'x-request-id': requestId, 'x-content-type-options': 'nosniff' })
  raw.end()
}
