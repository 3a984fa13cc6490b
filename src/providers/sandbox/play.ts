import type { Plan } from './plan.js'

interface Outlet {
  head(status: number, headers: readonly string[]): void
  data(chunk: Buffer): boolean
  end(): void
  fail(error: Error): void
}

/** Plays a plan on timers that keep no process alive. A reader that asks for a pause gets one. */
export function play(plan: Plan, headOnly: boolean, outlet: Outlet): { stop(): void; resume(): void } {
  let timer: NodeJS.Timeout | undefined
  let stopped = false
  let paused = false
  const chunks = plan.chunks[Symbol.iterator]()

  const after = (ms: number, action: () => void) => {
    timer = setTimeout(action, ms)
    timer.unref()
  }
  const next = () => {
    // without a gap between pieces everything goes at once, as far as the reader takes it
    while (!stopped && !paused) {
      const { value, done } = chunks.next()
      if (done) {
        stopped = true
        if (plan.ending === 'cut') outlet.fail(new Error('the sandbox broke off, as it was asked to'))
        else outlet.end()
        return
      }
      if (!outlet.data(value)) paused = true
      if (plan.gapMs > 0 && !paused && !stopped) {
        after(plan.gapMs, next)
        return
      }
    }
  }
  const begin = () => {
    outlet.head(plan.status, plan.headers)
    if (!headOnly) return next()
    stopped = true
    outlet.end()
  }

  if (plan.ending !== 'silence') {
    if (plan.delayMs) after(plan.delayMs, begin)
    else begin()
  }
  return {
    stop() {
      stopped = true
      clearTimeout(timer)
      chunks.return?.()
    },
    resume() {
      if (!paused || stopped) return
      paused = false
      after(plan.gapMs, next)
    },
  }
}
