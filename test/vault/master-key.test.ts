import { randomBytes } from 'node:crypto'
import { chmodSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { Secret } from '../../src/lib/secret.js'
import { createMasterKey, loadMasterKey, readMasterKey } from '../../src/vault/master-key.js'

const bytes = randomBytes(32)

function file(t: Test, content: string | Uint8Array, mode = 0o400): string {
  const name = join(t.testdir({}), 'master.key')
  writeFileSync(name, content, { mode })
  return name
}

t.test('hex, base64url, base64 and raw bytes are the same key, from a file or from the environment', async t => {
  const forms = [
    bytes.toString('hex'),
    bytes.toString('hex').toUpperCase(),
    ` ${bytes.toString('hex')}\r\n`,
    bytes.toString('base64url'),
    `${bytes.toString('base64')}\n`,
  ]
  for (const form of forms) {
    t.ok(readMasterKey(file(t, form)).export().equals(bytes), `file: ${form.length}`)
    t.ok(
      loadMasterKey({ home: '/nowhere', masterKey: new Secret(form) })
        .export()
        .equals(bytes),
      `text: ${form.length}`,
    )
  }
  t.ok(readMasterKey(file(t, bytes)).export().equals(bytes))
})

t.test('what is not 32 random bytes is refused as weak', async t => {
  const weak = [
    '',
    '\n',
    'short',
    'z'.repeat(64),
    '0'.repeat(64),
    'ab'.repeat(32),
    'correct horse battery staple 1234',
    'correct horse battery staple 123',
    Buffer.from('correct horse battery staple 123').toString('hex'),
    'A'.repeat(43),
    Buffer.alloc(32, 7),
    randomBytes(33),
    randomBytes(2000),
  ]
  for (const content of weak) t.throws(() => readMasterKey(file(t, content)), { code: 'master_key_weak' }, String(content).slice(0, 20))
  t.throws(() => loadMasterKey({ home: '/nowhere', masterKey: new Secret('secret') }), { code: 'master_key_weak' })
})

t.test('a refusal does not repeat the key', async t => {
  const form = `${'ab'.repeat(31)}zz`
  try {
    readMasterKey(file(t, form))
  } catch (error) {
    t.notMatch(JSON.stringify([error, String(error)]), 'abab')
  }
})

t.test('a missing key is said to be missing', async t => {
  t.throws(() => loadMasterKey({ home: t.testdir({}) }), { code: 'master_key_missing' })
})

t.test('a key file that others may read is refused, with the cure', async t => {
  for (const mode of [0o440, 0o404, 0o644, 0o620]) {
    const name = file(t, bytes)
    chmodSync(name, mode)
    t.throws(() => readMasterKey(name), { code: 'file_refused', hint: /chmod 400/ }, mode.toString(8))
  }
})

t.test('a new key is random, readable by this user only, and never put over another', async t => {
  const home = t.testdir({})
  const name = join(home, 'master.key')
  const key = createMasterKey(name)
  t.equal(statSync(name).mode & 0o777, 0o400)
  t.ok(loadMasterKey({ home }).export().equals(key.export()))
  const before = readFileSync(name)
  t.throws(() => createMasterKey(name), { code: 'file_exists' })
  t.strictSame(readFileSync(name), before)
  t.throws(() => createMasterKey('/nowhere/at/all'), { code: 'file_refused' })
})

t.test('the environment comes before a named file, and that before the home', async t => {
  const home = t.testdir({})
  const inHome = createMasterKey(join(home, 'master.key'))
  const named = join(home, 'other.key')
  const other = createMasterKey(named)
  t.ok(loadMasterKey({ home }).export().equals(inHome.export()))
  t.ok(loadMasterKey({ home, masterKeyFile: named }).export().equals(other.export()))
  t.ok(
    loadMasterKey({ home, masterKeyFile: named, masterKey: new Secret(bytes.toString('hex')) })
      .export()
      .equals(bytes),
  )
})
