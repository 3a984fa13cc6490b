import { type ErrorCode, SoakpError } from '../../errors.js'

/** What went wrong with one of several names. */
export interface Subproblem {
  /** Empty where the CA does not say which name it means. */
  readonly identifier: string
  readonly type: string
  readonly detail: string
}

/** What a CA says is wrong: RFC 7807 as RFC 8555 section 6.7 uses it, cleaned of what could play with a terminal. */
export interface AcmeProblem {
  /**
   * The last part of the CA's URN, such as `rateLimited` or `unauthorized`. Of our own making: `network` (no answer), `http` (an answer that is no problem document),
   * `protocol` (an answer that RFC 8555 does not know).
   */
  readonly type: string
  /** HTTP status; 0 where there was no answer. */
  readonly status: number
  readonly detail: string
  readonly subproblems: readonly Subproblem[]
  /** A page that a person has to visit: new terms, a name that was paused. */
  readonly instance: string | undefined
  /** How long the CA asks to wait, as far as it says. */
  readonly retryAfterSeconds: number | undefined
}

/** An answer over HTTP. `data` is what JSON said, else text. Header names are lower case. */
export interface Reply {
  readonly status: number
  readonly headers: Readonly<Record<string, string>>
  readonly data: unknown
}

/**
 * A CA that refuses (`acme_refused`), asks to wait (`acme_rate_limited`) or does not answer (`acme_unreachable`), with its own words.
 * `ErrorOptions.retryAfterSeconds` is set wherever the CA said it.
 */
export class AcmeError extends SoakpError {
  readonly problem: AcmeProblem

  /** `doing` begins the sentence: `new order at https://…`. */
  constructor(doing: string, problem: AcmeProblem, options: { readonly cause?: unknown; readonly hint?: string } = {}) {
    const hint = options.hint ?? (problem.instance === undefined ? undefined : `See ${problem.instance}`)
    super(codeOf(problem), sentence(doing, problem), {
      ...('cause' in options ? { cause: options.cause } : {}),
      ...(hint === undefined ? {} : { hint }),
      ...(problem.retryAfterSeconds === undefined ? {} : { retryAfterSeconds: problem.retryAfterSeconds }),
    })
    this.problem = problem
  }

  /** Whether this is the CA's own trouble, so that another CA could do better: never what is wrong with a name or an account. */
  get isFaultOfCa(): boolean {
    return this.code !== 'acme_refused' || ['serverInternal', 'badNonce', 'http', 'protocol'].includes(this.problem.type)
  }
}

/** Whether `error` is a CA's problem of one of these types. */
export function isProblem(error: unknown, ...types: readonly string[]): error is AcmeError {
  return error instanceof AcmeError && types.includes(error.problem.type)
}

function codeOf({ type, status, retryAfterSeconds }: AcmeProblem): ErrorCode {
  if (type === 'network') return 'acme_unreachable'
  if (type === 'rateLimited' || status === 429) return 'acme_rate_limited'
  if (status === 503 && retryAfterSeconds !== undefined) return 'acme_rate_limited'
  return status >= 500 ? 'acme_unreachable' : 'acme_refused'
}

function sentence(doing: string, { type, status, detail, subproblems, retryAfterSeconds }: AcmeProblem): string {
  const known = type === 'network' || type === 'http' || type === 'protocol' ? '' : ` (${type})`
  const each = subproblems.map(sub => `${sub.identifier || 'a name'}: ${sub.detail} (${sub.type})`)
  const wait = retryAfterSeconds === undefined || retryAfterSeconds === 0 ? '' : ` It asks to wait ${retryAfterSeconds} s.`
  const said = [detail || `HTTP status ${status}`, ...each].map(part => part.replace(/[.;\s]+$/, '')).join('; ')
  return `${doing}: ${said}${known}.${wait}`
}

