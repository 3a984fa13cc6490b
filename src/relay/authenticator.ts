import type { Access, LiveGrant } from '../access/access.js'
import { isProven, type Proofs } from '../access/dpop.js'
import { SoakpError } from '../errors.js'
import { isPromise, type MaybePromise } from '../lib/maybe.js'
import type { Guessing } from '../limits/guessing.js'
import type { Exchange } from './exchange.js'
import type { Head } from './head.js'
import { provenRequest } from './proven.js'

export interface AuthenticatorDeps {
  readonly access: Pick<Access, 'authenticate'>
  readonly proofs: Pick<Proofs, 'checkUse' | 'nonce'>
  readonly guessing: Guessing
}

/** Each of these costs the address a bit of its budget. */
const failures: ReadonlySet<string> = new Set([
  'token_missing',
  'token_invalid',
  'token_expired',
  'token_revoked',
  'issuer_token_refused',
  'dpop_missing',
  'dpop_invalid',
])

/**
 * Whose a call is. Failed attempts are budgeted by address. A token that was good before is never held up by them; one that names a live grant is still verified. A call that cannot
 * show the key its token is bound to is nobody's.
 */
export function createAuthenticator({
  access,
  proofs,
  guessing,
}: AuthenticatorDeps): (exchange: Exchange, head: Head) => MaybePromise<LiveGrant> {
  function countFailure(address: string, error: unknown): never {
    if (error instanceof SoakpError && failures.has(error.code)) {
      const waitMs = guessing.blockedForMs(address)
      guessing.failed(address)
      if (waitMs > 0) throw new SoakpError('too_many_failures', undefined, { retryAfterSeconds: Math.ceil(waitMs / 1000) })
    }
    throw error
  }

  function proven(exchange: Exchange, { token = '', asDpop, proof }: Head, grant: LiveGrant): LiveGrant {
    if (!asDpop && !isProven(grant)) return grant
    const { request, publicUrl } = exchange.call
    exchange.dpopNonce = proofs.nonce()
    proofs.checkUse(grant, { token, asDpop, proof }, provenRequest(request, publicUrl))
    return grant
  }

  return (exchange, head) => {
    const { address } = exchange.call
    try {
      if (head.token === undefined) throw new SoakpError('token_missing')
      const grant = access.authenticate(head.token, address)
      if (!isPromise(grant)) return proven(exchange, head, grant)
      return grant.then(found => proven(exchange, head, found)).catch(error => countFailure(address, error))
    } catch (error) {
      return countFailure(address, error)
    }
  }
}
