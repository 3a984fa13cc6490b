import { spawn } from 'node:child_process'
import { createSecretKey, type KeyObject, randomBytes } from 'node:crypto'
import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { Secret } from '../../src/lib/secret.js'
import { openStore } from '../../src/stores/index.js'
import type { KeyRecord } from '../../src/stores/records.js'
import type { Store } from '../../src/stores/store.js'
import { createBackup, type Restored, type RestoreOptions, restoreBackup } from '../../src/vault/backup.js'
import { createKeyring, type Keyring, openKeyring } from '../../src/vault/keyring.js'
import { createVault } from '../../src/vault/vault.js'

const now = (): number => 1_700_000_000_000

interface Home {
  readonly home: string
  readonly master: KeyObject
  readonly keyring: Keyring
  readonly store: Store
}

function opener(file: string, databaseKey: KeyObject): Promise<Store> {
  return openStore(`sqlite:${file}`, '', { databaseKey, durability: 'normal', create: false, now })
}

async function aHome(t: Test, home: string, master = createSecretKey(randomBytes(32))): Promise<Home> {
  mkdirSync(home)
  const keyring = await createKeyring(home, master, now)
  const store = await openStore(undefined, home, { databaseKey: keyring.databaseKey, durability: 'normal', create: true, now })
  t.teardown(() => store.close())
  return { home, master, keyring, store }
}

async function aBackup(t: Test, dir: string): Promise<Home & { file: string; key: KeyRecord }> {
  const made = await aHome(t, join(dir, 'old'))
  const key = await createVault({ ...made, now }).put({ provider: 'openai', name: 'n', secret: new Secret('sk-canary') })
  const file = join(dir, 'backup')
  await createBackup(file, { ...made, settings: 'SOAKP_PORT=4000\n', now })
  return { ...made, file, key }
}

function restoring(home: string, master: KeyObject): RestoreOptions {
  return { home, databaseFile: join(home, 'soakp.db'), master, openStore: opener, now }
}

async function reads(home: string, master: KeyObject, key: KeyRecord): Promise<string> {
  const keyring = await openKeyring(home, master)
  const store = await opener(join(home, 'soakp.db'), keyring.databaseKey)
  const record = await store.getKey(key.id)
  const secret = record === undefined ? 'no such key' : (await createVault({ store, keyring, now }).open(record)).expose()
  await store.close()
  return secret
}

t.test('what was backed up opens in another home, with the master key it was made under', async t => {
  const dir = t.testdir({})
  const { file, master, key, keyring } = await aBackup(t, dir)
  const home = join(dir, 'new')
  mkdirSync(home)
  const restored: Restored = await restoreBackup(file, restoring(home, master))
  t.strictSame(restored, {
    createdAtMs: now(),
    instanceId: keyring.instanceId,
    keys: 1,
    grants: 0,
    unreadableKeys: [],
    settings: 'SOAKP_PORT=4000\n',
    replaced: [],
  })
  t.equal(await reads(home, master, key), 'sk-canary')
  t.strictSame(readdirSync(home).sort(), ['keys.json', 'soakp.db'])
  for (const name of readdirSync(home)) t.equal(statSync(join(home, name)).mode & 0o777, 0o600)
})

t.test('a backup is made beside a running home, is for this user only, holds nothing readable, and replaces no file', async t => {
  const dir = t.testdir({})
  const made = await aBackup(t, dir)
  t.equal(statSync(made.file).mode & 0o777, 0o600)
  const bytes = readFileSync(made.file)
  for (const secret of ['sk-canary', 'canary', made.master.export(), made.keyring.databaseKey.export()]) t.notOk(bytes.includes(secret))
  for (const encoding of ['hex', 'base64url'] as const) t.notOk(bytes.includes(made.master.export().toString(encoding)))
  await t.rejects(createBackup(made.file, { ...made, settings: '', now }), { code: 'file_exists' })
  t.strictSame(readFileSync(made.file), bytes)
  await t.rejects(createBackup(join(dir, 'no', 'such', 'folder'), { ...made, settings: '', now }), {
    code: /store_unavailable|file_refused/,
  })
  t.strictSame(readdirSync(dir).sort(), ['backup', 'old'])
})

