import { SoakpError } from '../../../errors.js'
import { Secret } from '../../../lib/secret.js'
import type { DnsContext } from '../provider.js'
import { describeBody, type HttpReply, HttpTrouble, sendHttp } from './http.js'
import { oneLine, redact } from './redact.js'

/** What goes out, before it is signed. */
export interface OutgoingRequest {
  readonly method: string
  readonly url: URL
  /** Empty where there is none. */
  readonly body: string
}

/** What is particular about a provider's HTTP API. */
export interface ApiOptions {
  /** `https://api.example.com/v1`; `SOAKP_DNS_BASE_URL` takes its place. A trailing slash makes no difference. */
  readonly base: string
  /** The headers that authenticate a request, made anew for each attempt, from the settings; signatures cover what they are given. */
  readonly headers: (request: OutgoingRequest) => Readonly<Record<string, string>> | Promise<Readonly<Record<string, string>>>
  /** First names of the settings that are named when the API refuses the credentials. */
  readonly credentials: readonly string[]
  /** At most so many requests a second leave. Absent: no limit. */
  readonly perSecond?: number
  /** The provider's own words in an error. Absent: what stands under the usual names of a JSON body. */
  readonly complaint?: (body: unknown, reply: ApiReply) => string | undefined
  /** Whether a reply says that the credentials are bad. Absent: 401 and 403. */
  readonly refuses?: (reply: ApiReply) => boolean
  /** Whether a reply besides 429 and 503 says to come again later, and that nothing was done. */
  readonly busy?: (reply: ApiReply) => boolean
  /** Milliseconds until the next attempt, where a reply says it elsewhere than in Retry-After. */
  readonly comeBackMs?: (reply: ApiReply) => number | undefined
  /** Whether a reply with a good status says all the same that it was not done. */
  readonly fails?: (reply: ApiReply) => boolean
}

/** At most one of `json`, `form` and `text` is the body. */
export interface ApiRequest {
  readonly query?: Readonly<Record<string, string | number | boolean | undefined>>
  readonly json?: unknown
  readonly form?: Readonly<Record<string, string>>
  readonly text?: string
  /** Of `text`: `application/xml`. */
  readonly contentType?: string
  readonly headers?: Readonly<Record<string, string>>
  /** What is an answer, not a failure, besides the statuses 200 to 299: further statuses, or whatever is in the reply. */
  readonly accept?: readonly number[] | ((reply: ApiReply) => boolean)
  /** Doing it twice is doing it once; then it is tried again after a dropped connection or a 5xx. Absent: so for all methods but POST and PATCH. */
  readonly idempotent?: boolean
}

export interface ApiReply extends HttpReply {
  /** The body as JSON; undefined where it is none. */
  readonly json: unknown
}

/** An HTTP API of a DNS provider. */
export interface Api {
  /** The address that is used, without a trailing slash. */
  readonly base: string
  /**
   * One request, with what every API wants: the rate kept, 429 and 503 waited out, what can be done twice tried again, redirects refused. Throws `dns_credentials_refused` naming the
   * variables, `dns_provider_failed` with method, path, status and the provider's words. `path` is appended to the base address.
   */
  send(method: string, path: string, request?: ApiRequest): Promise<ApiReply>
}

const attempts = 5
/** A run that asks the same more often is in a circle: a list that always promises one more page. */
const mostOfOnePath = 2000
/** A longer wait is not waited out but told, for the next run. */
const longestWaitMs = 60_000

