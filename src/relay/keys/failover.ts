import { isDeepStrictEqual } from 'node:util'
import type { Access, LiveGrant } from '../../access/access.js'
import type { Policy } from '../../access/policy.js'
import { rulesOf } from '../../access/rules.js'
import type { Ledger } from '../../ledger/ledger.js'
import { isPromise, type MaybePromise } from '../../lib/maybe.js'
import type { KeyRecord } from '../../stores/records.js'
import { rivalKeys, routeOf } from '../authorize.js'
import type { Exchange } from '../exchange.js'
import { targetOf } from '../target.js'
import type { Chooser } from './choose.js'
import { mostKeptBytes } from './keep.js'
import type { Rivals } from './rivals.js'

/** Whether a call that one key could not bring through may go out again with another, and with which. */
export interface Failover {
  /** `elsewhere`: only to another host. Undefined: the call ends with what it has. Neither throws nor rejects. */
  next(exchange: Exchange, elsewhere?: boolean): MaybePromise<KeyRecord | undefined>
}

export interface FailoverDeps {
  readonly access: Pick<Access, 'authenticate'>
  readonly policy: Pick<Policy, 'keys'>
  readonly ledger: Pick<Ledger, 'healthy'>
  readonly chooser: Chooser
  /** A steady clock, in milliseconds. */
  readonly clock: () => number
}

const mostAttempts = 3
/** A client that has waited so long is not kept any longer. */
const patienceMs = 120_000

export function createFailover({ access, policy, ledger, chooser, clock }: FailoverDeps): Failover {
  function mayTry(exchange: Exchange, rivals: Rivals): boolean {
    return (
      !rivals.pinned &&
      !exchange.answered &&
      !exchange.recorded &&
      exchange.stopped === undefined &&
      exchange.attempt < mostAttempts &&
      clock() - exchange.startedAt < patienceMs &&
      ledger.healthy &&
      isReplayable(exchange, rivals)
    )
  }

  /** Judged anew: the token may have been revoked, or a key removed, since the call came in. */
  function liveKeys(exchange: Exchange, key: KeyRecord): MaybePromise<readonly KeyRecord[]> {
    const grant = access.authenticate(exchange.head?.token ?? '')
    return isPromise(grant) ? grant.then(found => keysOf(exchange, key, found)) : keysOf(exchange, key, grant)
  }

  /** Under other rules than the call was let through by, it has been long enough under way. */
  function keysOf(exchange: Exchange, key: KeyRecord, { record }: LiveGrant): MaybePromise<readonly KeyRecord[]> {
    if (!isDeepStrictEqual(record, exchange.grant?.record)) return []
    const keys = policy.keys(record.tenant, exchange.call.provider)
    const rivals = (found: readonly KeyRecord[]) => rivalKeys(exchange, found, key, rulesOf(record))
    return isPromise(keys) ? keys.then(rivals) : rivals(keys)
  }

  return {
    next(exchange, elsewhere = false) {
      const { rivals, key } = exchange
      if (!rivals || !key || !mayTry(exchange, rivals)) return undefined
      if (!rivals.tried.includes(key.id)) rivals.tried.push(key.id)
      const originOf = (of: KeyRecord) => targetOf(routeOf(of), exchange.call.path).origin
      const pick = (keys: readonly KeyRecord[]) => {
        const rest = keys.filter(({ id }) => !rivals.tried.includes(id))
        return chooser.other(exchange, elsewhere ? rest.filter(other => originOf(other) !== originOf(key)) : rest)
      }
      try {
        const keys = liveKeys(exchange, key)
        return isPromise(keys) ? keys.then(pick).catch(() => undefined) : pick(keys)
      } catch {
        return undefined
      }
    },
  }
}

function isReplayable({ head, inspected }: Exchange, { kept }: Rivals): boolean {
  if (inspected) return inspected.original.length <= mostKeptBytes
  return !head?.hasBody || kept?.body !== undefined
}
