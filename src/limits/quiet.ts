import type { Slice } from './slice.js'

/** Slices of which no call is open any more, while the store still takes something for held: what was announced ahead of calls that did not come. */
export interface Quiet {
  note(slice: Slice): void
  stop(): void
}

/** So soon the store hears of them, all together. */
const quietMs = 200

/** `tell` is given those that are quiet still; where it fails, whoever looks next finds them ahead. */
export function createQuiet(tell: (slices: readonly Slice[]) => Promise<void>): Quiet {
  let noted: Slice[] = []
  let timer: NodeJS.Timeout | undefined

  function due(): void {
    timer = undefined
    const slices = noted
    noted = []
    for (const slice of slices) slice.isNoted = false
    tell(slices.filter(slice => slice.isQuiet)).catch(() => {})
  }

  return {
    note(slice) {
      if (slice.isNoted || !slice.isQuiet) return
      slice.isNoted = true
      noted.push(slice)
      timer ??= setTimeout(due, quietMs).unref()
    },
    stop() {
      clearTimeout(timer)
      timer = undefined
    },
  }
}
