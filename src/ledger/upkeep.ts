import type { Logger } from 'pino'
import type { Store } from '../stores/store.js'
import type { Tally } from './tally.js'

/** What the ledger and the counters need beside being written: sums of hours and days, and an end of single entries and of windows long over. In small steps, between calls. */
export interface Upkeep {
  /** Begins; what an earlier process left undone is done first. */
  start(): void
  /** Ends; what is left undone is done by the next process, and reports count it anyway. */
  stop(): Promise<void>
}

export interface UpkeepDeps {
  readonly store: Pick<Store, 'rollUp' | 'pruneEntries' | 'pruneWindows'>
  /** How long single entries are kept, in milliseconds; undefined: for good. */
  readonly keepEntriesMs: number | undefined
  readonly log: Pick<Logger, 'warn' | 'info'>
  readonly tally?: Pick<Tally, 'failStore'>
  readonly now: () => number
}

/** Entries at a time: the event loop stands still meanwhile, for a millisecond or two. What many of them have in common is written once. */
const rollUpStep = 400
const pruneStep = 200
const restMs = 2000
/** Between two steps of a backlog: calls go first. */
const backlogRestMs = 5
const pruneEveryMs = 60_000
/** All counters have to be looked through for it. */
const pruneWindowsEveryMs = 3_600_000
/** Whoever settles what a crash left open reads the lines of the last hours. */
const keptAtLeastMs = 86_400_000

export function createUpkeep({ store, keepEntriesMs, log, tally, now }: UpkeepDeps): Upkeep {
  let timer: NodeJS.Timeout | undefined
  let running: Promise<void> | undefined
  let isStopped = true
  let pruneAtMs = 0
  let pruneWindowsAtMs = 0
  let hasFailed = false

  async function prune(): Promise<boolean> {
    if (keepEntriesMs === undefined || now() < pruneAtMs) return false
    const gone = await store.pruneEntries(now() - Math.max(keepEntriesMs, keptAtLeastMs), pruneStep)
    if (gone < pruneStep) pruneAtMs = now() + pruneEveryMs
    return gone === pruneStep
  }

  async function pruneWindows(): Promise<boolean> {
    if (now() < pruneWindowsAtMs) return false
    const gone = await store.pruneWindows(now(), pruneStep)
    if (gone < pruneStep) pruneWindowsAtMs = now() + pruneWindowsEveryMs
    return gone === pruneStep
  }

  /** True where there is more to do. */
  async function step(): Promise<boolean> {
    const rolled = await store.rollUp(rollUpStep)
    const isBehind = [await prune(), await pruneWindows()].includes(true)
    return rolled === rollUpStep || isBehind
  }

  async function run(): Promise<void> {
    let isBehind = false
    try {
      isBehind = await step()
      if (hasFailed) log.info('the ledger is summed up again')
      hasFailed = false
    } catch (error) {
      // reports go on: they count what is in no sum yet
      if (!hasFailed) log.warn({ err: error }, 'the ledger could not be summed up; it is tried again')
      hasFailed = true
      tally?.failStore('upkeep')
    }
    if (!isStopped) schedule(isBehind ? backlogRestMs : restMs)
  }

  function schedule(ms: number): void {
    timer = setTimeout(() => {
      running = run()
    }, ms)
    timer.unref()
  }

  return {
    start() {
      if (!isStopped) return
      isStopped = false
      schedule(restMs)
    },
    async stop() {
      isStopped = true
      clearTimeout(timer)
      await running
    },
  }
}
