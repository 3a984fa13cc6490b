import { spawn } from 'node:child_process'
import { createSecretKey, randomBytes } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { createKeyring, keyringPath, readKeyringFile } from '../../src/vault/keyring.js'
import { createMasterKey } from '../../src/vault/master-key.js'
import { unwrap } from '../../src/vault/wrap.js'

/** What a daemon does with its secrets, then a snapshot. The canary comes in as bytes, as from a pipe. */
const script = `
  import { readSync } from 'node:fs'
  import { writeHeapSnapshot } from 'node:v8'
  import { SignJWT } from 'jose'
  import { Secret } from './dist/src/lib/secret.js'
  import { openStore } from './dist/src/stores/index.js'
  import { openHome } from './dist/src/vault/rotation.js'
  import { createVault } from './dist/src/vault/vault.js'
  const home = process.argv[1]
  const bytes = Buffer.alloc(64)
  const canary = bytes.subarray(0, readSync(0, bytes))
  const keyring = await openHome({ home })
  const store = await openStore(undefined, home, { databaseKey: keyring.databaseKey, durability: 'normal', create: true, now: Date.now })
  const vault = createVault({ store, keyring, now: Date.now })
  const secret = new Secret(canary)
  bytes.fill(0)
  const record = await vault.put({ provider: 'openai', name: 'n', secret })
  secret.wipe()
  for (let i = 0; i < 100; i++) {
    const opened = await vault.open(await store.getKey(record.id))
    if (opened.bytes().length !== 32) throw new Error('not the key')
    opened.wipe()
  }
  await new SignJWT({}).setProtectedHeader({ alg: 'EdDSA' }).sign(keyring.signingKeys[0].privateKey)
  globalThis.kept = { keyring, vault, store, marker: 'heap-' + 'marker' }
  writeHeapSnapshot(home + '/heap')
  await store.close()
`

t.test('a heap snapshot of a process that opened keys holds no key, no master key and no signing key', async t => {
  const home = t.testdir({})
  const master = createMasterKey(join(home, 'master.key'))
  const keyring = await createKeyring(home, master, Date.now)
  const canary = randomBytes(16).toString('hex')
  const child = spawn(process.execPath, ['--input-type=module', '-e', script, home], {
    cwd: process.cwd(),
    env: {},
    stdio: ['pipe', 'inherit', 'inherit'],
  })
  child.stdin.end(canary)
  t.equal(await new Promise(resolve => child.once('exit', resolve)), 0)

  const snapshot = readFileSync(join(home, 'heap'), 'latin1')
  t.ok(snapshot.includes('heap-marker'), 'the snapshot shows strings')
  const kek = keyring.kek('default') ?? createSecretKey(randomBytes(32))
  const { instanceId, masterKeyVersion, signingKeys } = readKeyringFile(keyringPath(home))
  const [row] = signingKeys
  const pkcs8 = row && unwrap(master, row.sealedPrivate, { purpose: 'signing', subject: row.kid, instanceId, masterKeyVersion })
  const secrets = {
    canary: Buffer.from(canary),
    master: master.export(),
    databaseKey: keyring.databaseKey.export(),
    kek: kek.export(),
    // an Ed25519 key in PKCS #8 ends with its 32 secret bytes (RFC 8410)
    signing: (pkcs8 as Buffer).subarray(-32),
  }
  for (const [name, bytes] of Object.entries(secrets)) {
    for (const encoding of ['latin1', 'hex', 'base64', 'base64url'] as const) {
      const text = bytes.toString(encoding)
      for (let at = 0; at + 12 <= text.length; at += 4)
        t.notOk(snapshot.includes(text.slice(at, at + 12)), `${name} as ${encoding}, at ${at}`)
    }
  }
})
