import { spawn } from 'node:child_process'
import { createSecretKey, randomBytes } from 'node:crypto'
import { existsSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import Database from 'better-sqlite3'
import t, { type Test } from 'tap'
import { openStore } from '../../src/stores/index.js'
import type { Entry } from '../../src/stores/records.js'
import { migrations } from '../../src/stores/sqlite/migrations.js'
import { openSqlite } from '../../src/stores/sqlite/sqlite.js'
import type { Store } from '../../src/stores/store.js'
import { aGrant, aKey, anEntry, aToken, databaseKey } from '../contracts/store.js'

const now = (): number => 1_700_000_000_000
const options = { databaseKey, durability: 'normal', create: true, now } as const

async function open(t: Test, home: string): Promise<Store> {
  const store = await openStore(undefined, home, options)
  t.teardown(() => store.close())
  return store
}

/** Runs a module of statements in another process on the database in `home`; resolves with a line writer once it says `ready`. */
async function otherProcess(t: Test, home: string, script: string): Promise<{ say(line: string): Promise<string>; end(): Promise<void> }> {
  const key = databaseKey.export().toString('hex')
  const child = spawn(process.execPath, ['--input-type=module', '-e', script], {
    cwd: process.cwd(),
    env: { HOME_DIR: home, KEY: key },
    stdio: ['pipe', 'pipe', 'inherit'],
  })
  const lines = createInterface(child.stdout)[Symbol.asyncIterator]()
  const exited = new Promise(resolve => child.once('exit', resolve))
  t.teardown(() => child.kill('SIGKILL'))
  t.equal((await lines.next()).value, 'ready')
  return {
    say: async line => {
      child.stdin.write(`${line}\n`)
      return (await lines.next()).value as string
    },
    end: async () => {
      child.stdin.end()
      await exited
    },
  }
}

const opener = `
import { createSecretKey } from 'node:crypto'
import { createInterface } from 'node:readline'
import { openStore } from './dist/src/stores/index.js'
import { aKey, anEntry } from './dist/test/contracts/store.js'
const databaseKey = createSecretKey(Buffer.from(process.env.KEY, 'hex'))
const store = await openStore(undefined, process.env.HOME_DIR, { databaseKey, durability: 'normal', create: false, now: Date.now })
console.log('ready')
for await (const line of createInterface(process.stdin)) {
`

const holder = `
import { createInterface } from 'node:readline'
import Database from 'better-sqlite3'
const db = new Database(process.env.HOME_DIR + '/soakp.db')
db.pragma("cipher = 'sqlcipher'"); db.pragma('legacy = 4'); db.key(Buffer.from('raw:' + process.env.KEY, 'latin1'))
db.pragma('user_version')
console.log('ready')
for await (const line of createInterface(process.stdin)) { db.exec(line); console.log('done') }
`

t.test('nothing readable is on the disk, and only this user can read it', async t => {
  const home = t.testdir({})
  const store = await open(t, home)
  await store.insertKey(aKey({ name: 'canary-name', sealed: 'canary-sealed' }))
  await store.appendEntries([anEntry({ endpoint: '/canary/path' })])
  const files = readdirSync(home)
  t.ok(files.includes('soakp.db-wal'))
  for (const file of files) {
    const bytes = readFileSync(join(home, file))
    t.notOk(bytes.includes('canary'), file)
    t.notOk(bytes.includes('SQLite format 3'), file)
    t.equal(statSync(join(home, file)).mode & 0o777, 0o600, file)
  }
})

t.test('a stock SQLCipher 4 shell would open the file with the raw key', async t => {
  const home = t.testdir({})
  const store = await openStore(undefined, home, options)
  await store.insertKey(aKey())
  await store.close()
  const db = new Database(join(home, 'soakp.db'))
  t.teardown(() => db.close())
  db.pragma("cipher = 'sqlcipher'")
  db.pragma('legacy = 4')
  db.pragma(`key = "x'${databaseKey.export().toString('hex')}'"`)
  t.strictSame(db.prepare('SELECT count(*) AS keys FROM keys').get(), { keys: 1 })
})

t.test('another key does not open the database, and changes nothing in it', async t => {
  const home = t.testdir({})
  const file = join(home, 'soakp.db')
  const store = await openStore(undefined, home, options)
  await store.insertKey(aKey())
  await store.close()
  const before = readFileSync(file)
  await t.rejects(openStore(undefined, home, { ...options, databaseKey: createSecretKey(randomBytes(32)) }), {
    code: 'store_damaged',
    hint: /backup/,
  })
  t.strictSame(readFileSync(file), before)
})

t.test('a plain SQLite file is not taken for a database of ours', async t => {
  const home = t.testdir({})
  const db = new Database(join(home, 'soakp.db'))
  db.exec('CREATE TABLE a (b)')
  db.close()
  await t.rejects(openStore(undefined, home, options), { code: 'store_damaged' })
})

t.test('a database that should be there and is not is not made anew', async t => {
  const home = t.testdir({})
  await t.rejects(openStore(undefined, home, { ...options, create: false }), { code: 'store_unavailable', hint: /restore/ })
  t.strictSame(readdirSync(home), [])
  await t.rejects(openStore('sqlite:/nowhere/at/all.db', home, options), { code: 'store_unavailable' })
})

t.test('a URL that names no store of ours is refused by name, without the password in it', async t => {
  const home = t.testdir({})
  for (const url of ['postgres://u:canary@h/db', 'sealed-file:/x', 'soakp.db', 'sqlite:', 'SQLITE:/x']) {
    await t.rejects(openStore(url, home, options), { code: 'settings_invalid' }, url)
    await openStore(url, home, options).catch(error => t.notMatch(`${error.message} ${error.hint}`, 'canary'))
  }
  t.strictSame(readdirSync(home), [])
})

t.test('a path may be written with one slash or three', async t => {
  const home = t.testdir({})
  for (const [index, prefix] of ['sqlite:', 'sqlite://'].entries()) {
    const store = await openStore(`${prefix}${home}/${index}.db`, home, options)
    await store.close()
    t.ok(existsSync(join(home, `${index}.db`)))
  }
})

t.test('what another process commits is seen at once by the policy generation', async t => {
  const home = t.testdir({})
  const store = await open(t, home)
  const other = await otherProcess(
    t,
    home,
    `${opener} if (line === 'key') await store.insertKey(aKey({ name: 'theirs' })); else await store.appendEntries([anEntry()]); console.log('done') }; await store.close()`,
  )
  let last = await store.policyGeneration()
  for (let i = 0; i < 20; i++) {
    await other.say('key')
    const seen = await store.policyGeneration()
    t.ok(seen > last)
    last = seen
    t.equal((await store.listKeys()).length, 2 * i + 1)
    await store.insertKey(aKey())
    t.ok((await store.policyGeneration()) > last)
    last = await store.policyGeneration()
  }
  await other.say('entry')
  t.equal(await store.policyGeneration(), last)
  await other.end()
})

t.test('two connections of one process see each other likewise', async t => {
  const home = t.testdir({})
  const [a, b] = [await open(t, home), await open(t, home)]
  const before = await b.policyGeneration()
  const grant = aGrant()
  await a.insertGrant(grant, aToken(grant.id))
  t.ok((await b.policyGeneration()) > before)
  t.equal(await b.policyGeneration(), await a.policyGeneration())
})

t.test('while another process holds the database, a write says so soon, leaves nothing, and works again afterwards', async t => {
  const home = t.testdir({})
  const store = await open(t, home)
  const holding = await otherProcess(t, home, holder)
  await holding.say('BEGIN IMMEDIATE')
  await t.rejects(async () => store.insertKey(aKey()), { code: 'store_locked', retryable: true })
  await t.rejects(async () => store.appendEntries([anEntry()]), { code: 'store_locked' })
  await t.rejects(async () => store.probe(), { code: 'store_locked' })
  t.strictSame(await store.listKeys(), [], 'reading goes on')
  await holding.say('ROLLBACK')
  await store.appendEntries([anEntry()])
  t.equal((await store.listEntries({})).length, 1)
})

t.test('a database that another process keeps to itself cannot be opened, and says why', async t => {
  const home = t.testdir({})
  await (await openStore(undefined, home, options)).close()
  const holding = await otherProcess(t, home, holder)
  await holding.say('PRAGMA locking_mode = exclusive')
  await holding.say('BEGIN EXCLUSIVE')
  await t.rejects(openStore(undefined, home, options), { code: 'store_locked' })
})

t.test('several processes that make one database at once agree on it', async t => {
  const home = t.testdir({})
  const script = `
    import { createSecretKey } from 'node:crypto'
    import { openStore } from './dist/src/stores/index.js'
    import { aKey } from './dist/test/contracts/store.js'
    const databaseKey = createSecretKey(Buffer.from(process.env.KEY, 'hex'))
    process.stdout.write('.')
    await new Promise(resolve => process.stdin.once('data', resolve))
    const store = await openStore(undefined, process.env.HOME_DIR, { databaseKey, durability: 'normal', create: true, now: Date.now })
    for (let i = 0; i < 10; i++) await store.insertKey(aKey())
    await store.close()
    process.exit(0)`
  const env = { HOME_DIR: home, KEY: databaseKey.export().toString('hex') }
  const children = Array.from({ length: 5 }, () =>
    spawn(process.execPath, ['--input-type=module', '-e', script], { cwd: process.cwd(), env, stdio: ['pipe', 'pipe', 'inherit'] }),
  )
  await Promise.all(children.map(child => new Promise(resolve => child.stdout.once('data', resolve))))
  const codes = children.map(child => new Promise(resolve => child.once('exit', resolve)))
  for (const child of children) child.stdin.write('go')
  t.strictSame(await Promise.all(codes), [0, 0, 0, 0, 0])
  const store = await open(t, home)
  t.equal((await store.listKeys()).length, 50)
  t.strictSame(await store.verify(), [])
})

t.test('a flipped bit anywhere is found, and never read as data', async t => {
  const home = t.testdir({})
  const file = join(home, 'soakp.db')
  const store = await openStore(undefined, home, options)
  for (let i = 0; i < 60; i++) await store.insertKey(aKey({ sealed: 's'.repeat(600) }))
  await store.close()
  const sound = readFileSync(file)
  const pages = sound.length / 4096
  t.ok(pages > 10)
  for (let page = 0; page < pages; page++) {
    const bytes = Buffer.from(sound)
    bytes[page * 4096 + 1000] = (bytes[page * 4096 + 1000] as number) ^ 1
    writeFileSync(file, bytes)
    try {
      const opened = await openStore(undefined, home, options)
      const faults = await opened.verify()
      t.not(faults.length, 0, `page ${page}`)
      await opened.close()
    } catch (error) {
      t.match(error, { code: 'store_damaged' }, `page ${page}`)
    }
  }
  writeFileSync(file, sound)
  const again = await open(t, home)
  t.strictSame(await again.verify(), [])
})

t.test('a database that was emptied is not filled with a new one', async t => {
  const home = t.testdir({ 'soakp.db': '' })
  await t.rejects(openStore(undefined, home, { ...options, create: false }), { code: 'store_damaged', hint: /restore/ })
  await (await openStore(undefined, home, options)).close()
  await (await openStore(undefined, home, { ...options, create: false })).close()
})

t.test('a truncated database is refused clearly', async t => {
  const home = t.testdir({})
  const file = join(home, 'soakp.db')
  await (await openStore(undefined, home, options)).close()
  writeFileSync(file, readFileSync(file).subarray(0, 5000))
  await t.rejects(openStore(undefined, home, { ...options, create: false }), { code: 'store_damaged' })
})

t.test('what was committed is there after the process was killed', async t => {
  const home = t.testdir({})
  await (await openStore(undefined, home, options)).close()
  const script = `${opener} } for (let i = 0; ; i++) { await store.appendEntries([anEntry({ attempt: i })]); process.stdout.write(i + '\\n') }`
  for (let kill = 0; kill < 5; kill++) {
    const earlier = await openStore(undefined, home, options)
    const before = (await earlier.listEntries({})).length
    await earlier.close()
    const env = { HOME_DIR: home, KEY: databaseKey.export().toString('hex') }
    const child = spawn(process.execPath, ['--input-type=module', '-e', script], {
      cwd: process.cwd(),
      env,
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    let acknowledged = 0
    child.stdout.on('data', (text: Buffer) => {
      acknowledged += text.toString().split('\n').length - 1
      if (acknowledged > 200) child.kill('SIGKILL')
    })
    await new Promise(resolve => child.once('close', resolve))
    const store = await openStore(undefined, home, options)
    // the first line says ready
    t.ok((await store.listEntries({})).length - before >= acknowledged - 1, `kill ${kill}`)
    t.strictSame(await store.verify(), [])
    await store.close()
  }
})

t.test('a batch with a bad entry leaves nothing behind, and the next batch goes in', async t => {
  const store = await open(t, t.testdir({}))
  const bad = { ...anEntry(), id: undefined } as unknown as Entry
  await t.rejects(async () => store.appendEntries([anEntry({ model: 'new-context' }), bad]))
  t.strictSame(await store.listEntries({}), [])
  const good = anEntry({ model: 'new-context' })
  await store.appendEntries([good])
  t.strictSame(await store.listEntries({}), [good])
})

t.test('entries whose texts imitate one another keep their own', async t => {
  const store = await open(t, t.testdir({}))
  const entries = [
    anEntry({ endpoint: '/a b', model: 'c' }),
    anEntry({ endpoint: '/a', model: 'b c' }),
    anEntry({ endpoint: '/a b', model: 'c', subject: 'x' }),
    anEntry({ model: 'null' }),
    anEntry({ model: null }),
    anEntry({ attempt: 2 }),
  ]
  await store.appendEntries(entries)
  await store.appendEntries(entries)
  t.strictSame(await store.listEntries({}), [...entries, ...entries])
})

const upgrade = [...migrations, "ALTER TABLE keys ADD COLUMN extra TEXT NOT NULL DEFAULT 'x'; DELETE FROM entries;"]

t.test('an older database is upgraded, and an encrypted copy of it kept', async t => {
  const home = t.testdir({})
  const location = join(home, 'soakp.db')
  const first = await openStore(undefined, home, options)
  const key = aKey({ name: 'canary-name' })
  await first.insertKey(key)
  await first.appendEntries([anEntry()])
  await first.close()

  const second = await openSqlite({ ...options, location }, upgrade)
  t.strictSame(await second.listKeys(), [key])
  t.strictSame(await second.listEntries({}), [])
  await second.close()

  const copy = join(home, `soakp.db.before-v${upgrade.length}`)
  t.equal(statSync(copy).mode & 0o777, 0o600)
  t.notOk(readFileSync(copy).includes('canary'))
  const old = await openStore(`sqlite:${copy}`, home, { ...options, create: false })
  t.equal((await old.listEntries({})).length, 1)
  await old.close()

  await t.rejects(openStore(undefined, home, options), { code: 'store_newer', hint: /newer/ })
})

t.test('an upgrade that fails leaves the database as it was', async t => {
  const home = t.testdir({})
  const location = join(home, 'soakp.db')
  const first = await openStore(undefined, home, options)
  await first.insertKey(aKey())
  await first.close()
  for (let i = 0; i < 2; i++) {
    t.throws(() => openSqlite({ ...options, location }, [...migrations, 'DELETE FROM keys; SELECT no_such_column FROM keys;']))
  }
  const again = await open(t, home)
  t.equal((await again.listKeys()).length, 1)
})

t.test('a new database is not copied aside', async t => {
  const home = t.testdir({})
  await open(t, home)
  t.strictSame(
    readdirSync(home).filter(name => name.includes('before')),
    [],
  )
})

t.test('the log is copied into the database while writing goes on', async t => {
  const home = t.testdir({})
  const store = await open(t, home)
  const sizes = (): number => statSync(join(home, 'soakp.db')).size
  const before = sizes()
  const batch = Array.from({ length: 20 }, () => anEntry())
  for (let i = 0; i < 1100; i++) await store.appendEntries(batch)
  for (let i = 0; i < 1000 && sizes() === before; i++) await new Promise(resolve => setTimeout(resolve, 10))
  t.ok(sizes() > before)
  t.strictSame(await store.verify(), [])
  t.equal((await store.usage({ by: ['tenant'], sinceMs: 0 }))[0]?.calls, 22_000)
})
