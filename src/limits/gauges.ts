import { SlidingWindow } from './rate.js'

/** Rate and open calls of one thing, in this process. */
export interface Gauge {
  window: SlidingWindow
  /** Its slots are fractions of this; a rate over another length counts anew. */
  windowMs: number
  open: number
  /** Held or used since then; one that nothing refers to any more is dropped. */
  usedAtMs: number
}

const sweepEvery = 10_000

export class Gauges {
  readonly #gauges = new Map<string, Gauge>()
  #sinceSweep = 0

  get(name: string): Gauge | undefined {
    return this.#gauges.get(name)
  }

  of(name: string, at: number): Gauge {
    let gauge = this.#gauges.get(name)
    if (!gauge) {
      if (++this.#sinceSweep >= sweepEvery) this.#sweep(at)
      gauge = { window: new SlidingWindow(), windowMs: 0, open: 0, usedAtMs: at }
      this.#gauges.set(name, gauge)
    }
    gauge.usedAtMs = at
    return gauge
  }

  /** Only what no window can still need is dropped: the longest window is a day. */
  #sweep(at: number): void {
    this.#sinceSweep = 0
    for (const [name, gauge] of this.#gauges) if (gauge.open === 0 && at - gauge.usedAtMs > 2 * 86_400_000) this.#gauges.delete(name)
  }
}
