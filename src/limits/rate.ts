import type { BoundedMap } from '../lib/bounded-map.js'
import type { Rate } from '../lib/rate.js'

/** Where a rate stands after it was asked. */
export interface RateState {
  readonly allowed: boolean
  readonly limit: number
  readonly remaining: number
  /** Until one more is allowed, when none is; else until the oldest use is forgotten. */
  readonly resetMs: number
}

const slots = 20

/**
 * Counts uses in a window that slides by twentieths: a use is forgotten only when its whole twentieth has left the window, so that no stretch of the window's length ever holds more than
 * `count`, and waiting is at most a twentieth longer than it had to be. 20 numbers of memory, constant time.
 */
export class SlidingWindow {
  readonly #uses = new Float64Array(slots + 1)
  #slot = 0
  #sum = 0

  /** Takes one use if there is one. A clock that steps back is read as standing still. */
  take(rate: Rate, nowMs: number): RateState {
    const slotMs = rate.windowMs / slots
    this.#moveTo(Math.floor(nowMs / slotMs))
    const allowed = this.#sum < rate.count
    if (allowed) {
      this.#add(this.#slot, 1)
      this.#sum++
    }
    return { allowed, limit: rate.count, remaining: Math.max(0, rate.count - this.#sum), resetMs: this.#oldestLeavesInMs(slotMs, nowMs) }
  }

  /** Where it stands, without taking one. */
  look(rate: Rate, nowMs: number): RateState {
    const slotMs = rate.windowMs / slots
    this.#moveTo(Math.floor(nowMs / slotMs))
    const remaining = Math.max(0, rate.count - this.#sum)
    return { allowed: remaining > 0, limit: rate.count, remaining, resetMs: this.#oldestLeavesInMs(slotMs, nowMs) }
  }

  /** Returns a use taken at `takenAtMs`, when what it was for never happened. */
  giveBack(rate: Rate, takenAtMs: number): void {
    const slot = Math.floor(takenAtMs / (rate.windowMs / slots))
    if (slot > this.#slot - slots - 1 && (this.#uses[slot % (slots + 1)] ?? 0) > 0) {
      this.#add(slot, -1)
      this.#sum--
    }
  }

  #add(slot: number, amount: number): void {
    const at = slot % (slots + 1)
    this.#uses[at] = (this.#uses[at] ?? 0) + amount
  }

  #moveTo(slot: number): void {
    if (slot <= this.#slot) return
    const steps = Math.min(slot - this.#slot, slots + 1)
    for (let step = 1; step <= steps; step++) {
      const at = (slot - steps + step) % (slots + 1)
      this.#sum -= this.#uses[at] ?? 0
      this.#uses[at] = 0
    }
    this.#slot = slot
  }

  #oldestLeavesInMs(slotMs: number, nowMs: number): number {
    for (let slot = this.#slot - slots; slot <= this.#slot; slot++) {
      if (slot >= 0 && (this.#uses[slot % (slots + 1)] ?? 0) > 0) return Math.max(0, (slot + slots + 1) * slotMs - nowMs)
    }
    return 0
  }
}

/** The window of `name`, made when it is first asked for. */
export function windowOf(windows: Pick<BoundedMap<string, SlidingWindow>, 'get' | 'set'>, name: string): SlidingWindow {
  let window = windows.get(name)
  if (!window) {
    window = new SlidingWindow()
    windows.set(name, window)
  }
  return window
}