export function openApi(context: DnsContext, options: ApiOptions): Api {
  const base = (context.baseUrl ?? options.base).replace(/\/+$/, '')
  if (!URL.canParse(base) || !/^https?:$/.test(new URL(base).protocol)) {
    throw new SoakpError(
      'dns_settings_incomplete',
      `“${oneLine(base, 100)}” is no address of an API: it has to begin with https:// (or http://).`,
    )
  }
  const turn = spacing(context, options.perSecond)
  const asked = new Map<string, number>()
  if (/^http:\/\/(?!localhost\b|127\.|\[::1\])/i.test(base))
    context.tell(`${new URL(base).host} is spoken to without TLS: who can listen in between reads the credentials`)
  return {
    base,
    async send(method, path, request = {}) {
      const url = new URL(base + path)
      for (const [name, value] of Object.entries(request.query ?? {})) if (value !== undefined) url.searchParams.append(name, String(value))
      asked.set(url.pathname, (asked.get(url.pathname) ?? 0) + 1)
      if ((asked.get(url.pathname) ?? 0) > mostOfOnePath) {
        const detail = `${url.host}${url.pathname} was asked ${mostOfOnePath} times in one run, as if its list had no end.`
        throw new SoakpError('dns_provider_failed', context.redact(detail))
      }
      const idempotent = request.idempotent ?? (method !== 'POST' && method !== 'PATCH')
      for (let attempt = 1; ; attempt++) {
        await turn()
        const { outcome, credentials } = await attemptOnce(context, options, method, url, request)
        const wait = attempt < attempts ? waitBefore(outcome, attempt, { idempotent, options, now: context.now() }) : undefined
        if (wait === undefined || wait > longestWaitMs) {
          const clean = (text: string) => context.redact(redact(text, credentials))
          return conclude(context, options, { method, url, clean, accept: request.accept ?? [] }, outcome)
        }
        context.tell(
          `${url.host} ${outcome instanceof HttpTrouble ? outcome.message : `answers ${outcome.status}`}; trying again in ${Math.ceil(wait / 1000)} s`,
        )
        await context.delay(wait)
      }
    },
  }
}

/** Requests leave in the order in which they were asked for, `perSecond` of them. */
function spacing(context: DnsContext, perSecond: number | undefined): () => Promise<void> {
  let next = 0
  return async () => {
    if (perSecond === undefined) return
    const now = context.now()
    const at = Math.max(now, next)
    next = at + 1000 / perSecond
    if (at > now) await context.delay(at - now)
  }
}

async function attemptOnce(
  context: DnsContext,
  options: ApiOptions,
  method: string,
  url: URL,
  request: ApiRequest,
): Promise<{ outcome: ApiReply | HttpTrouble; credentials: readonly Secret[] }> {
  const { body, type } = bodyOf(request)
  const authentication = await options.headers({ method, url, body })
  const headers = {
    accept: 'application/json',
    'user-agent': 'soakp',
    ...(type === undefined ? {} : { 'content-type': type }),
    ...request.headers,
    ...authentication,
  }
  if (Object.values(headers).some(value => /[^\t\x20-\x7e\x80-\xff]/.test(value))) {
    throw new SoakpError(
      'dns_credentials_refused',
      `${context.named(...options.credentials)} holds a character that no HTTP header can carry.`,
    )
  }
  const reply = await sendHttp({ method, url, headers, body, timeoutMs: context.httpTimeoutMs, signal: context.signal })
  return { outcome: reply instanceof HttpTrouble ? reply : { ...reply, json: parse(reply.text) }, credentials: parts(authentication) }
}

/** Servers echo what they were sent; what is derived from the settings (a session's token, a signature) is in nobody's list of secrets. */
function parts(headers: Readonly<Record<string, string>>): Secret[] {
  const values = Object.values(headers).flatMap(value => [value, value.slice(value.indexOf(' ') + 1)])
  return values.filter(value => value.length >= 12).map(value => new Secret(value))
}