/** What an answer with a status of 400 and above says. */
export function problemOf(reply: Reply, nowMs: number): AcmeProblem {
  const { status, headers, data } = reply
  const fields = isRecord(data) && typeof data.type === 'string' ? data : undefined
  const detail = fields === undefined ? `HTTP status ${status}${kindOf(headers)}` : clean(fields.detail)
  return {
    type: fields === undefined ? 'http' : shortType(fields.type),
    status,
    detail,
    subproblems: fields === undefined ? [] : readSubproblems(fields.subproblems),
    instance: fields !== undefined && typeof fields.instance === 'string' ? clean(fields.instance) : selfService(detail),
    retryAfterSeconds: retryAfter(headers['retry-after'], nowMs) ?? retryAfterIn(detail, nowMs),
  }
}

/** A problem that stands inside another object, such as a challenge's `error`. */
export function readProblem(data: unknown): AcmeProblem | undefined {
  if (!isRecord(data)) return undefined
  const detail = clean(data.detail)
  return {
    type: shortType(data.type),
    status: typeof data.status === 'number' ? data.status : 400,
    detail,
    subproblems: readSubproblems(data.subproblems),
    instance: typeof data.instance === 'string' ? clean(data.instance) : selfService(detail),
    retryAfterSeconds: undefined,
  }
}

export function networkProblem(detail: string): AcmeProblem {
  return { type: 'network', status: 0, detail, subproblems: [], instance: undefined, retryAfterSeconds: undefined }
}

export function protocolProblem(detail: string): AcmeProblem {
  return { type: 'protocol', status: 200, detail, subproblems: [], instance: undefined, retryAfterSeconds: undefined }
}

/** Seconds from a `Retry-After` header, be it a number or a date; undefined where there is none that can be read. Never negative. */
export function retryAfter(header: string | undefined, nowMs: number): number | undefined {
  if (header === undefined) return undefined
  const text = header.trim()
  if (/^\d{1,9}$/.test(text)) return Number(text)
  const atMs = /[a-z]/i.test(text) ? Date.parse(text) : Number.NaN
  return Number.isNaN(atMs) ? undefined : Math.max(0, Math.ceil((atMs - nowMs) / 1000))
}

/** Let's Encrypt also says it in words: `retry after 2026-11-24 00:00:00 UTC`. */
function retryAfterIn(detail: string, nowMs: number): number | undefined {
  const [, day, time] = /retry after (\d{4}-\d{2}-\d{2})[ T](\d{2}:\d{2}:\d{2})(?: UTC|Z)/i.exec(detail) ?? []
  return day === undefined ? undefined : Math.max(0, Math.ceil((Date.parse(`${day}T${time}Z`) - nowMs) / 1000))
}

/** A name that failed too often is paused until somebody opens the page that stands in the text. */
function selfService(detail: string): string | undefined {
  return /https:\/\/\S*(?:unpause|self-service|sfe)\S*/i.exec(detail)?.[0].replace(/[.,;)]+$/, '')
}

function readSubproblems(data: unknown): Subproblem[] {
  if (!Array.isArray(data)) return []
  return data.filter(isRecord).map(each => ({
    identifier: isRecord(each.identifier) ? clean(each.identifier.value) : '',
    type: shortType(each.type),
    detail: clean(each.detail),
  }))
}

function shortType(type: unknown): string {
  const text = clean(type)
  return text.slice(text.lastIndexOf(':') + 1) || 'unknown'
}

function kindOf(headers: Reply['headers']): string {
  const kind = (headers['content-type'] ?? '').split(';', 1)[0] ?? ''
  return kind === '' || kind.includes('json') ? '' : ` with ${clean(kind)} in place of a problem document`
}

/** Text from outside, fit for a line in a terminal and a log. */
export function clean(text: unknown): string {
  if (typeof text !== 'string') return ''
  const line = text.replace(/[\p{Cc}\p{Cf}\s]+/gu, ' ').trim()
  return line.length > 1000 ? `${line.slice(0, 1000)} …` : line
}

export function isRecord(data: unknown): data is Record<string, unknown> {
  return typeof data === 'object' && data !== null && !Array.isArray(data)
}
