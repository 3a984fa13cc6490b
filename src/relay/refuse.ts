import { challengeOf } from '../access/dpop.js'
import { rulesOf } from '../access/rules.js'
import { errors, SoakpError } from '../errors.js'
import { corsHeaders } from '../lib/cors.js'
import { stateOfRefusal } from '../limits/limits.js'
import type { RateState } from '../limits/rate.js'
import { findDialect } from '../providers/index.js'
import type { Dialect } from '../providers/provider.js'
import { dialectOf, type Exchange } from './exchange.js'
import { standingHeaders } from './headers.js'

/** The shape of errors where no provider is known: the one most SDKs read. */
const fallback = findDialect('openai') as Dialect

/** A whole reply of our own making. */
export interface Refusal {
  readonly status: number
  readonly headers: string[]
  readonly body: Buffer
}

export function toSoakpError(error: unknown): SoakpError {
  return error instanceof SoakpError ? error : new SoakpError('internal', undefined, { cause: error })
}

/** An error in the shape that the SDK of the provider called understands (`{"error":{…}}` and its like). Words of a cause never show. */
export function refusalOf(exchange: Exchange, error: SoakpError): Refusal {
  const { call } = exchange
  const dialect = spokenDialect(exchange)
  const row = errors[error.code]
  const shown = row.status >= 500 && error.code === 'internal' ? row.text : error.message
  const message = error.hint === undefined ? shown : `${shown} (${error.hint})`
  const body = Buffer.from(JSON.stringify(dialect.errorBody({ status: error.status, code: error.code, message, requestId: call.id })))
  const headers = [
    'content-type',
    'application/json',
    'content-length',
    String(body.length),
    'cache-control',
    'no-store',
    ...ownHeaders(exchange, stateOfRefusal(error)),
  ]
  if (!error.retryable) headers.push('x-should-retry', 'false')
  if (error.waitSeconds !== undefined) headers.push('retry-after', String(error.waitSeconds))
  const challenge = challengeOf(error)
  if (challenge !== undefined) headers.push('www-authenticate', challenge)
  return { status: error.status, headers, body }
}

/** What the client reads errors in: at the unified endpoint what it spoke itself, else what the provider's endpoint speaks. */
function spokenDialect(exchange: Exchange): Dialect {
  const spoken = exchange.unified && findDialect(exchange.unified.speaks)
  return spoken ?? dialectOf(exchange) ?? fallback
}

/** Headers of every reply on a relay route, ours or a provider's: id, limits, and what a browser needs. */
export function ownHeaders(exchange: Exchange, refusedBy?: RateState): string[] {
  const headers = [...standingHeaders, 'x-request-id', exchange.call.id]
  if (exchange.dpopNonce !== undefined) headers.push('dpop-nonce', exchange.dpopNonce)
  const rate = refusedBy ?? exchange.hold?.rate
  if (rate) {
    headers.push('ratelimit-limit', String(rate.limit), 'ratelimit-remaining', String(rate.remaining))
    headers.push('ratelimit-reset', String(Math.ceil(rate.resetMs / 1000)))
  }
  const origin = exchange.originAllowed ? exchange.call.request.headers.origin : undefined
  if (origin !== undefined) {
    for (const [name, value] of Object.entries(corsHeaders(origin))) headers.push(name, value)
  } else headers.push('vary', 'Origin')
  return headers
}

/** Whether a page of this origin may read replies to this grant's calls: the grant says, or else the settings. */
export function originAllowed(exchange: Exchange, settingsAllow: (origin: string) => boolean): boolean {
  const origin = exchange.head?.origin
  if (origin === undefined) return false
  const rules = exchange.grant && rulesOf(exchange.grant.record)
  return rules?.limitsOrigins ? rules.allowsOrigin(origin) : settingsAllow(origin)
}

/**
 * A browser lets any page read what comes over a WebSocket, whoever it belongs to: so the rule that keeps a page from reading replies keeps it from opening one. Programs that name
 * an origin name ours.
 */
export function refuseForeignPage({ call, head, originAllowed }: Exchange): void {
  const origin = head?.origin
  if (origin === undefined || originAllowed) return
  const { host } = call.request.headers
  if (URL.canParse(origin) && new URL(origin).host === host) return
  throw new SoakpError('origin_not_allowed', undefined, { hint: 'the operator allows it with --origin, or in SOAKP_CORS_ORIGINS' })
}