function bodyOf({ json, form, text, contentType }: ApiRequest): { body: string; type: string | undefined } {
  if (json !== undefined) return { body: JSON.stringify(json), type: contentType ?? 'application/json' }
  if (form !== undefined) return { body: new URLSearchParams(form).toString(), type: 'application/x-www-form-urlencoded' }
  return { body: text ?? '', type: text === undefined ? undefined : (contentType ?? 'text/plain') }
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

/** Milliseconds until the next attempt; undefined where another one cannot help or may do it twice. */
function waitBefore(
  outcome: ApiReply | HttpTrouble,
  attempt: number,
  { idempotent, options, now }: { readonly idempotent: boolean; readonly options: ApiOptions; readonly now: number },
): number | undefined {
  const backOff = 500 * 2 ** (attempt - 1) * (0.75 + Math.random() / 2)
  if (outcome instanceof HttpTrouble) return outcome.beforeSending || idempotent ? backOff : undefined
  const { status } = outcome
  if (status !== 429 && status !== 503 && !(status >= 500 && idempotent) && !options.busy?.(outcome)) return undefined
  return retryAfterMs(outcome, now) ?? options.comeBackMs?.(outcome) ?? backOff
}

/** RFC 9110 section 10.2.3: seconds or a date. */
function retryAfterMs({ headers }: HttpReply, now: number): number | undefined {
  const text = headers['retry-after']
  if (text === undefined) return undefined
  if (/^\d{1,9}$/.test(text)) return Number(text) * 1000
  const date = Date.parse(text)
  return Number.isNaN(date) ? undefined : Math.max(0, date - now)
}

interface Asked {
  readonly method: string
  readonly url: URL
  readonly clean: (text: string) => string
  readonly accept: NonNullable<ApiRequest['accept']>
}

/** The reply, where it is an answer; else throws what it means. */
function conclude(
  context: DnsContext,
  options: ApiOptions,
  { method, url, clean, accept }: Asked,
  outcome: ApiReply | HttpTrouble,
): ApiReply {
  // the query is left out: some APIs want the credentials there
  const asked = clean(`${method} ${url.host}${url.pathname}`)
  if (outcome instanceof HttpTrouble) {
    if (context.signal.aborted) throw new SoakpError('cancelled')
    throw new SoakpError('dns_provider_failed', `${asked} ${clean(outcome.message)}.`)
  }
  const { status } = outcome
  if (typeof accept === 'function' ? accept(outcome) : accept.includes(status)) return outcome
  if (status >= 200 && status < 300 && !options.refuses?.(outcome) && !options.fails?.(outcome)) return outcome
  // cleaned before it is cut: half a secret is not recognised
  const words = oneLine(clean((options.complaint ?? usualComplaint)(outcome.json, outcome) ?? describeBody(outcome)))
  if (options.refuses ? options.refuses(outcome) : status === 401 || status === 403) {
    throw new SoakpError('dns_credentials_refused', `${context.named(...options.credentials)}: ${asked} answers ${status}: ${words}`)
  }
  const waitMs = retryAfterMs(outcome, context.now()) ?? options.comeBackMs?.(outcome)
  throw new SoakpError(
    'dns_provider_failed',
    `${asked} answers ${status}${status >= 300 && status < 400 ? ', a redirect, which is not followed' : ''}: ${words}`,
    {
      ...(waitMs === undefined ? {} : { retryAfterSeconds: Math.ceil(waitMs / 1000) }),
    },
  )
}

/** Where APIs usually put what they have to say. */
function usualComplaint(body: unknown): string | undefined {
  if (typeof body === 'string') return body
  if (typeof body !== 'object' || body === null) return undefined
  const record: Record<string, unknown> = { ...body }
  for (const name of ['message', 'detail', 'error_description', 'error', 'errors', 'Message', 'title', 'reason']) {
    const value = record[name]
    if (typeof value === 'string' && value !== '') return value
    if (Array.isArray(value) && value.length > 0) return value.map(one => usualComplaint(one) ?? JSON.stringify(one)).join('; ')
    if (typeof value === 'object' && value !== null) return usualComplaint(value) ?? JSON.stringify(value)
  }
  return Object.keys(record).length === 0 ? undefined : JSON.stringify(record)
}