t.test('a backup that is cut off, altered or something else is refused, and the home stays as it was', async t => {
  const dir = t.testdir({})
  const { file, master } = await aBackup(t, dir)
  const sound = readFileSync(file)
  const home = join(dir, 'new')
  mkdirSync(home)
  const bad = join(dir, 'bad')
  const flipped = (at: number): Buffer => {
    const bytes = Buffer.from(sound)
    bytes[at] = (bytes[at] as number) ^ 1
    return bytes
  }
  const headerEnd = sound.indexOf('{\n')
  const samples = [
    ...[0, 10, 100, headerEnd + 5, sound.length - 5000, sound.length - 1].map(length => sound.subarray(0, length)),
    ...[0, 16, 30, headerEnd - 100, sound.length - 4096, sound.length - 1].map(flipped),
    Buffer.concat([sound, Buffer.from('x')]),
    Buffer.from('not a backup'),
  ]
  for (const [index, bytes] of samples.entries()) {
    writeFileSync(bad, bytes)
    await t.rejects(restoreBackup(bad, restoring(home, master)), { code: 'backup_damaged' }, `sample ${index}`)
    t.strictSame(readdirSync(home), [], `sample ${index}`)
  }
  writeFileSync(bad, flipped(sound.indexOf('"databaseKey"') + 30))
  await t.rejects(restoreBackup(bad, restoring(home, master)), { code: 'vault_damaged' })
  await t.rejects(restoreBackup(join(dir, 'none'), restoring(home, master)), { code: 'file_refused' })
})

t.test('another master key does not restore', async t => {
  const dir = t.testdir({})
  const { file } = await aBackup(t, dir)
  const home = join(dir, 'new')
  mkdirSync(home)
  await t.rejects(restoreBackup(file, restoring(home, createSecretKey(randomBytes(32)))), {
    code: 'master_key_wrong',
    hint: /when the backup was made/,
  })
  t.strictSame(readdirSync(home), [])
})

t.test('a home that holds a key is never restored over; one without is moved aside', async t => {
  const dir = t.testdir({})
  const { file, master, home, key, store } = await aBackup(t, dir)
  await store.close()
  const before = readFileSync(join(home, 'keys.json'))
  await t.rejects(restoreBackup(file, restoring(home, master)), { code: 'home_exists', hint: /nothing is overwritten/ })
  t.strictSame(readFileSync(join(home, 'keys.json')), before)

  const strange = await aHome(t, join(dir, 'strange'))
  await t.rejects(restoreBackup(file, restoring(strange.home, master)), { code: 'home_exists' })

  const empty = await aHome(t, join(dir, 'empty'), master)
  await t.rejects(restoreBackup(file, restoring(empty.home, master)), { code: 'store_locked' }, 'a daemon runs on it')
  await empty.store.close()
  const { replaced } = await restoreBackup(file, restoring(empty.home, master))
  t.equal(replaced.length, 2)
  for (const name of replaced) t.ok(existsSync(name))
  t.equal(await reads(empty.home, master, key), 'sk-canary')
})

t.test('a restore that is killed at any moment can be done again', async t => {
  const dir = t.testdir({})
  const { file, master, key } = await aBackup(t, dir)
  for (const call of ['mkdirSync', 'renameSync', 'linkSync']) {
    const home = join(dir, call)
    mkdirSync(home)
    const script = `
      import fs from 'node:fs'
      import { syncBuiltinESMExports } from 'node:module'
      const real = fs.${call}
      fs.${call} = (...args) => { real(...args); process.kill(process.pid, 'SIGKILL') }
      syncBuiltinESMExports()
      const { createSecretKey } = await import('node:crypto')
      const { openStore } = await import('./dist/src/stores/index.js')
      const { restoreBackup } = await import('./dist/src/vault/backup.js')
      const home = ${JSON.stringify(home)}
      await restoreBackup(${JSON.stringify(file)}, { home, databaseFile: home + '/soakp.db', master: createSecretKey(Buffer.from(process.env.MASTER, 'hex')), now: Date.now,
        openStore: (f, databaseKey) => openStore('sqlite:' + f, '', { databaseKey, durability: 'normal', create: false, now: Date.now }) })`
    const env = { MASTER: master.export().toString('hex') }
    const child = spawn(process.execPath, ['--input-type=module', '-e', script], { cwd: process.cwd(), env, stdio: 'inherit' })
    t.equal(await new Promise(resolve => child.once('exit', (_, signal) => resolve(signal))), 'SIGKILL', call)
    // after the last step it is complete, and a second one has nothing to do
    if (!existsSync(join(home, 'keys.json'))) await restoreBackup(file, restoring(home, master))
    t.equal(await reads(home, master, key), 'sk-canary', call)
  }
})
