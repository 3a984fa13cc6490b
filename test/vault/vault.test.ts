import { createSecretKey, randomBytes } from 'node:crypto'
import t, { type Test } from 'tap'
import { Secret } from '../../src/lib/secret.js'
import { openStore } from '../../src/stores/index.js'
import type { KeyRecord } from '../../src/stores/records.js'
import type { Store } from '../../src/stores/store.js'
import { createKeyring, openKeyring } from '../../src/vault/keyring.js'
import { createVault, type NewKey, type Vault } from '../../src/vault/vault.js'

const now = (): number => 1_700_000_000_000
const everything = {
  user: 'u-1',
  baseUrl: 'https://a.example',
  auth: 'header:x-key',
  dialect: 'openai',
  organization: 'org-1',
  project: 'proj-1',
}

async function fresh(t: Test): Promise<{ vault: Vault; again: () => Promise<Vault>; store: Store }> {
  const home = t.testdir({})
  const master = createSecretKey(randomBytes(32))
  const keyring = await createKeyring(home, master, now)
  const store = await openStore('memory:', home, { databaseKey: keyring.databaseKey, durability: 'normal', create: true, now })
  return {
    vault: createVault({ store, keyring, now }),
    again: async () => createVault({ store, keyring: await openKeyring(home, master), now }),
    store,
  }
}

function aKey(fields: Partial<NewKey> = {}): NewKey {
  return { provider: 'openai', name: 'default', secret: new Secret('sk-canary-1'), ...fields }
}

t.test('a key that was put in opens, now and after a restart', async t => {
  const { vault, again, store } = await fresh(t)
  for (const fields of [{}, everything]) {
    const record = await vault.put(aKey(fields))
    t.strictSame(await store.getKey(record.id), record)
    t.equal((await vault.open(record)).expose(), 'sk-canary-1')
    t.equal((await vault.open(record)).expose(), 'sk-canary-1')
    t.equal((await (await again()).open(record)).expose(), 'sk-canary-1')
  }
})

t.test('a key that was opened before opens without waiting', async t => {
  const { vault } = await fresh(t)
  const record = await vault.put(aKey())
  await vault.open(record)
  t.type(vault.open({ ...record }), Secret)
})

t.test('what a caller wipes is its own copy', async t => {
  const { vault } = await fresh(t)
  const secret = new Secret('sk-canary-1')
  const record = await vault.put(aKey({ secret }))
  secret.wipe()
  for (let i = 0; i < 3; i++) {
    const opened = await vault.open(record)
    t.equal(opened.expose(), 'sk-canary-1')
    opened.wipe()
  }
})

t.test('a row with any bound field changed does not open, before or after the true row was opened', async t => {
  const { vault, again } = await fresh(t)
  const record = await vault.put(aKey(everything))
  const bare = await vault.put(aKey())
  const changes: Partial<KeyRecord>[] = [
    { id: bare.id },
    { tenant: 'acme' },
    { user: 'u-2' },
    { user: null },
    { user: '' },
    { provider: 'groq' },
    { baseUrl: 'https://b.example' },
    { baseUrl: null },
    { allowPrivate: true },
    { auth: 'bearer' },
    { auth: null },
    { dialect: 'anthropic' },
    { dialect: null },
    { organization: 'org-2' },
    { organization: null },
    { project: 'proj-2' },
    { project: null },
    { version: 2 },
    { masterKeyVersion: 2 },
    { sealed: bare.sealed },
    { sealed: '' },
    { sealed: `${record.sealed}A` },
  ]
  await vault.open(record)
  for (const from of [vault, await again()]) {
    for (const change of changes) {
      await t.rejects(async () => from.open({ ...record, ...change }), { code: 'key_unreadable' }, JSON.stringify(change).slice(0, 40))
    }
    for (const field of Object.keys(everything)) {
      await t.rejects(
        async () => from.open({ ...bare, [field]: everything[field as keyof typeof everything] }),
        { code: 'key_unreadable' },
        `null to ${field}`,
      )
    }
  }
  t.equal((await vault.open(record)).expose(), 'sk-canary-1')
})

t.test('a rotated key opens as the new secret, and the row it was read from before as the old', async t => {
  const { vault, store } = await fresh(t)
  const record = await vault.put(aKey())
  await store.updateKey(record.id, { rejectedAtMs: 5 })
  const rotated = await vault.rotate(record.id, new Secret('sk-canary-2'))
  t.strictSame(await store.getKey(record.id), rotated)
  t.match(rotated, { version: 2, rejectedAtMs: null, rotatedAtMs: now() })
  t.equal((await vault.open(rotated)).expose(), 'sk-canary-2')
  t.equal((await vault.open(record)).expose(), 'sk-canary-1')
  await t.rejects(async () => vault.open({ ...rotated, sealed: record.sealed }), { code: 'key_unreadable' })
  await t.rejects(vault.rotate('key_none', new Secret('x')), { code: 'key_not_found' })
})

t.test('ten racing rotations all count', async t => {
  const { vault, store } = await fresh(t)
  const record = await vault.put(aKey())
  await Promise.all(Array.from({ length: 10 }, (_, i) => vault.rotate(record.id, new Secret(`sk-${i}`))))
  const last = (await store.getKey(record.id)) as KeyRecord
  t.equal(last.version, 11)
  t.match((await vault.open(last)).expose(), /^sk-\d$/)
})

t.test('an empty secret is refused', async t => {
  const { vault } = await fresh(t)
  await t.rejects(vault.put(aKey({ secret: new Secret('') })), { code: 'usage' })
})

t.test('a key or a new value of one that is looked at and not accepted is not stored', async t => {
  const { vault, store } = await fresh(t)
  const refused = new Error('refused')
  const refuse = async (record: KeyRecord) => {
    t.match((await vault.open(record)).expose(), 'sk-canary')
    throw refused
  }
  await t.rejects(vault.put(aKey(), refuse), refused)
  t.same(await store.listKeys(), [])
  const record = await vault.put(aKey(), async () => undefined)
  await t.rejects(vault.rotate(record.id, new Secret('sk-canary-2'), refuse), refused)
  t.strictSame(await store.getKey(record.id), record)
})
