import { statSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { createCheckpointer } from '../../src/stores/sqlite/checkpointer.js'
import { type Connection, connect } from '../../src/stores/sqlite/connection.js'
import { databaseKey } from '../contracts/store.js'

const job = { databaseKey, durability: 'normal', restartFrames: 8, every: 3 } as const

function open(t: Test): { db: Connection; file: string; commit(): void; copied(): number } {
  const file = join(t.testdir({}), 'soakp.db')
  const db = connect({ ...job, file, create: true })
  t.teardown(() => db.close())
  db.exec('CREATE TABLE a (b)')
  return { db, file, commit: () => void db.exec('INSERT INTO a VALUES (zeroblob(5000))'), copied: () => statSync(file).size }
}

async function until(condition: () => boolean): Promise<boolean> {
  for (let i = 0; i < 1000 && !condition(); i++) await new Promise(resolve => setTimeout(resolve, 10))
  return condition()
}

t.test('after some commits the log is copied by a thread, again and again, and does not grow for ever', async t => {
  const { db, file, commit, copied } = open(t)
  const checkpointer = createCheckpointer(db, { ...job, file })
  let logBytes = 0
  for (let round = 0; round < 10; round++) {
    const before = copied()
    const more = (): boolean => {
      commit()
      checkpointer.committed()
      return copied() > before
    }
    t.ok(await until(more), `round ${round}`)
    if (round === 4) logBytes = statSync(`${file}-wal`).size
  }
  t.ok(statSync(`${file}-wal`).size < 4 * logBytes)
  await checkpointer.close()
})

t.test('without a working thread the log is copied all the same, and closing ends', async t => {
  const { db, file, commit, copied } = open(t)
  const checkpointer = createCheckpointer(db, { ...job, file: `${file}.gone` })
  const before = copied()
  for (let i = 0; i < 80; i++) {
    commit()
    checkpointer.committed()
    await new Promise(resolve => setImmediate(resolve))
  }
  t.ok(copied() > before)
  await checkpointer.close()
})

t.test('closing right after the thread was started ends', async t => {
  const { db, file, commit } = open(t)
  const checkpointer = createCheckpointer(db, { ...job, file })
  for (let i = 0; i < 3; i++) {
    commit()
    checkpointer.committed()
  }
  await checkpointer.close()
  t.equal(db.open, true)
})
