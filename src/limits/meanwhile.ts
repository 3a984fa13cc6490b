import { isPromise, type MaybePromise } from '../lib/maybe.js'
import type { Outage } from '../stores/outage.js'
import type { SliceStore } from '../stores/slices.js'
import type { Slice } from './slice.js'

/** So long what others have is not read again. */
const lookAgainMs = 1000
/** An instance that is none. */
const nobody = 'none'

/**
 * While nothing can be drawn: holds in memory, as far as the limit goes by what is known of it. Throws or rejects where nothing is known and the store cannot even be read, and where
 * calls are not to go on. True: it is held, and has to be drawn by force when the store is back.
 */
export type HoldMeanwhile = (slice: Slice, amount: number, limit: number, at: number) => MaybePromise<boolean>

export function createHoldMeanwhile(
  store: Pick<SliceStore, 'drawnByOthers'>,
  outage: Outage,
  instance: () => string | undefined,
): HoldMeanwhile {
  function lookUp(slice: Slice, at: number): MaybePromise<void> {
    if (slice.othersAtMs !== undefined && at - slice.othersAtMs < lookAgainMs) return
    const heard = (others: number) => {
      slice.others = others
      slice.othersAtMs = at
    }
    const unread = (error: unknown) => {
      // nobody had anything of a window that began when nothing could be drawn any more
      if (slice.othersAtMs === undefined && slice.windowStartMs < outage.sinceMs) throw error
      slice.othersAtMs = at
    }
    try {
      const others = store.drawnByOthers(instance() ?? nobody, slice)
      return isPromise(others) ? others.then(heard, unread) : heard(others)
    } catch (error) {
      unread(error)
    }
  }

  return (slice, amount, limit, at) => {
    if (!outage.goesOn) throw outage.refusal
    const known = lookUp(slice, at)
    const decide = () => {
      if (slice.taken + amount > limit) return false
      slice.held += amount
      slice.limit = -1
      return true
    }
    return isPromise(known) ? known.then(decide) : decide()
  }
}
