import { createHash } from 'node:crypto'
import { createLocalJWKSet, type JSONWebKeySet, type JWTPayload, type JWTVerifyOptions, errors as joseErrors, jwtVerify } from 'jose'
import { SoakpError } from '../errors.js'
import { derivedId } from '../lib/id.js'
import type { IssuerRecord } from '../stores/records.js'
import { parsePart } from './access-token.js'
import { isThumbprint } from './dpop-proof.js'
import { asymmetric, type IssuerKeys } from './issuer-keys.js'

/** Longest JWT of an issuer looked at: some carry profiles. */
const maxIssuerTokenLength = 8192

/** How far the issuer's clock and ours may lie apart. */
const toleranceSeconds = 60

/** A `typ` that says that a JWT was made for something else than to say who somebody is (RFC 8725, section 3.11). */
const types: ReadonlySet<string> = new Set(['jwt', 'at+jwt', 'application/at+jwt'])

export interface ClaimedToken {
  readonly kid: string | undefined
  readonly payload: JWTPayload
}

/** Whom an issuer vouches for. */
export interface Vouched {
  readonly issuer: IssuerRecord
  /** Its `sub`. */
  readonly user: string
  readonly issuedAtMs: number
  readonly expiresAtMs: number
  /** Of the key that the issuer bound it to. */
  readonly thumbprint: string | undefined
  /** Stands for this token and no other. */
  readonly id: string
}

function refused(why: string, cause?: unknown): SoakpError {
  return new SoakpError('issuer_token_refused', why, { cause })
}

/** What a JWT claims before anything about it is believed; cheap. Undefined: it is no JWT, or one of a kind that is taken from nobody. */
export function peekIssuerToken(token: string): ClaimedToken | undefined {
  if (token.length > maxIssuerTokenLength || token.split('.').length !== 3) return undefined
  const [header = '', body = ''] = token.split('.')
  try {
    const { alg, kid, typ } = parsePart(header)
    if (typeof alg !== 'string' || !asymmetric.includes(alg)) return undefined
    if (typ !== undefined && !(typeof typ === 'string' && types.has(typ.toLowerCase()))) return undefined
    return { kid: typeof kid === 'string' ? kid : undefined, payload: parsePart(body) }
  } catch {
    return undefined
  }
}

/** Everything that costs no signature. Throws `issuer_token_refused` with what is wrong. */
export function checkClaims({ payload }: ClaimedToken, issuer: IssuerRecord, now: number): void {
  const at = now / 1000
  const { sub, exp, nbf, iat } = payload
  if (payload.iss !== issuer.url) throw refused('Another issuer made it.')
  if (typeof sub !== 'string' || sub === '') throw refused('It names no subject.')
  for (const time of [exp, iat]) if (typeof time !== 'number' || !Number.isFinite(time)) throw refused('It needs exp and iat.')
  if (nbf !== undefined && typeof nbf !== 'number') throw refused('Its nbf is no time.')
  if ((exp ?? 0) <= at - toleranceSeconds) throw refused('It has expired.')
  if (Math.max(iat ?? 0, nbf ?? 0) > at + toleranceSeconds) throw refused('It is not valid yet.')
  checkAudience(payload, issuer)
  for (const { name, value } of issuer.claims) if (!carries(payload, name, value)) throw refused(`It does not carry ${name}=${value}.`)
}

function checkAudience({ aud, azp }: JWTPayload, { audiences, parties }: IssuerRecord): void {
  const meant = Array.isArray(aud) ? aud : aud === undefined ? [] : [aud]
  if (audiences.length === 0 ? meant.length > 0 : !audiences.some(audience => meant.includes(audience)))
    throw refused('It was made for another audience.')
  if (parties.length > 0 && !(typeof azp === 'string' && parties.includes(azp))) throw refused('It was given to another party (azp).')
}

