import { type IntervalHistogram, monitorEventLoopDelay } from 'node:perf_hooks'

export interface Lag {
  /** In seconds, over the last half a minute to minute. */
  quantile(share: number): number
  /** Since the beginning: how many times it was looked, and how long it lagged in all of them together. */
  readonly total: { readonly count: number; readonly sumSeconds: number }
  close(): void
}

const resolutionMs = 20
const windowMs = 60_000

/** How late the event loop comes to what is due. Two histograms that begin anew by turns, so that one of them always looks back on a while, however often it is read. */
export function watchLag(): Lag {
  const [first, second] = [0, 1].map(() => monitorEventLoopDelay({ resolution: resolutionMs })) as [IntervalHistogram, IntervalHistogram]
  first.enable()
  second.enable()
  let current = first
  let count = 0
  let sumSeconds = 0

  function turn(): void {
    current = current === first ? second : first
    const oldest = current === first ? second : first
    if (oldest === first) {
      count += first.count
      sumSeconds += sumOf(first)
    }
    oldest.reset()
  }
  const timer = setInterval(turn, windowMs / 2)
  timer.unref()
  return {
    quantile: share => seconds(share === 1 ? current.max : current.percentile(share * 100)),
    get total() {
      return { count: count + first.count, sumSeconds: sumSeconds + sumOf(first) }
    },
    close() {
      clearInterval(timer)
      first.disable()
      second.disable()
    },
  }
}

/** It records the whole interval of a timer, of which the resolution is no delay; an empty one says zero or no number. */
function seconds(nanoseconds: number): number {
  return Math.max(0, nanoseconds / 1e9 - resolutionMs / 1000) || 0
}

function sumOf(histogram: IntervalHistogram): number {
  return histogram.count * seconds(histogram.mean)
}
