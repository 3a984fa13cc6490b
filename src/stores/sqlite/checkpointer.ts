import { Worker } from 'node:worker_threads'
import type { CheckpointJob } from './checkpoint-worker.js'
import type { Connection } from './connection.js'

/** Commits between two checkpoints: some 8 MB of log. A process of fewer, such as a command, never starts a thread. */
const commitsPerRound = 1000
/** Rounds that the thread may fail to answer; then the log is copied here, rather than let it fill the disk. */
const patience = 20

/** Copies committed pages from the log into the database, on a thread of its own. */
export interface Checkpointer {
  /** To be called after each commit. */
  committed(): void
  close(): Promise<void>
}

export interface CheckpointerOptions extends CheckpointJob {
  readonly every?: number
}

export function createCheckpointer(db: Connection, { every = commitsPerRound, ...job }: CheckpointerOptions): Checkpointer {
  let worker: Worker | undefined
  let busy = false
  let commits = 0
  let wanted = every

  function done(): void {
    busy = false
    commits = 0
    wanted = every
  }

  function start(): Worker {
    // no environment and no flags: settings and their secrets stay where they were read
    const started = new Worker(new URL('./checkpoint-worker.js', import.meta.url), { workerData: job, env: {}, execArgv: [], stdin: false })
    started.unref()
    started.on('message', done)
    // a thread that fails is gone after it; the next round starts another
    started.on('error', () => undefined)
    started.on('exit', () => {
      if (worker !== started) return
      worker = undefined
      busy = false
      wanted = commits + every
    })
    return started
  }

  return {
    committed() {
      if (++commits < wanted) return
      if (commits >= patience * every) {
        db.pragma('wal_checkpoint(passive)')
        return done()
      }
      if (busy) return
      worker ??= start()
      busy = true
      worker.postMessage(true)
    },
    async close() {
      const last = worker
      worker = undefined
      if (last === undefined) return
      const ended = new Promise(resolve => last.once('exit', resolve))
      last.ref()
      last.postMessage(false)
      await ended
    },
  }
}
