import type { KeyObject } from 'node:crypto'
import { parentPort, workerData } from 'node:worker_threads'
import { connect } from './connection.js'

/** What the worker is started with. */
export interface CheckpointJob {
  readonly file: string
  readonly databaseKey: KeyObject
  readonly durability: 'normal' | 'full'
  /** Frames from which the log is started over rather than only copied. */
  readonly restartFrames: number
}

interface CheckpointRow {
  readonly busy: number
  readonly log: number
  readonly checkpointed: number
}

/** Rounds of copying that nobody waits for, before the short one that writers wait for. */
const maxRounds = 5
const fewFrames = 100

if (parentPort !== null) serve(workerData as CheckpointJob, parentPort)

function serve({ restartFrames, ...options }: CheckpointJob, port: NonNullable<typeof parentPort>): void {
  const db = connect({ ...options, create: false })
  const run = (mode: 'passive' | 'restart'): CheckpointRow => {
    const [row] = db.pragma(`wal_checkpoint(${mode})`) as [CheckpointRow]
    return row
  }
  // true: a checkpoint is wanted; false: the end
  port.on('message', (wanted: boolean) => {
    if (!wanted) {
      db.close()
      port.close()
      return
    }
    let { log, checkpointed } = run('passive')
    // under steady writing the copy never catches up by itself, and the log would grow for ever
    for (let round = 1; log >= restartFrames && log - checkpointed > fewFrames && round < maxRounds; round++)
      ({ log, checkpointed } = run('passive'))
    if (log >= restartFrames) run('restart')
    port.postMessage(true)
  })
}
