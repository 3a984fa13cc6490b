import { randomBytes } from 'node:crypto'
import { isPromise, type MaybePromise } from '../lib/maybe.js'
import type { SliceStore } from '../stores/slices.js'

/** The right of this process to what it has drawn: an instance in the store, which it has to renew. */
export interface Lease {
  /** Undefined: nothing was ever drawn. */
  readonly instance: string | undefined
  /** Until then what is drawn is this process's own, whatever others do. */
  readonly endsAt: number
  /** Nobody else draws from this store, as of the last beat. */
  readonly isAlone: boolean
  /** Makes sure that what this process has drawn is its own; gives its name. */
  keep(at: number): MaybePromise<string>
  /** The same, whether it is due or not. */
  renew(at: number): MaybePromise<string>
  /** Renews it, takes over what the dead have left, and looks who else there is. */
  beat(at: number): Promise<void>
  end(): void
}

export interface LeaseDeps {
  readonly store: SliceStore
  /** Called when it is found that others have closed it, before anything else is drawn. */
  readonly onLost: (state: 'closed' | 'gone') => void
  /** Called when the first one begins. */
  readonly onBegin: () => void
}

/** After a crash on another machine, what was held there is free again, or counted as spent, after this. */
const leaseMs = 30_000
export const beatMs = 5_000
/** Whoever stood still for so long does not come back. */
const goneMs = 70 * 86_400_000

export function createLease({ store, onLost, onBegin }: LeaseDeps): Lease {
  let instance: string | undefined
  let endsAt = 0
  let isAlone = false

  function renew(at: number): MaybePromise<string> {
    const renewed = instance === undefined ? 'gone' : store.renewInstance(instance, at + leaseMs)
    return isPromise(renewed) ? renewed.then(state => renewedAs(state, at)) : renewedAs(renewed, at)
  }

  function renewedAs(state: 'open' | 'closed' | 'gone', at: number): MaybePromise<string> {
    if (state !== 'open') {
      isAlone = false
      onLost(state)
    }
    if (state === 'gone' || instance === undefined) return open(at)
    endsAt = at + leaseMs - beatMs
    return instance
  }

  function open(at: number): MaybePromise<string> {
    const name = randomBytes(12).toString('base64url')
    // what a process before this one left behind is settled first
    const closed = store.closeDead(at, at - goneMs)
    const start = () => store.openInstance(name, at + leaseMs)
    const opened = isPromise(closed) ? closed.then(start) : start()
    const keep = () => {
      instance = name
      endsAt = at + leaseMs - beatMs
      onBegin()
      const others = store.otherInstances(name, at)
      const heard = (count: number) => {
        isAlone = count === 0
        return name
      }
      return isPromise(others) ? others.then(heard) : heard(others)
    }
    return isPromise(opened) ? opened.then(keep) : keep()
  }

  return {
    get instance() {
      return instance
    },
    get endsAt() {
      return endsAt
    },
    get isAlone() {
      return isAlone
    },
    keep: at => (instance !== undefined && at < endsAt ? instance : renew(at)),
    renew,
    async beat(at) {
      const name = await renew(at)
      await store.closeDead(at, at - goneMs)
      isAlone = (await store.otherInstances(name, at)) === 0
    },
    end() {
      instance = undefined
      endsAt = 0
    },
  }
}
