import type { LiveGrant } from '../../access/access.js'
import type { UserToken } from '../../access/user-tokens.js'
import type { RateState } from '../../limits/rate.js'
import type { GrantScope } from '../../stores/records.js'

const text = { type: 'string' } as const
const when = { type: 'string', format: 'date-time' } as const
const texts = { type: 'array', items: text } as const

/** An access token, as it is handed out. */
export const tokenAnswer = {
  200: {
    type: 'object',
    properties: {
      token: text,
      tokenType: { enum: ['Bearer', 'DPoP'] },
      expiresAt: when,
      expiresIn: { type: 'integer' },
      refreshableUntil: when,
      grantId: text,
      subject: text,
      access_token: text,
      issued_token_type: text,
      token_type: text,
      expires_in: { type: 'integer' },
    },
    additionalProperties: false,
  },
} as const

export const endedAnswer = {
  200: { type: 'object', properties: { ended: { type: 'boolean' } }, required: ['ended'], additionalProperties: false },
} as const

/** What is told of a token that is alive; of one that is not, `active` alone (RFC 7662, section 2.2). */
export const infoAnswer = {
  200: {
    type: 'object',
    properties: {
      active: { type: 'boolean' },
      tokenType: text,
      tokenId: text,
      cnf: { type: 'object', properties: { jkt: text }, additionalProperties: false },
      grantId: text,
      subject: text,
      appId: text,
      issuedAt: when,
      expiresAt: when,
      refreshableUntil: when,
      exp: { type: 'integer' },
      iat: { type: 'integer' },
      scope: {
        type: 'object',
        properties: { all: { type: 'boolean' }, providers: texts, keys: texts, models: texts, endpoints: texts },
        additionalProperties: false,
      },
      maxOutputTokens: { type: 'integer' },
      rate: {
        type: 'object',
        properties: { limit: { type: 'integer' }, remaining: { type: 'integer' }, resetAfterSeconds: { type: 'integer' } },
        additionalProperties: false,
      },
    },
    required: ['active'],
    additionalProperties: false,
  },
} as const

/** How it is to be shown: `Authorization: DPoP` or `Bearer`. */
function typeOf({ thumbprint }: { readonly thumbprint?: string | undefined }): 'Bearer' | 'DPoP' {
  return thumbprint === undefined ? 'Bearer' : 'DPoP'
}

export function tokenBody(issued: UserToken, now: number): Record<string, unknown> {
  return {
    token: issued.token,
    tokenType: typeOf(issued),
    expiresAt: time(issued.expiresAtMs),
    expiresIn: Math.max(0, Math.floor((issued.expiresAtMs - now) / 1000)),
    ...(issued.sessionEndsAtMs !== undefined && { refreshableUntil: time(issued.sessionEndsAtMs) }),
    grantId: issued.grantId,
    subject: issued.subject,
  }
}

/** The same as RFC 8693, section 2.2.1, names it. */
export function exchangeBody(issued: UserToken, now: number): Record<string, unknown> {
  return {
    access_token: issued.token,
    issued_token_type: 'urn:ietf:params:oauth:token-type:access_token',
    token_type: typeOf(issued),
    expires_in: Math.max(0, Math.floor((issued.expiresAtMs - now) / 1000)),
  }
}

/** Who it is and until when; nothing of the rules. */
export function claimsBody({ record, token, claims }: LiveGrant): Record<string, unknown> {
  return {
    active: true,
    tokenType: typeOf(claims),
    ...(claims.thumbprint !== undefined && { cnf: { jkt: claims.thumbprint } }),
    tokenId: token.jti,
    grantId: record.id,
    subject: record.subject ?? record.id,
    ...(record.app && { appId: record.app.id }),
    issuedAt: time(claims.issuedAtMs),
    expiresAt: time(token.expiresAtMs),
    ...(claims.sessionEndsAtMs !== undefined && { refreshableUntil: time(claims.sessionEndsAtMs) }),
    exp: Math.floor(token.expiresAtMs / 1000),
    iat: Math.floor(claims.issuedAtMs / 1000),
  }
}

export function infoBody(live: LiveGrant, rate: RateState | undefined): Record<string, unknown> {
  const { record } = live
  return {
    ...claimsBody(live),
    scope: {
      all: record.scope.kind === 'all',
      ...namesOf(record.scope),
      models: record.narrowedTo ?? record.models,
      endpoints: record.endpoints,
    },
    ...(record.maxOutputTokens !== null && { maxOutputTokens: record.maxOutputTokens }),
    ...(rate && { rate: { limit: rate.limit, remaining: rate.remaining, resetAfterSeconds: Math.ceil(rate.resetMs / 1000) } }),
  }
}

function namesOf(scope: GrantScope): Record<string, readonly string[]> {
  if (scope.kind === 'providers') return { providers: scope.providers }
  return scope.kind === 'keys' ? { keys: scope.keys } : {}
}

function time(atMs: number): string {
  return new Date(atMs).toISOString()
}