/** The claim of this name, else the one that the dots lead to; of a list, one of its items. */
function carries(payload: JWTPayload, name: string, value: string): boolean {
  const own = (holder: unknown, key: string): unknown =>
    typeof holder === 'object' && holder !== null && Object.hasOwn(holder, key) ? (holder as Record<string, unknown>)[key] : undefined
  const found = own(payload, name) ?? name.split('.').reduce<unknown>(own, payload)
  const items = Array.isArray(found) ? found : [found]
  return items.some(item => (typeof item === 'string' || typeof item === 'number' || typeof item === 'boolean') && String(item) === value)
}

/** Checks the signature, and the claims again under it. Throws `issuer_token_refused`. */
export async function verifyIssuerToken(
  token: string,
  issuer: IssuerRecord,
  { jwks, algorithms }: IssuerKeys,
  now: number,
): Promise<Vouched> {
  try {
    const payload = await payloadOf(token, jwks, {
      algorithms: [...algorithms],
      issuer: issuer.url,
      ...(issuer.audiences.length > 0 && { audience: [...issuer.audiences] }),
      clockTolerance: toleranceSeconds,
      currentDate: new Date(now),
    })
    checkClaims({ kid: undefined, payload }, issuer, now)
    return {
      issuer,
      user: String(payload.sub),
      issuedAtMs: Number(payload.iat) * 1000,
      expiresAtMs: Number(payload.exp) * 1000,
      thumbprint: boundTo(payload),
      id: idOf(token, payload, issuer),
    }
  } catch (cause) {
    if (cause instanceof SoakpError) throw cause
    if (cause instanceof joseErrors.JWKSNoMatchingKey) throw refused('The issuer has no such key.', cause)
    throw refused('Its signature is not of a key of the issuer.', cause)
  }
}

/** Keys of one name, or of none, that a signature is held against. */
const mostOfOneName = 10

const keySets = new WeakMap<JSONWebKeySet, ReturnType<typeof createLocalJWKSet>>()

/** The keys of a list are imported once, however many tokens they are asked about. */
function keySetOf(jwks: JSONWebKeySet): ReturnType<typeof createLocalJWKSet> {
  const known = keySets.get(jwks)
  if (known) return known
  const made = createLocalJWKSet(jwks)
  keySets.set(jwks, made)
  return made
}

async function payloadOf(token: string, jwks: JSONWebKeySet, options: JWTVerifyOptions): Promise<JWTPayload> {
  try {
    return (await jwtVerify(token, keySetOf(jwks), options)).payload
  } catch (error) {
    if (!(error instanceof joseErrors.JWKSMultipleMatchingKeys)) throw error
    return payloadByOneOf(token, error, options)
  }
}

/** A name may stand for several keys (RFC 7517, section 4.5), and a token need not say any. */
async function payloadByOneOf(token: string, keys: joseErrors.JWKSMultipleMatchingKeys, options: JWTVerifyOptions): Promise<JWTPayload> {
  let left = mostOfOneName
  for await (const key of keys) {
    if (left-- === 0) break
    try {
      return (await jwtVerify(token, key, options)).payload
    } catch (error) {
      if (!(error instanceof joseErrors.JWSSignatureVerificationFailed)) throw error
    }
  }
  throw new joseErrors.JWSSignatureVerificationFailed()
}

/** A token that is bound to something must not open anything without it (RFC 7800). */
function boundTo({ cnf }: JWTPayload): string | undefined {
  if (cnf === undefined || cnf === null) return undefined
  const jkt = typeof cnf === 'object' && 'jkt' in cnf ? cnf.jkt : undefined
  if (typeof jkt !== 'string' || !isThumbprint(jkt)) throw refused('It is bound to something (cnf) that cannot be checked here.')
  return jkt
}

/** By its `jti` where it has one, else by what is signed: the signature itself can be written in several ways. */
function idOf(token: string, payload: JWTPayload, issuer: IssuerRecord): string {
  const { jti } = payload
  const signed = token.slice(0, token.lastIndexOf('.'))
  const own = typeof jti === 'string' && jti !== '' ? `jti ${jti}` : `text ${createHash('sha256').update(signed).digest('hex')}`
  return derivedId('tok', [issuer.id, own])
}
