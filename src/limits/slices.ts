import { isPromise, type MaybePromise } from '../lib/maybe.js'
import { isStoreTrouble, type Outage } from '../stores/outage.js'
import type { ClaimAnswer, SliceState, SliceStore } from '../stores/slices.js'
import type { Calendars } from './calendars.js'
import { beatMs, createLease } from './lease.js'
import { createHoldMeanwhile } from './meanwhile.js'
import { type ParkedParts, type Part, parkParts } from './park.js'
import { createQuiet } from './quiet.js'
import { type Changes, type Held, Slice, type Wanted } from './slice.js'

export type { Changes } from './slice.js'

/** The counters of this process: slices of what all processes share, drawn in the store, used up in memory. */
export interface Slices {
  /**
   * Holds `amount`, or answers false with the slice as it stands. Throws or rejects as the store does; nothing is held then. Where calls go on without the store, it is held if it fits with
   * what is known to be used and held.
   */
  hold(wanted: Wanted): MaybePromise<Held>
  /** The call is over: of what was held, `used` is spent; more than was held is spent all the same. */
  settle(slice: Slice, held: number, used: number): void
  /** What is held by calls goes over to something else that holds it: it is off this process, and among what others have. */
  park(parts: readonly Part[]): ParkedParts
  /** What others have of these counters is to be asked anew. */
  forget(counters: readonly string[]): void
  /** What has changed since the store last heard, for the commit that holds the entries of the calls it is about. Undefined: nothing. */
  takeChanges(): Changes | undefined
  /** Where a counter stands, if this process has used it. */
  look(counter: string): Slice | undefined
  /** Says so to the other processes. No call may be open. */
  close(): Promise<void>
}

export interface SlicesDeps {
  readonly store: SliceStore
  readonly outage: Outage
  /** Epoch milliseconds. */
  readonly now: () => number
  readonly calendars: Pick<Calendars, 'window'>
}

const idleMs = 3_600_000
/** At most so many times what one call asks for is drawn ahead. */
const spareCalls = 256

