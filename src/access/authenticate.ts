import { SoakpError } from '../errors.js'
import { BoundedMap } from '../lib/bounded-map.js'
import { isPromise, type MaybePromise } from '../lib/maybe.js'
import { Recent } from '../lib/recent.js'
import type { GrantRecord, TokenRecord } from '../stores/records.js'
import type { GrantAndTokens } from '../stores/store.js'
import type { LiveGrant } from './access.js'
import { maxTokenLength, peekToken, type SigningKey, type TokenClaims, verifyToken } from './access-token.js'
import type { Policy } from './policy.js'

const mostRemembered = 50_000

export interface AuthenticateDeps {
  readonly policy: Policy
  readonly instanceId: string
  readonly signingKeys: readonly SigningKey[]
  /** What a token says that a trusted issuer made, where such tokens open the relay themselves; undefined: no issuer made it. */
  readonly ofIssuer?: ((token: string, address: string | undefined) => Promise<TokenClaims | undefined>) | undefined
  readonly now: () => number
}

/** A token whose signature was checked. */
interface Verified {
  readonly claims: TokenClaims
  /** Of an app's user, whose tokens are not kept one by one. */
  readonly token: TokenRecord
  /** The grant that was last narrowed to what the token says, and the outcome. */
  wide: GrantRecord | undefined
  narrow: GrantRecord | undefined
}

function verifiedOf(claims: TokenClaims): Verified {
  const { jti, grantId, issuedAtMs, expiresAtMs } = claims
  return { claims, token: { jti, grantId, issuedAtMs, expiresAtMs }, wide: undefined, narrow: undefined }
}

/**
 * Checks tokens. A signature is checked once and remembered by the whole token; the grant's state is read anew for every call. Nothing is verified
 * for a token whose key, grant or id is not known here, so that a flood of invented tokens costs look-ups, not signatures.
 */
export function createAuthenticate(deps: AuthenticateDeps): (token: string, address?: string) => MaybePromise<LiveGrant> {
  const { policy, instanceId, signingKeys, ofIssuer, now } = deps
  const verified = new BoundedMap<string, Verified>(mostRemembered)
  const recent = new Recent<Verified>()
  const keys = new Map(signingKeys.map(key => [key.kid, key]))

  function live(known: Verified, found: GrantAndTokens | undefined): LiveGrant {
    const { claims } = known
    const at = now()
    const token = found && tokenOf(claims, known.token, found)
    if (!found || !token || found.grant.revokedAtMs !== null) throw new SoakpError('token_revoked')
    if (claims.expiresAtMs <= at) throw new SoakpError('token_expired')
    if (token.expiresAtMs <= at) throw new SoakpError(token.expiresAtMs < claims.expiresAtMs ? 'token_revoked' : 'token_expired')
    if (!found.grant.app && found.grant.expiresAtMs <= at) throw new SoakpError('token_expired')
    return { record: claims.models ? narrowed(known, claims.models, found.grant) : found.grant, token, claims }
  }

  async function verify(token: string, address: string | undefined): Promise<LiveGrant> {
    const claims = (await ofIssuer?.(token, address)) ?? (await verifyOwn(token))
    // the state is read again: it may have changed while the signature was checked
    await policy.refresh()
    const known = verifiedOf(claims)
    const grant = live(known, await policy.grant(claims.grantId))
    verified.set(token, known)
    return grant
  }

  async function verifyOwn(token: string): Promise<TokenClaims> {
    const claimed = peekToken(token)
    const key = keys.get(claimed.kid)
    if (!key) throw new SoakpError('token_invalid', 'It was not made here.')
    const found = await policy.grant(claimed.grantId)
    if (found?.grant.app) {
      if (found.epoch !== claimed.epoch) throw new SoakpError('token_revoked')
    } else if (!found?.tokens.some(({ jti }) => jti === claimed.jti)) throw new SoakpError('token_invalid', 'It was not made here.')
    return verifyToken(token, instanceId, key, now())
  }

  function judge(known: Verified): MaybePromise<LiveGrant> {
    const found = policy.grant(known.claims.grantId)
    return isPromise(found) ? found.then(value => live(known, value)) : live(known, found)
  }

  function remembered(token: string): Verified | undefined {
    const known = verified.get(token)
    if (known) recent.set(token, known)
    return known
  }

  return (token, address) => {
    if (token.length > maxTokenLength) throw new SoakpError('token_invalid', 'It is too long.')
    const known = recent.get(token) ?? remembered(token)
    const refreshed = policy.refresh()
    if (isPromise(refreshed)) return refreshed.then(() => (known ? judge(known) : verify(token, address)))
    return known ? judge(known) : verify(token, address)
  }
}

/** The token as the grant knows it now; undefined: it does not, or not any more. `token`: as it was when its signature was checked. */
export function tokenOf(claims: TokenClaims, token: TokenRecord, { grant, tokens, epoch }: GrantAndTokens): TokenRecord | undefined {
  if (!grant.app || epoch === undefined) return tokens.find(candidate => candidate.jti === claims.jti)
  // an issuer's token knows no epoch of ours, only when it was made
  const current = claims.issuer === undefined ? claims.epoch === epoch : claims.issuedAtMs > epoch
  const { jti, sessionId = jti } = claims
  return current && !tokens.some(ended => ended.jti === jti || ended.jti === sessionId) ? token : undefined
}

/** The same record for the same grant, so that its rules are compiled once. */
function narrowed(known: Verified, models: readonly string[], grant: GrantRecord): GrantRecord {
  if (known.wide !== grant || !known.narrow) {
    known.wide = grant
    known.narrow = { ...grant, narrowedTo: models }
  }
  return known.narrow
}
