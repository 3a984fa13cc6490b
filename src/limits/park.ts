import type { BatchHold } from '../stores/records.js'
import type { SliceState } from '../stores/slices.js'
import type { Hold } from './hold.js'
import type { Slice } from './slice.js'

/** What is held of a slice. */
export interface Part {
  readonly slice: Slice
  readonly amount: number
}

/** What the store is to be told, and whether it was. */
export interface ParkedParts {
  readonly from: { readonly instance: string; readonly states: readonly SliceState[] } | undefined
  /** To be called once: whether it was committed. */
  done(committed: boolean): void
}

/** What was held for a call, on its way to a store that keeps it for longer. If it does not come there, the call holds it again. */
export interface Parked extends ParkedParts {
  readonly holds: readonly BatchHold[]
}

export function parkParts(parts: readonly Part[], instance: string | undefined, markDirty: (slice: Slice) => void): ParkedParts {
  for (const { slice, amount } of parts) slice.park(amount)
  const changed = [...new Set(parts.map(({ slice }) => slice))]
  const states = changed.map(slice => slice.state(false, false))
  return {
    from: instance === undefined ? undefined : { instance, states },
    done(committed) {
      if (committed) {
        changed.forEach((slice, index) => {
          slice.saved = Math.max(slice.saved, states[index]?.used ?? 0)
        })
        return
      }
      for (const { slice, amount } of parts) {
        slice.unpark(amount)
        markDirty(slice)
      }
    },
  }
}

/** Takes what a call holds of budgets off it. Undefined: it holds nothing of the kind. */
export function parkHold(hold: Hold, park: (parts: readonly Part[]) => ParkedParts): Parked | undefined {
  const budgets = hold.takeBudgets()
  if (budgets.length === 0) return undefined
  const parked = park(budgets)
  return {
    from: parked.from,
    holds: budgets.map(({ rule, counter, slice, amount }) => ({
      counter: counter.counter,
      windowStartMs: slice.windowStartMs,
      windowEndMs: slice.windowEndMs,
      quantity: counter.quantity === 'tokens' ? 'tokens' : 'microDollars',
      amount,
      model: rule.model,
    })),
    done(committed) {
      parked.done(committed)
      if (!committed) for (const held of budgets) hold.addCount(held)
    },
  }
}