export function createSlices({ store, outage, now, calendars }: SlicesDeps): Slices {
  const slices = new Map<string, Slice>()
  let dirty: Slice[] = []
  let lastAt = 0
  let timer: NodeJS.Timeout | undefined
  const lease = createLease({
    store,
    onLost,
    onBegin() {
      timer ??= setInterval(beat, beatMs).unref()
    },
  })
  const quiet = createQuiet(async silent => {
    if (outage.isOn) return
    for (const slice of silent) markDirty(slice)
    await write()
  })
  const holdMeanwhile = createHoldMeanwhile(store, outage, () => lease.instance)

  /** A clock that steps back is read as standing still: no window opens twice. */
  function time(): number {
    lastAt = Math.max(lastAt, now())
    return lastAt
  }

  function sliceOf({ tenant, counter, window }: Wanted, at: number): Slice {
    let slice = slices.get(counter)
    if (!slice || at >= slice.windowEndMs) {
      const { startMs, endMs } = calendars.window(tenant, window, at)
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

  /** `closed`: what was spare belongs to others now, and what is held counts as lost until it is said to be held. `gone`: what was used is kept there, what is held has to be drawn anew. */
  function onLost(state: 'closed' | 'gone'): void {
    for (const slice of new Set([...slices.values(), ...dirty])) {
      if (state === 'gone') slice.forget()
      slice.giveUp()
      if (state === 'closed' || slice.used + slice.held > 0) markDirty(slice)
    }
  }

  function hold(wanted: Wanted): MaybePromise<Held> {
    const at = time()
    const slice = sliceOf(wanted, at)
    const { amount, limit, force } = wanted
    if (at < lease.endsAt) {
      if (slice.take(amount, limit)) return { slice, isHeld: true }
      if (lease.isAlone && !force && slice.limit >= 0 && slice.taken + amount > limit) return { slice, isHeld: false }
    }
    if (outage.isOn) return withoutStore(slice, wanted, at)
    if (slice.claiming) return slice.claiming.then(() => hold(wanted))
    try {
      const name = lease.keep(at)
      if (isPromise(name))
        return name.then(
          () => hold(wanted),
          error => failed(error, slice, wanted, at),
        )
      return claim(slice, wanted, name, at)
    } catch (error) {
      return failed(error, slice, wanted, at)
    }
  }

  function claim(slice: Slice, wanted: Wanted, name: string, at: number): MaybePromise<Held> {
    const { amount, limit, force } = wanted
    const { counter, windowStartMs, windowEndMs, saved: used } = slice
    const mostHeld = slice.mostHeldWith(amount)
    const spare = lease.isAlone && !force ? spareCalls * amount : 0
    const drawn = slice.used + slice.held + amount
    const heard = (answer: ClaimAnswer): Held => {
      slice.others = answer.others
      slice.othersAtMs = at
      if (answer.granted) {
        slice.drawn = Math.max(answer.drawn, slice.used + slice.held)
        slice.mostHeld = Math.max(slice.mostHeld, mostHeld)
        slice.limit = limit
      } else slice.held -= amount
      return { slice, isHeld: answer.granted }
    }
    slice.held += amount
    const giveBack = (error: unknown): never => {
      slice.held -= amount
      throw error
    }
    let answer: MaybePromise<ClaimAnswer>
    try {
      answer = store.claim(name, { counter, windowStartMs, windowEndMs, used, drawn, mostHeld, limit, spare, force }, at)
    } catch (error) {
      return giveBack(error)
    }
    if (!isPromise(answer)) return heard(answer)
    const outcome = answer.then(heard, giveBack)
    slice.waitFor(outcome)
    return outcome.catch(error => failed(error, slice, wanted, at))
  }

  function failed(error: unknown, slice: Slice, wanted: Wanted, at: number): MaybePromise<Held> {
    if (!isStoreTrouble(error)) throw error
    outage.begin(error)
    if (!outage.goesOn) throw error
    return withoutStore(slice, wanted, at)
  }

  function withoutStore(slice: Slice, { amount, limit, force }: Wanted, at: number): MaybePromise<Held> {
    const held = holdMeanwhile(slice, amount, force ? Number.POSITIVE_INFINITY : limit, at)
    const heard = (isHeld: boolean) => {
      if (isHeld) markDirty(slice)
      return { slice, isHeld }
    }
    return isPromise(held) ? held.then(heard) : heard(held)
  }

  function takeChanges(isExact = false): Changes | undefined {
    const { instance } = lease
    if (dirty.length === 0 || instance === undefined) return undefined
    const changed = dirty
    dirty = []
    const states: SliceState[] = []
    // without the lease what was spare may be somebody else's
    const hasLease = time() < lease.endsAt
    for (const slice of changed) {
      slice.isDirty = false
      states.push(slice.state(!hasLease || (!lease.isAlone && slice.claiming === undefined), isExact))
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
      if (lease.instance === undefined || outage.isOn) return
      await lease.beat(at)
      const idle = [...slices.values()].filter(
        slice => slice.held === 0 && !slice.claiming && (at >= slice.windowEndMs || at - slice.touchedAtMs > idleMs),
      )
      for (const slice of slices.values()) if (slice.isAhead(lease.isAlone)) markDirty(slice)
      await write()
      await retire(idle)
    } catch {
      // the next call that needs the store hears of it; the next beat tries again
    }
  }

  async function retire(idle: readonly Slice[]): Promise<void> {
    const gone = idle.filter(slice => slice.held === 0 && slice.used === slice.saved && !slice.isDirty && !slice.claiming)
    if (gone.length === 0 || lease.instance === undefined) return
    const saved = gone.map(slice => slice.forget())
    try {
      const retired = store.retireSlices(lease.instance, gone)
      if (isPromise(retired)) {
        const over = retired.catch(() => undefined)
        // nobody may hold of them meanwhile
        for (const slice of gone) slice.waitFor(over)
        await retired
      }
    } catch (error) {
      for (const [index, slice] of gone.entries()) slice.recall(saved[index] ?? 0)
      throw error
    }
    for (const slice of gone) if (slices.get(slice.counter) === slice) slices.delete(slice.counter)
  }

  /** The first thing to be done when the store is back: what has to be said anew goes with the entries. */
  function recover(): MaybePromise<void> {
    if (lease.instance === undefined && dirty.length === 0) return
    const name = lease.renew(time())
    return isPromise(name) ? name.then(() => undefined) : undefined
  }
  outage.endsWith(recover)

  return {
    hold,

    settle(slice, held, used) {
      slice.held -= held
      slice.used = Math.min(slice.used + used, Number.MAX_SAFE_INTEGER)
      // without use there is nothing to write, unless others wait for what is spare
      if (used > 0 || !lease.isAlone) markDirty(slice)
      quiet.note(slice)
    },

    park: parts => parkParts(parts, lease.instance, markDirty),

    forget(counters) {
      for (const slice of slices.values()) if (counters.includes(slice.counter)) slice.limit = -1
    },

    takeChanges: () => takeChanges(),

    look(counter) {
      const slice = slices.get(counter)
      return slice && time() < slice.windowEndMs ? slice : undefined
    },

    async close() {
      clearInterval(timer)
      quiet.stop()
      timer = undefined
      const name = lease.instance
      if (name === undefined) return
      try {
        await write()
        await store.closeInstance(name, true)
      } finally {
        lease.end()
      }
    },
  }
}
