import type { WindowName } from '../lib/terms.js'
import type { SliceState } from '../stores/slices.js'

/** What a counter is asked for. */
export interface Wanted {
  readonly tenant: string
  readonly counter: string
  readonly window: WindowName
  readonly limit: number
  readonly amount: number
  /** Take it although it passes the limit: it is only watched. */
  readonly force: boolean
}

export interface Held {
  readonly slice: Slice
  readonly isHeld: boolean
}

export interface Changes {
  readonly instance: string
  readonly states: readonly SliceState[]
  /** To be told once they are committed, or not. */
  done(committed: boolean): void
}

/** What this process has of one counter in one window. Amounts are calls, micro-dollars or model tokens. */
export class Slice {
  readonly counter: string
  readonly windowStartMs: number
  readonly windowEndMs: number
  /** Spent by calls that are over; of that, `saved` is in the store. */
  used = 0
  saved = 0
  /** Held by open calls. */
  held = 0
  /** Taken off the limit in the store. */
  drawn = 0
  /** What the store takes for lost if this process vanishes: never less than what is held or not saved. */
  mostHeld = 0
  /** What every other process has, as far as is known. */
  others = 0
  /** When that was learnt; undefined: nothing is known of it yet. */
  othersAtMs: number | undefined
  /** The limit that `drawn` was measured by; another one is measured anew. */
  limit = -1
  /** A claim is under way at a store that does not answer at once. */
  claiming: Promise<void> | undefined
  isDirty = false
  /** The store will hear in a moment whether it is quiet. */
  isNoted = false
  touchedAtMs = 0

  constructor(counter: string, windowStartMs: number, windowEndMs: number) {
    this.counter = counter
    this.windowStartMs = windowStartMs
    this.windowEndMs = windowEndMs
  }

  /** Takes it in memory, if what is drawn already covers it. */
  take(amount: number, limit: number): boolean {
    if (limit !== this.limit || this.used + this.held + amount > this.drawn || this.unsettled + amount > this.mostHeld) return false
    this.held += amount
    return true
  }

  /** Held, or used and not yet in the store. */
  get unsettled(): number {
    return this.held + this.used - this.saved
  }

  /** No call of it is open, and the store takes something for held. */
  get isQuiet(): boolean {
    return this.held === 0 && this.mostHeld > 0
  }

  /** Of the limit, by all processes. */
  get taken(): number {
    return this.others + this.used + this.held
  }

  /** To be announced for it and for some more calls than are open, so that not each of them has to be. */
  mostHeldWith(amount: number): number {
    const needed = this.unsettled + amount
    return Math.max(this.mostHeld, needed + Math.max(amount, Math.floor(needed / 4)))
  }

  /** The store takes more for held than is, or does not know yet what was used. */
  isAhead(keepsSpare: boolean): boolean {
    const spare = this.drawn - this.used - this.held
    return this.used > this.saved || this.mostHeld > this.unsettled + this.unsettled / 4 || (!keepsSpare && spare > 0)
  }

  /** What was drawn is the store's again, but for what calls hold or have used. */
  giveUp(): void {
    this.drawn = this.used + this.held
    this.mostHeld = 0
    this.limit = -1
  }

  /** What is held goes over to something else, which is one of the others from now on. */
  park(amount: number): void {
    this.held -= amount
    this.others += amount
    this.drawn = Math.max(this.used + this.held, this.drawn - amount)
    // what was taken ahead of need is not held by anybody
    this.mostHeld = this.unsettled
  }

  /** Nothing came of it: it is held here again, and has to be drawn anew. */
  unpark(amount: number): void {
    this.held += amount
    this.others -= amount
    this.limit = -1
  }

  /** What it used so far is another's to say; gives how much that is. Calls that are still open may use more. */
  forget(): number {
    const { saved } = this
    this.used -= saved
    this.saved = 0
    this.giveUp()
    return saved
  }

  /** It is not, after all. */
  recall(saved: number): void {
    this.used += saved
    this.saved += saved
    this.giveUp()
  }

  /** Nobody may ask the store for more of it until this is settled. */
  waitFor(work: Promise<unknown>): void {
    const over = () => {
      this.claiming = undefined
    }
    this.claiming = work.then(over, over)
  }

  /** As the store is to have it. `trims`: without anything spare; `isExact`: with what is held at this moment for the most that is. */
  state(trims: boolean, isExact: boolean): SliceState {
    const { counter, windowStartMs, windowEndMs, used, held } = this
    this.drawn = trims ? used + held : Math.max(this.drawn, used + held)
    const needed = this.unsettled
    const rest = isExact ? 0 : this.mostHeld - Math.ceil(this.mostHeld / 16)
    this.mostHeld = Math.max(needed, Math.min(this.mostHeld, Math.max(needed + Math.floor(needed / 4), rest)))
    return { counter, windowStartMs, windowEndMs, used, drawn: this.drawn, mostHeld: this.mostHeld }
  }
}
