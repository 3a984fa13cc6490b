import { BoundedMap } from '../../lib/bounded-map.js'
import { namesAccount } from '../../providers/index.js'
import type { KeyRecord } from '../../stores/records.js'
import { dialectOf, type Exchange } from '../exchange.js'
import type { Rests } from './rests.js'
import type { Rivals } from './rivals.js'

export interface Chooser {
  /** The key for the first attempt. There always is one: where all rest, the one that is likeliest to answer. */
  first(exchange: Exchange, rivals: Rivals): KeyRecord
  /** A key for another attempt: one that does not rest. Undefined: there is none. */
  other(exchange: Exchange, keys: readonly KeyRecord[]): KeyRecord | undefined
}

/** Lower is tried first. From `resting` on a key is asked only when there is no other. */
const tiers = { own: 0, tenants: 1, ownUnweighted: 2, tenantsUnweighted: 3, resting: 4, spent: 5, rejected: 6 } as const

export function createChooser(rests: Rests): Chooser {
  const spread = createSpread()
  // one choice at a time, and it does not wait
  let ranks: number[] = []

  function tierOf(key: KeyRecord, model: string): number {
    if (key.rejectedAtMs !== null) return tiers.rejected
    if (key.spentAtMs !== null) return tiers.spent
    if (rests.until(key, model) > 0) return tiers.resting
    if (key.weight > 0) return key.user === null ? tiers.tenants : tiers.own
    return key.user === null ? tiers.tenantsUnweighted : tiers.ownUnweighted
  }

  /** The best tier among the keys; their tiers are left in `ranks`. */
  function rank(keys: readonly KeyRecord[], model: string): number {
    ranks = []
    let best: number = tiers.rejected
    for (const key of keys) {
      const tier = tierOf(key, model)
      ranks.push(tier)
      if (tier < best) best = tier
    }
    return best
  }

  /** All of them rest: the one that wakes first, the one whose quota may have been raised, the one that may have been let in again. */
  function leastTired(keys: readonly KeyRecord[], model: string, tier: number): KeyRecord {
    let best: KeyRecord | undefined
    let soonest = Number.POSITIVE_INFINITY
    keys.forEach((key, at) => {
      if (ranks[at] !== tier) return
      const until = rests.until(key, model)
      if (best !== undefined && until >= soonest) return
      best = key
      soonest = until
    })
    return best ?? (keys[0] as KeyRecord)
  }

  return {
    first(exchange, rivals) {
      const { keys } = rivals
      rivals.pinned = isPinned(exchange)
      if (rivals.pinned) return keys[0] as KeyRecord
      const model = restName(exchange)
      if (rivals.preferred && tierOf(rivals.preferred, model) < tiers.resting) return rivals.preferred
      const best = rank(keys, model)
      return best < tiers.resting ? spread(keys, ranks, best) : leastTired(keys, model, best)
    },

    other(exchange, keys) {
      const best = keys.length === 0 ? tiers.rejected : rank(keys, restName(exchange))
      return best < tiers.resting ? spread(keys, ranks, best) : undefined
    },
  }
}

/** What a key rests from: the call's model, or where none is known its endpoint. */
export function restName({ model, endpoint, call }: Exchange): string {
  return (model ?? endpoint?.pattern ?? call.path).slice(0, 200)
}

/** What cannot be told counts as naming something. */
function isPinned(exchange: Exchange): boolean {
  const { endpoint, model, call, inspected, named } = exchange
  const dialect = dialectOf(exchange)
  return !dialect || named !== undefined || inspected?.unread === true || namesAccount({ dialect, endpoint, model, query: call.query })
}

/** About 100 bytes each. */
const remembered = 100_000

/**
 * Smooth weighted round robin, as nginx spreads over upstreams: each round every key gains its weight, the richest is taken and pays for all. Over as many rounds as the weights
 * add up to, each key is taken exactly as often as its weight says, as evenly spread as can be. What a key has gained is kept by its id, so that it outlives changes of other keys.
 */
function createSpread(): (keys: readonly KeyRecord[], ranks: readonly number[], tier: number) => KeyRecord {
  const gained = new BoundedMap<string, number>(remembered)
  return (keys, ranks, tier) => {
    let best: KeyRecord | undefined
    let most = Number.NEGATIVE_INFINITY
    let total = 0
    for (let at = 0; at < keys.length; at++) {
      if (ranks[at] !== tier) continue
      const key = keys[at] as KeyRecord
      const weight = key.weight > 0 ? key.weight : 1
      const now = (gained.get(key.id) ?? 0) + weight
      gained.set(key.id, now)
      total += weight
      if (now <= most) continue
      most = now
      best = key
    }
    const chosen = best ?? (keys[0] as KeyRecord)
    gained.set(chosen.id, most - total)
    return chosen
  }
}
