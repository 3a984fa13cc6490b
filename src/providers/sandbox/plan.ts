/** What the sandbox will answer, worked out before the first byte of it goes. */
export interface Plan {
  readonly status: number
  readonly headers: readonly string[]
  /** Pieces of the body in their order; the first goes at once, each further one after `gapMs`. */
  readonly chunks: Iterable<Buffer>
  readonly gapMs: number
  /** Wait so long before the head. */
  readonly delayMs?: number
  /** How it ends: whole, broken off after the last piece, or never answered at all. */
  readonly ending: 'end' | 'cut' | 'silence'
}

export const gapMs = 20

let calls = 0

/** Unlike any other of this process. */
export function newCallId(prefix: string): string {
  calls++
  return `${prefix}-sandbox-${process.pid.toString(36)}-${calls.toString(36).padStart(6, '0')}`
}

function jsonPlan(status: number, value: unknown, more: readonly string[] = []): Plan {
  const body = Buffer.from(JSON.stringify(value))
  const headers = ['content-type', 'application/json', 'content-length', String(body.length), 'x-request-id', newCallId('req'), ...more]
  return { status, headers, chunks: [body], gapMs: 0, ending: 'end' }
}

export function reply(value: unknown): Plan {
  return jsonPlan(200, value)
}

/** Takes its time before the head, as a slow model does. */
export function delayed(plan: Plan, model: unknown): Plan {
  return model === 'sandbox-slow' ? { ...plan, delayMs: 2000 } : plan
}

function* first(chunks: Iterable<Buffer>, most: number): Generator<Buffer> {
  let sent = 0
  for (const chunk of chunks) {
    yield chunk
    if (++sent === most) return
  }
}

export function stream(chunks: Iterable<Buffer>, model: unknown): Plan {
  const headers = ['content-type', 'text/event-stream; charset=utf-8', 'cache-control', 'no-cache', 'x-request-id', newCallId('req')]
  if (model === cutModel) return { status: 200, headers, chunks: first(chunks, 5), gapMs, ending: 'cut' }
  return { status: 200, headers, chunks, gapMs: model === 'sandbox-slow' ? 1000 : gapMs, ending: 'end' }
}

/** Breaks off: a stream after a few pieces, any other reply within its JSON. */
export const cutModel = 'sandbox-error-cut'

/** An error as OpenAI words it. */
export function refusal(status: number, type: string, code: string | null, message: string, param: string | null = null): Plan {
  return jsonPlan(status, { error: { message, type, param, code } }, status === 429 || status === 503 ? ['retry-after', '1'] : [])
}

/** Errors on demand, by the model's name: `sandbox-error-429`. */
export function failure(model: string): Plan {
  const kind = model.slice('sandbox-error-'.length)
  if (kind === '401') return refusal(401, 'invalid_request_error', 'invalid_api_key', 'Incorrect API key provided: as you asked for.')
  if (kind === '429') return refusal(429, 'requests', 'rate_limit_exceeded', 'Rate limit reached, as you asked for.')
  if (kind === '503') return refusal(503, 'server_error', null, 'The engine is currently overloaded, as you asked for.')
  if (kind === 'timeout') return { status: 200, headers: [], chunks: [], gapMs: 0, ending: 'silence' }
  if (kind === 'cut') {
    const start = Buffer.from(
      '{"id":"chatcmpl-cut","object":"chat.completion","choices":[{"index":0,"message":{"role":"assistant","content":"Hel',
    )
    const headers = ['content-type', 'application/json', 'content-length', String(start.length + 64), 'x-request-id', newCallId('req')]
    return { status: 200, headers, chunks: [start], gapMs: 0, ending: 'cut' }
  }
  const status = /^[45]\d\d$/.test(kind) ? Number(kind) : 500
  return refusal(status, status >= 500 ? 'server_error' : 'invalid_request_error', null, 'The server had an error, as you asked for.')
}
