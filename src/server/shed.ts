import { monitorEventLoopDelay } from 'node:perf_hooks'

const sampleMs = 1_000

/** Why no call is taken at the moment; also the code it is refused with. */
export type Refusal = 'overloaded' | 'shutting_down'

export interface Shed {
  /** Undefined: calls are taken. Costs two comparisons: asked for every call. */
  refusal(): Refusal | undefined
  /** From here on no call is taken. */
  drain(): void
  close(): void
}

export interface ShedOptions {
  readonly openCalls: () => number
  readonly maxCalls: number
  /** How long the event loop may lag before calls are turned away. */
  readonly maxLagMs: number
  /** The event loop's delay over the last second, 99th percentile, in nanoseconds; it starts anew with each reading. */
  readonly readDelayNs?: () => number
}

function delayReader(): { read(): number; close(): void } {
  const histogram = monitorEventLoopDelay({ resolution: 20 })
  histogram.enable()
  return {
    read() {
      // the histogram records the timer's whole interval, of which its resolution is no delay
      const delayNs = histogram.percentile(99) - 20e6
      histogram.reset()
      return delayNs
    },
    close: () => histogram.disable(),
  }
}

/** Decides when work is turned away so that what was taken gets done: open calls over the limit, or an event loop that has lagged for a second. */
export function createShed({ openCalls, maxCalls, maxLagMs, readDelayNs }: ShedOptions): Shed {
  const reader = readDelayNs === undefined ? delayReader() : { read: readDelayNs, close() {} }
  let lagging = false
  let laggedBefore = false
  let draining = false
  const timer = setInterval(() => {
    // one long turn, a garbage collection or a big body, is no overload: two samples in a row are
    const long = reader.read() > maxLagMs * 1e6
    lagging = long && laggedBefore
    laggedBefore = long
  }, sampleMs)
  timer.unref()
  return {
    refusal() {
      if (draining) return 'shutting_down'
      return lagging || openCalls() >= maxCalls ? 'overloaded' : undefined
    },
    drain() {
      draining = true
    },
    close() {
      clearInterval(timer)
      reader.close()
    },
  }
}
