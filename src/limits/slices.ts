import { randomBytes } from 'node:crypto'
import { calendarWindow } from '../lib/calendar.js'
import { isPromise, type MaybePromise } from '../lib/maybe.js'
import type { WindowName } from '../lib/terms.js'
import type { ClaimAnswer, SliceState, SliceStore } from '../stores/slices.js'
import { Slice } from './slice.js'

/** What a counter is asked for. */
export interface Wanted {
  readonly counter: string
  readonly window: WindowName
  readonly limit: number
  readonly amount: number
  /** Take it although it passes the limit: it is only watched. */
  readonly force: boolean
}

/** The counters of this process: slices of what all processes share, drawn in the store, used up in memory. */
export interface Slices {
  /**
   * Holds `amount`, or answers false with the slice as it stands. Throws or rejects as the store does; nothing is held then.
   */
  hold(wanted: Wanted): MaybePromise<{ readonly slice: Slice; readonly isHeld: boolean }>
  /** The call is over: of what was held, `used` is spent; more than was held is spent all the same. */
  settle(slice: Slice, held: number, used: number): void
  /** What has changed since the store last heard, for the commit that holds the entries of the calls it is about. Undefined: nothing. */
  takeChanges(): Changes | undefined
  /** Where a counter stands, if this process has used it. */
  look(counter: string, window: WindowName): Slice | undefined
  /** Says so to the other processes. No call may be open. */
  close(): Promise<void>
}

export interface Changes {
  readonly instance: string
  readonly states: readonly SliceState[]
  /** To be told once they are committed, or not. */
  done(committed: boolean): void
}

export interface SlicesDeps {
  readonly store: SliceStore
  /** Epoch milliseconds. */
  readonly now: () => number
}

/** After a crash on another machine, what was held there is free again, or counted as spent, after this. */
const leaseMs = 30_000
const beatMs = 5_000
const idleMs = 3_600_000
/** So long a window that is over is still told of. */
const rememberedMs = 70 * 86_400_000
/** At most so many times what one call asks for is drawn ahead. */
const spareCalls = 256

