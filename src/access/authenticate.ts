import { SoakpError } from '../errors.js'
import { BoundedMap } from '../lib/bounded-map.js'
import { isPromise, type MaybePromise } from '../lib/maybe.js'
import type { TokenRecord } from '../stores/records.js'
import type { GrantAndTokens } from '../stores/store.js'
import type { LiveGrant } from './access.js'
import { maxTokenLength, peekToken, type SigningKey, type TokenClaims, verifyToken } from './access-token.js'
import type { Policy } from './policy.js'

const remembered = 50_000

interface AuthenticateDeps {
  readonly policy: Policy
  readonly instanceId: string
  readonly signingKeys: readonly SigningKey[]
  readonly now: () => number
}

/**
 * Checks tokens. A signature is checked once and remembered by the whole token; the grant's state is read anew for every call. Nothing is verified
 * for a token whose key, grant or id is not known here, so that a flood of invented tokens costs look-ups, not signatures.
 */
export function createAuthenticate({ policy, instanceId, signingKeys, now }: AuthenticateDeps): (token: string) => MaybePromise<LiveGrant> {
  const verified = new BoundedMap<string, TokenClaims>(remembered)
  const keys = new Map(signingKeys.map(key => [key.kid, key]))

  function live(claims: TokenClaims, found: GrantAndTokens | undefined): LiveGrant {
    const at = now()
    const record = found?.tokens.find(candidate => candidate.jti === claims.jti)
    if (!found || !record) throw new SoakpError('token_revoked')
    if (found.grant.revokedAtMs !== null) throw new SoakpError('token_revoked')
    if (claims.expiresAtMs <= at) throw new SoakpError('token_expired')
    if (record.expiresAtMs <= at) throw new SoakpError(record.expiresAtMs < claims.expiresAtMs ? 'token_revoked' : 'token_expired')
    if (found.grant.expiresAtMs <= at) throw new SoakpError('token_expired')
    return { record: found.grant, token: record }
  }

  async function verify(token: string): Promise<LiveGrant> {
    const claimed = peekToken(token)
    const key = keys.get(claimed.kid)
    if (!key) throw new SoakpError('token_invalid', 'It was not made here.')
    const found = await policy.grant(claimed.grantId)
    const record: TokenRecord | undefined = found?.tokens.find(candidate => candidate.jti === claimed.jti)
    if (!record) throw new SoakpError('token_invalid', 'It was not made here.')
    const claims = await verifyToken(token, instanceId, key, now())
    // the state is read again: it may have changed while the signature was checked
    await policy.refresh()
    const grant = live(claims, await policy.grant(claims.grantId))
    verified.set(token, claims)
    return grant
  }

  function known(claims: TokenClaims): MaybePromise<LiveGrant> {
    const found = policy.grant(claims.grantId)
    return isPromise(found) ? found.then(value => live(claims, value)) : live(claims, found)
  }

  return token => {
    if (token.length > maxTokenLength) throw new SoakpError('token_invalid', 'It is too long.')
    const claims = verified.get(token)
    const refreshed = policy.refresh()
    if (isPromise(refreshed)) return refreshed.then(() => (claims ? known(claims) : verify(token)))
    return claims ? known(claims) : verify(token)
  }
}
