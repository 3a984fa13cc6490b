import { chmodSync, mkdirSync, readdirSync, readFileSync, statSync, utimesSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { writeFileAtomic } from '../../src/lib/atomic-file.js'

t.test('a file is replaced whole, with the mode asked for, and nothing is left beside it', async t => {
  const dir = t.testdir({ file: 'old' })
  const file = join(dir, 'file')
  chmodSync(file, 0o644)
  writeFileAtomic(file, 'new')
  t.equal(readFileSync(file, 'utf8'), 'new')
  t.equal(statSync(file).mode & 0o777, 0o600)
  writeFileAtomic(file, Buffer.from([1, 2]), { mode: 0o400 })
  t.equal(statSync(file).mode & 0o777, 0o400)
  t.strictSame(readFileSync(file), Buffer.from([1, 2]))
  t.strictSame(readdirSync(dir), ['file'])
})

t.test('what a killed process has left beside a file is gone with the next write, what another one is writing is not', async t => {
  const left = 'file.0123456789ab.tmp'
  const dir = t.testdir({ file: 'old', [left]: 'x', 'file.ba9876543210.tmp': 'x', 'file.tmp': 'x', 'other.0123456789ab.tmp': 'x' })
  for (const name of [left, 'file.tmp', 'other.0123456789ab.tmp']) utimesSync(join(dir, name), 1, 1)
  writeFileAtomic(join(dir, 'file'), 'new')
  t.strictSame(readdirSync(dir), ['file', 'file.ba9876543210.tmp', 'file.tmp', 'other.0123456789ab.tmp'])
})

t.test('an exclusive write never replaces a file', async t => {
  const dir = t.testdir({ file: 'old' })
  t.throws(() => writeFileAtomic(join(dir, 'file'), 'new', { exclusive: true }), { code: 'EEXIST' })
  t.equal(readFileSync(join(dir, 'file'), 'utf8'), 'old')
  writeFileAtomic(join(dir, 'other'), 'new', { exclusive: true })
  t.strictSame(readdirSync(dir), ['file', 'other'])
})

t.test('a write that fails leaves what was there, and nothing beside it', async t => {
  const dir = t.testdir({ file: 'old' })
  mkdirSync(join(dir, 'folder'))
  writeFileSync(join(dir, 'folder', 'inside'), '')
  t.throws(() => writeFileAtomic(join(dir, 'folder'), 'new'))
  t.throws(() => writeFileAtomic(join(dir, 'no', 'such', 'file'), 'new'), { code: 'ENOENT' })
  t.strictSame(readdirSync(dir), ['file', 'folder'])
})
