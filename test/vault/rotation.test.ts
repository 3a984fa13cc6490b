import { spawn } from 'node:child_process'
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { withFileLock } from '../../src/lib/file-lock.js'
import { Secret } from '../../src/lib/secret.js'
import { createKeyring, type Keyring } from '../../src/vault/keyring.js'
import { createMasterKey } from '../../src/vault/master-key.js'
import { openHome, type RotationStep, rotateMaster } from '../../src/vault/rotation.js'

const now = (): number => 1_700_000_000_000
const steps: readonly RotationStep[] = ['begun', 'key written', 'vault rewrapped', 'done']

async function aHome(t: Test): Promise<{ home: string; keyring: Keyring }> {
  const home = t.testdir({})
  return { home, keyring: await createKeyring(home, createMasterKey(join(home, 'master.key')), now) }
}

function sameSecrets(t: Test, a: Keyring, b: Keyring, name = 'same secrets'): void {
  t.ok(a.databaseKey.equals(b.databaseKey), name)
  t.strictSame(
    a.signingKeys.map(key => key.kid),
    b.signingKeys.map(key => key.kid),
    name,
  )
}

/** Rotates in another process, which is killed when it reaches `step`. */
async function rotateAndDie(options: object, step: RotationStep): Promise<void> {
  const script = `
    import { rotateMaster } from './dist/src/vault/rotation.js'
    await rotateMaster({ ...${JSON.stringify(options)}, onStep: step => { if (step === ${JSON.stringify(step)}) process.kill(process.pid, 'SIGKILL') } })`
  const child = spawn(process.execPath, ['--input-type=module', '-e', script], { cwd: process.cwd(), stdio: 'inherit' })
  await new Promise(resolve => child.once('exit', resolve))
}

t.test('a rotated home opens with the new master key only, and holds what it held', async t => {
  const { home, keyring } = await aHome(t)
  const file = join(home, 'master.key')
  const old = readFileSync(file, 'latin1').trim()
  t.match(await rotateMaster({ home }), { masterKeyVersion: 2, keyFile: file })
  const opened = await openHome({ home })
  t.equal(opened.masterKeyVersion, 2)
  sameSecrets(t, opened, keyring)
  t.not(readFileSync(file, 'latin1').trim(), old)
  await t.rejects(openHome({ home, masterKey: new Secret(old) }), { code: 'master_key_wrong' })
  await rotateMaster({ home })
  t.equal((await openHome({ home })).masterKeyVersion, 3)
  t.strictSame(readdirSync(home).sort(), ['keys.json', 'master.key', 'rotation.lock'])
})

t.test('a rotation that is killed at any step leaves a home that opens, and can be rotated again', async t => {
  for (const step of steps) {
    const { home, keyring } = await aHome(t)
    await rotateAndDie({ home }, step)
    sameSecrets(t, await openHome({ home }), keyring, step)
    t.notOk(readdirSync(home).includes('master.key.next'), 'finished or undone')
    sameSecrets(t, await openHome({ home }), keyring, `${step}, again`)
    await rotateMaster({ home })
    sameSecrets(t, await openHome({ home }), keyring, `${step}, rotated`)
    t.strictSame(readdirSync(home).sort(), ['keys.json', 'master.key', 'rotation.lock'], step)
  }
})

t.test('the same where the key comes from elsewhere: the old or the new key opens it, and trying again completes it', async t => {
  for (const step of steps) {
    const { home, keyring } = await aHome(t)
    const masterKey = new Secret(readFileSync(join(home, 'master.key')))
    const oldKeyFile = join(home, 'master.key')
    const newKeyFile = join(home, 'new.key')
    await rotateAndDie({ home, masterKeyFile: oldKeyFile, newKeyFile }, step)
    const opened = await openHome({ home, masterKeyFile: oldKeyFile }).catch(() => openHome({ home, masterKeyFile: newKeyFile }))
    sameSecrets(t, opened, keyring, step)
    t.match(await rotateMaster({ home, masterKey, newKeyFile }), { masterKeyVersion: 2, keyFile: newKeyFile }, step)
    sameSecrets(t, await openHome({ home, masterKeyFile: newKeyFile }), keyring, step)
  }
})

t.test('a key from the environment needs a file for the new one, and no key in use is written over', async t => {
  const { home } = await aHome(t)
  const masterKeyFile = join(home, 'master.key')
  const masterKey = new Secret(readFileSync(masterKeyFile))
  const before = readFileSync(masterKeyFile)
  await t.rejects(rotateMaster({ home, masterKey }), { code: 'usage', hint: /--new-key-file/ })
  await t.rejects(rotateMaster({ home, newKeyFile: masterKeyFile }), { code: 'usage' })
  t.strictSame(readFileSync(masterKeyFile), before)
  const weak = join(home, 'weak.key')
  writeFileSync(weak, '00'.repeat(32), { mode: 0o400 })
  await t.rejects(rotateMaster({ home, newKeyFile: weak }), { code: 'master_key_weak' })
  t.equal((await openHome({ home })).masterKeyVersion, 1)
})

t.test('of two rotations at once one waits for nobody: it is refused', async t => {
  const { home } = await aHome(t)
  await withFileLock(join(home, 'rotation.lock'), async () => {
    await t.rejects(rotateMaster({ home }), { code: 'store_locked' })
  })
  t.equal((await rotateMaster({ home })).masterKeyVersion, 2)
})

t.test('opening a home while a rotation is under way leaves the rotation alone', async t => {
  const { home, keyring } = await aHome(t)
  const opened: Promise<Keyring>[] = []
  await rotateMaster({ home, onStep: () => opened.push(openHome({ home })) })
  for (const other of await Promise.all(opened)) sameSecrets(t, other, keyring)
  sameSecrets(t, await openHome({ home }), keyring)
  t.equal((await openHome({ home })).masterKeyVersion, 2)
})

t.test('where there is no home, a rotation makes nothing', async t => {
  const home = t.testdir({})
  await t.rejects(rotateMaster({ home }), { code: 'home_missing' })
  await t.rejects(openHome({ home }), { code: 'home_missing' })
  t.strictSame(readdirSync(home), [])
})

t.test('a rotation of a damaged vault changes nothing', async t => {
  const { home } = await aHome(t)
  const file = join(home, 'keys.json')
  const text = readFileSync(file, 'utf8').replace(/"kek": "(.)/, (_, first: string) => `"kek": "${first === 'A' ? 'B' : 'A'}`)
  writeFileSync(file, text)
  await t.rejects(rotateMaster({ home }), { code: 'vault_damaged' })
  t.equal(readFileSync(file, 'utf8'), text)
  t.strictSame(readdirSync(home).sort(), ['keys.json', 'master.key', 'rotation.lock'])
})