export function createSlices({ store, now }: SlicesDeps): Slices {
  const slices = new Map<string, Slice>()
  let dirty: Slice[] = []
  let instance: string | undefined
  let leaseEndsAt = 0
  /** Nobody else draws from this store, as of the last beat. */
  let isAlone = false
  let lastAt = 0
  let timer: NodeJS.Timeout | undefined

  /** A clock that steps back is read as standing still: no window opens twice. */
  function time(): number {
    lastAt = Math.max(lastAt, now())
    return lastAt
  }

  function sliceOf({ counter, window }: Pick<Wanted, 'counter' | 'window'>, at: number): Slice {
    let slice = slices.get(counter)
    if (!slice || at >= slice.windowEndMs) {
      const { startMs, endMs } = calendarWindow(window, at)
      // an ended window stays with the calls that hold of it, and with `dirty`
      slice = new Slice(counter, startMs, endMs)
      slices.set(counter, slice)
    }
    slice.touchedAtMs = at
    return slice
  }

  function markDirty(slice: Slice): void {
    if (slice.isDirty) return
    slice.isDirty = true
    dirty.push(slice)
  }

  /** Makes sure that what this process has drawn is its own. */
  function keepLease(at: number): MaybePromise<string> {
    if (instance !== undefined && at < leaseEndsAt) return instance
    const renewed = instance === undefined ? false : store.renewInstance(instance, at + leaseMs)
    return isPromise(renewed) ? renewed.then(known => leased(known, at)) : leased(renewed, at)
  }

  function leased(isKnown: boolean, at: number): MaybePromise<string> {
    if (isKnown && instance !== undefined) {
      leaseEndsAt = at + leaseMs - beatMs
      return instance
    }
    // closed by another process: what was used is kept there, what is still held has to be drawn anew
    for (const slice of slices.values()) {
      slice.used -= slice.saved
      slice.saved = slice.drawn = slice.mostHeld = 0
      slice.limit = -1
    }
    const name = randomBytes(12).toString('base64url')
    // what a process before this one left behind is settled first
    const closed = store.closeDead(at, at - rememberedMs)
    const open = () => store.openInstance(name, at + leaseMs)
    const opened = isPromise(closed) ? closed.then(open) : open()
    const keep = () => {
      instance = name
      leaseEndsAt = at + leaseMs - beatMs
      timer ??= setInterval(beat, beatMs).unref()
      const others = store.otherInstances(name, at)
      const heard = (count: number) => {
        isAlone = count === 0
        return name
      }
      return isPromise(others) ? others.then(heard) : heard(others)
    }
    return isPromise(opened) ? opened.then(keep) : keep()
  }

  function claim(slice: Slice, { amount, limit, force }: Wanted, name: string, at: number): MaybePromise<ClaimAnswer> {
    slice.held += amount
    slice.raiseMostHeld(amount)
    const { counter, windowStartMs, windowEndMs, mostHeld } = slice
    const spare = isAlone && !force ? spareCalls * amount : 0
    const drawn = slice.used + slice.held
    return store.claim(name, { counter, windowStartMs, windowEndMs, used: slice.saved, drawn, mostHeld, limit, spare, force }, at)
  }

  function taken(slice: Slice, { amount, limit }: Wanted, answer: ClaimAnswer): { readonly slice: Slice; readonly isHeld: boolean } {
    slice.others = answer.others
    if (answer.granted) {
      slice.drawn = Math.max(answer.drawn, slice.used + slice.held)
      slice.limit = limit
    } else slice.held -= amount
    return { slice, isHeld: answer.granted }
  }

  function hold(wanted: Wanted): MaybePromise<{ readonly slice: Slice; readonly isHeld: boolean }> {
    const at = time()
    const slice = sliceOf(wanted, at)
    const { amount, limit, force } = wanted
    if (at < leaseEndsAt) {
      if (slice.take(amount, limit)) return { slice, isHeld: true }
      if (isAlone && !force && slice.limit >= 0 && slice.taken + amount > limit) return { slice, isHeld: false }
    }
    if (slice.claiming) return slice.claiming.then(() => hold(wanted))
    const name = keepLease(at)
    if (isPromise(name)) return name.then(() => hold(wanted))
    let answer: MaybePromise<ClaimAnswer>
    try {
      answer = claim(slice, wanted, name, at)
    } catch (error) {
      slice.held -= amount
      throw error
    }
    if (!isPromise(answer)) return taken(slice, wanted, answer)
    const outcome = answer.then(
      answered => taken(slice, wanted, answered),
      error => {
        slice.held -= amount
        throw error
      },
    )
    slice.claiming = outcome.then(
      () => {
        slice.claiming = undefined
      },
      () => {
        slice.claiming = undefined
      },
    )
    return outcome
  }

  function takeChanges(isExact = false): Changes | undefined {
    if (dirty.length === 0 || instance === undefined) return undefined
    const changed = dirty
    dirty = []
    const states: SliceState[] = []
    for (const slice of changed) {
      slice.isDirty = false
      states.push(slice.state(!isAlone && slice.claiming === undefined, isExact))
    }
    return {
      instance,
      states,
      done(committed) {
        changed.forEach((slice, index) => {
          if (committed) slice.saved = Math.max(slice.saved, states[index]?.used ?? 0)
          else {
            // the store has other numbers: what is drawn has to be said anew
            slice.limit = -1
            markDirty(slice)
          }
        })
      },
    }
  }

  async function write(): Promise<void> {
    const changes = takeChanges(true)
    if (!changes) return
    try {
      await store.settleSlices(changes.instance, changes.states)
    } catch (error) {
      changes.done(false)
      throw error
    }
    changes.done(true)
  }

  /** Keeps the lease, takes over what the dead have left, and gives back what is not needed. */
  async function beat(): Promise<void> {
    const at = time()
    try {
      if (instance === undefined) return
      if (await store.renewInstance(instance, at + leaseMs)) leaseEndsAt = at + leaseMs - beatMs
      else leaseEndsAt = 0
      await store.closeDead(at, at - rememberedMs)
      isAlone = (await store.otherInstances(instance, at)) === 0
      const idle = [...slices.values()].filter(
        slice => slice.held === 0 && !slice.claiming && (at >= slice.windowEndMs || at - slice.touchedAtMs > idleMs),
      )
      for (const slice of slices.values()) if (isAhead(slice)) markDirty(slice)
      await write()
      await retire(idle)
    } catch {
      // the next call that needs the store hears of it; the next beat tries again
    }
  }

  /** The store takes more for held than is, or does not know yet what was used. */
  function isAhead(slice: Slice): boolean {
    const spare = slice.drawn - slice.used - slice.held
    return slice.used > slice.saved || slice.mostHeld > slice.unsettled + slice.unsettled / 4 || (!isAlone && spare > 0)
  }

  async function retire(idle: readonly Slice[]): Promise<void> {
    const gone = idle.filter(slice => slice.held === 0 && slice.used === slice.saved && !slice.isDirty && !slice.claiming)
    if (gone.length === 0 || instance === undefined) return
    for (const slice of gone) if (slices.get(slice.counter) === slice) slices.delete(slice.counter)
    await store.retireSlices(instance, gone)
  }

  return {
    hold,

    settle(slice, held, used) {
      slice.held -= held
      slice.used += used
      // without use there is nothing to write, unless others wait for what is spare
      if (used > 0 || !isAlone) markDirty(slice)
    },

    takeChanges: () => takeChanges(),

    look(counter, window) {
      const slice = slices.get(counter)
      return slice && time() < slice.windowEndMs && slice.windowStartMs === calendarWindow(window, lastAt).startMs ? slice : undefined
    },

    async close() {
      clearInterval(timer)
      timer = undefined
      if (instance === undefined) return
      const name = instance
      try {
        await write()
        await store.closeInstance(name, true)
      } finally {
        instance = undefined
        leaseEndsAt = 0
      }
    },
  }
}
