import type { webcrypto } from 'node:crypto'
import { errors as joseErrors, jwtVerify, SignJWT } from 'jose'
import { SoakpError } from '../errors.js'

/** A key that access tokens are signed with; `publicJwk` may be shown to anyone. */
export interface SigningKey {
  readonly kid: string
  readonly publicJwk: Readonly<Record<string, unknown>>
  readonly publicKey: webcrypto.CryptoKey
  readonly privateKey: webcrypto.CryptoKey
}

/** What an access token says. There is no policy in it and no secret. */
export interface TokenClaims {
  readonly jti: string
  readonly grantId: string
  readonly subject: string
  readonly issuedAtMs: number
  readonly expiresAtMs: number
  /** Of an app's user: the epoch it was issued in. */
  readonly epoch?: number | undefined
  /** The same for a token and all that it was exchanged for: they end together. */
  readonly sessionId?: string | undefined
  /** Until when it can be exchanged for a new one. */
  readonly sessionEndsAtMs?: number | undefined
  /** Globs that narrow the grant further: they can take away only, so they may stand in here. */
  readonly models?: readonly string[] | undefined
  /** Of the key it is bound to: without a proof of that key it opens nothing (RFC 9449, section 6.1). */
  readonly thumbprint?: string | undefined
  /** Id of the issuer that made and signed it, where that is not us. */
  readonly issuer?: string | undefined
}

/** Longest access token looked at. */
export const maxTokenLength = 4096

/** 64 bytes of base64url, without padding and with nothing in the bits that mean nothing: a token has one spelling. */
const oneSpelling = /^[\w-]{85}[AQgw]$/

const type = 'at+jwt'
const algorithm = 'EdDSA'

/** A JWT as RFC 9068 types it, signed with Ed25519; issuer and audience are the instance, so that a change of domain ends none. */
export function signToken(claims: TokenClaims, instanceId: string, key: SigningKey): Promise<string> {
  const { grantId: grant, epoch, sessionId, sessionEndsAtMs, models, thumbprint } = claims
  return new SignJWT({
    grant,
    ...(epoch !== undefined && { epoch }),
    ...(sessionId !== undefined && { sid: sessionId }),
    ...(sessionEndsAtMs !== undefined && { session: Math.floor(sessionEndsAtMs / 1000) }),
    ...(models !== undefined && { models }),
    ...(thumbprint !== undefined && { cnf: { jkt: thumbprint } }),
  })
    .setProtectedHeader({ alg: algorithm, typ: type, kid: key.kid })
    .setIssuer(instanceId)
    .setAudience(instanceId)
    .setSubject(claims.subject)
    .setJti(claims.jti)
    .setIssuedAt(Math.floor(claims.issuedAtMs / 1000))
    .setExpirationTime(Math.floor(claims.expiresAtMs / 1000))
    .sign(key.privateKey)
}

interface PeekedToken {
  readonly kid: string
  readonly jti: string
  readonly grantId: string
  readonly epoch: unknown
}

/**
 * What a token claims before anything about it is believed. Cheap; refuses by shape alone whatever soakp cannot have made.
 * Throws `token_invalid`.
 */
export function peekToken(token: string): PeekedToken {
  if (token.length > maxTokenLength) throw new SoakpError('token_invalid', 'It is too long.')
  const [header, payload, signature, rest] = token.split('.')
  if (!header || !payload || !signature || rest !== undefined || !oneSpelling.test(signature))
    throw new SoakpError('token_invalid', 'It is not a signed JWT.')
  const { alg, typ, kid } = parsePart(header)
  const { jti, grant, epoch } = parsePart(payload)
  if (alg !== algorithm || typ !== type) throw new SoakpError('token_invalid', 'It was not made here.')
  if (typeof kid !== 'string' || typeof jti !== 'string' || typeof grant !== 'string')
    throw new SoakpError('token_invalid', 'It was not made here.')
  return { kid, jti, grantId: grant, epoch }
}

/** One part of a JWT, believed by nobody yet. Throws `token_invalid`. */
export function parsePart(part: string): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(Buffer.from(part, 'base64url').toString('utf8'))
    if (typeof value === 'object' && value !== null) return value as Record<string, unknown>
  } catch {
    // refused below, like any other text that is not a token
  }
  throw new SoakpError('token_invalid', 'It is not a JWT.')
}

/** Checks signature and claims. Throws `token_expired`, `token_invalid`. */
export async function verifyToken(token: string, instanceId: string, key: SigningKey, now: number): Promise<TokenClaims> {
  try {
    const { payload } = await jwtVerify(token, key.publicKey, {
      algorithms: [algorithm],
      typ: type,
      issuer: instanceId,
      audience: instanceId,
      requiredClaims: ['jti', 'iat', 'exp', 'sub', 'grant'],
      currentDate: new Date(now),
    })
    return {
      jti: String(payload.jti),
      grantId: String(payload.grant),
      subject: String(payload.sub),
      issuedAtMs: (payload.iat as number) * 1000,
      expiresAtMs: (payload.exp as number) * 1000,
      epoch: payload.epoch as number | undefined,
      sessionId: payload.sid as string | undefined,
      sessionEndsAtMs: payload.session === undefined ? undefined : (payload.session as number) * 1000,
      models: payload.models as readonly string[] | undefined,
      thumbprint: (payload.cnf as { jkt: string } | undefined)?.jkt,
    }
  } catch (cause) {
    if (cause instanceof joseErrors.JWTExpired) throw new SoakpError('token_expired')
    throw new SoakpError('token_invalid', undefined, { cause })
  }
}
