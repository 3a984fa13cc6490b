import { tokenOf } from '../../access/authenticate.js'
import type { Policy } from '../../access/policy.js'
import { rulesOf } from '../../access/rules.js'
import { SoakpError } from '../../errors.js'
import type { Exchange } from '../exchange.js'

/** An open connection, as far as its grant may end it. */
export interface Granted {
  readonly exchange: Pick<Exchange, 'grant' | 'key'>
  refuse(error: SoakpError): void
}

/** Holds open connections against what their grants, tokens and keys have become. */
export interface GrantWatch {
  /** Refuses those that would not be opened now. Rejects where that cannot be found out; then all of them are looked at the next time. */
  closeUnallowed(open: Iterable<Granted>): Promise<void>
  /** All of them are looked at the next time, whether or not anything changed. */
  anew(): void
}

/** `now`: epoch milliseconds. */
export function createGrantWatch(policy: Pick<Policy, 'refresh' | 'grant' | 'keys'>, now: () => number): GrantWatch {
  /** Of the policy that they were held against last. */
  let generation: number | undefined

  async function check(open: Iterable<Granted>, isChanged: boolean): Promise<void> {
    const at = now()
    for (const connection of open) {
      const { grant } = connection.exchange
      if (!grant) continue
      if (Math.min(grant.token.expiresAtMs, grant.record.app ? Number.POSITIVE_INFINITY : grant.record.expiresAtMs) <= at)
        connection.refuse(new SoakpError('token_expired'))
      else if (isChanged) {
        const why = await whyUnallowed(connection.exchange, at)
        if (why) connection.refuse(why)
      }
    }
  }

  async function whyUnallowed({ grant, key }: Granted['exchange'], at: number): Promise<SoakpError | undefined> {
    if (!grant || !key) return undefined
    const found = await policy.grant(grant.record.id)
    const token = found && tokenOf(grant.claims, grant.token, found)
    if (!found || !token || found.grant.revokedAtMs !== null || token.expiresAtMs <= at) return new SoakpError('token_revoked')
    if (!found.grant.app && found.grant.expiresAtMs <= at) return new SoakpError('token_expired')
    const keys = await policy.keys(key.tenant, key.provider)
    if (!rulesOf(found.grant).allowsProvider(key.provider) || !rulesOf(found.grant).allowsKey(key.id))
      return new SoakpError('provider_not_allowed')
    return keys.some(({ id, state }) => id === key.id && state === 'active')
      ? undefined
      : new SoakpError('no_key', 'It was removed or disabled.')
  }

  return {
    async closeUnallowed(open) {
      const current = await policy.refresh()
      const isChanged = current !== generation
      generation = current
      try {
        await check(open, isChanged)
      } catch (error) {
        if (isChanged) generation = undefined
        throw error
      }
    },
    anew() {
      generation = undefined
    },
  }
}
