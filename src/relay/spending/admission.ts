import type { Policy } from '../../access/policy.js'
import { isPromise } from '../../lib/maybe.js'
import type { CallFacts, Limits } from '../../limits/limits.js'
import type { Prices } from '../../prices/prices.js'
import type { GrantRecord, KeyRecord } from '../../stores/records.js'
import { batchFactsOf } from '../batches/cost.js'
import type { Exchange } from '../exchange.js'
import { socketFacts } from '../sockets/budget.js'
import { Facts } from './worst.js'

/** What limits take of a call: before its body is read, when it is known what it asks for, and when another key is to answer it. */
export interface Admission {
  /** What every call of the grant takes. Throws or rejects as `Limits.reserve`. */
  reserve(exchange: Exchange, record: GrantRecord): void | Promise<void>
  /** Budgets, and the limits of its model and key. Throws or rejects as `Limits.admit`, and `cost_unbounded`. */
  admit(exchange: Exchange, key: KeyRecord): void | Promise<void>
  /** `left`: the key that the call was made with so far. */
  changeKey(exchange: Exchange, left: KeyRecord | undefined, key: KeyRecord): void | Promise<void>
}

export interface AdmissionDeps {
  readonly limits: Limits
  readonly policy: Pick<Policy, 'limits'>
  readonly prices: Pick<Prices, 'find'>
}

export function createAdmission({ limits, policy, prices }: AdmissionDeps): Admission {
  function facts(exchange: Exchange, key: KeyRecord): CallFacts {
    if (exchange.call.upgrade) return socketFacts(exchange, key, prices)
    if (exchange.batch && !exchange.batch.isCall) return batchFactsOf(exchange, exchange.batch, key, prices)
    const known = new Facts(exchange, key, prices)
    return exchange.way?.way.free ? freeOf(known) : known
  }

  return {
    reserve(exchange, record) {
      const of = policy.limits(record.tenant)
      const hold = isPromise(of) ? of.then(found => limits.reserve(record, found)) : limits.reserve(record, of)
      if (!isPromise(hold)) {
        exchange.hold = hold
        exchange.asks = limits.asks(hold, keyIdsOf(exchange))
        return
      }
      return hold.then(held => {
        exchange.hold = held
        exchange.asks = limits.asks(held, keyIdsOf(exchange))
        // the client went away meanwhile, and nobody else will give it back
        if (exchange.recorded) held.release()
      })
    },

    admit(exchange, key) {
      const { hold } = exchange
      if (!hold) return
      // which of several keys answers is known only now, on the unified endpoint which provider's
      exchange.asks = limits.asks(hold, [key.id])
      return limits.admit(hold, facts(exchange, key))
    },

    changeKey(exchange, left, key) {
      const { hold } = exchange
      if (!hold || left?.id === key.id) return
      if (left) hold.leaveKey(left.id, exchange.arrived)
      return limits.admitKey(hold, facts(exchange, key))
    },
  }
}

function keyIdsOf({ key, rivals }: Exchange): readonly string[] {
  if (rivals) return rivals.keys.map(({ id }) => id)
  return key ? [key.id] : []
}

/** The same, but that it is billed with nothing. */
function freeOf({ keyId, model, mayNameModel }: CallFacts): CallFacts {
  return { keyId, model, mayNameModel, worst: () => 0 }
}
