import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import Database from 'better-sqlite3'
import t, { type Test } from 'tap'
import { openStore } from '../../src/stores/index.js'
import { driverError } from '../../src/stores/sqlite/driver-errors.js'
import { aKey, anEntry, databaseKey } from '../contracts/store.js'

const options = { databaseKey, durability: 'normal', create: true, now: Date.now } as const

/** A file system of 1 MB; `undefined` where this user may not mount one. */
function smallDisk(t: Test): string | undefined {
  const folder = mkdtempSync(join(tmpdir(), 'soakp-disk-'))
  t.teardown(() => rmdirSync(folder))
  if (spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=1m', 'tmpfs', folder]).status !== 0) return undefined
  t.teardown(() => spawnSync('umount', [folder]))
  return folder
}

/** How often it went well before the disk was full. */
async function untilFull(t: Test, write: () => unknown): Promise<number> {
  for (let times = 0; times < 10_000; times++) {
    try {
      await write()
    } catch (error) {
      t.match(error, { code: 'store_full', hint: /space/, retryable: true })
      return times
    }
  }
  t.fail('the disk never filled up')
  return 0
}

t.test('on a full disk a write says so, nothing of it is kept, and it goes in once there is room', async t => {
  const home = smallDisk(t)
  if (home === undefined) return t.comment('no mount allowed here: the next test alone')
  const store = await openStore(undefined, home, options)
  await store.insertKey(aKey())
  const filler = join(home, 'filler')
  writeFileSync(filler, Buffer.alloc(400_000))
  const batch = Array.from({ length: 10 }, () => anEntry())
  const entries = await untilFull(t, () => store.appendEntries(batch))
  const rest = join(home, 'rest')
  t.throws(() => writeFileSync(rest, Buffer.alloc(1_000_000)), { code: 'ENOSPC' })
  // what an earlier failure left of the log is written over first
  const keys = await untilFull(t, () => store.insertKey(aKey()))
  await untilFull(t, () => store.probe())
  await t.rejects(async () => store.backupTo(join(home, 'copy.db')), { code: 'store_full' })
  const kept = entries * batch.length
  t.equal((await store.listEntries({})).length, kept)
  t.equal((await store.listKeys()).length, 1 + keys)
  t.strictSame(await store.verify(), [])

  rmSync(filler)
  rmSync(rest)
  await store.probe()
  await store.appendEntries(batch)
  await store.close()
  const again = await openStore(undefined, home, options)
  t.equal((await again.listEntries({})).length, kept + batch.length)
  await again.close()
})

t.test("every word of the driver's becomes one of ours, with the cause kept", async t => {
  const db = new Database(':memory:')
  db.exec('CREATE TABLE a (b); PRAGMA max_page_count = 3')
  const fill = (): void => {
    for (;;) db.exec('INSERT INTO a VALUES (zeroblob(1000))')
  }
  try {
    fill()
  } catch (error) {
    t.match(driverError(error, 'f'), { code: 'store_full', cause: error })
  }
  const codes = {
    SQLITE_BUSY_SNAPSHOT: 'store_locked',
    SQLITE_LOCKED: 'store_locked',
    SQLITE_FULL: 'store_full',
    SQLITE_CORRUPT_VTAB: 'store_damaged',
    SQLITE_NOTADB: 'store_damaged',
    SQLITE_IOERR_WRITE: 'store_unavailable',
    SQLITE_CANTOPEN: 'store_unavailable',
    SQLITE_READONLY_DBMOVED: 'store_unavailable',
    SQLITE_CONSTRAINT_UNIQUE: 'internal',
    ENOSPC: 'store_full',
    EACCES: 'store_unavailable',
  }
  for (const [code, ours] of Object.entries(codes)) t.match(driverError(Object.assign(new Error('x'), { code }), 'f'), { code: ours }, code)
  const other = new TypeError('ours')
  t.equal(driverError(other, 'f'), other)
})
