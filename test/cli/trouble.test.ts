import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, copyFileSync, existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { launcher, makeHome, runNode } from '../support/daemon.js'
import { withStore } from '../support/home-store.js'

t.test(
  'a database that is locked, damaged, gone or of another home is one clear line with its own code, and is left as it was',
  async t => {
    const home = await makeHome(t)
    const file = join(home.dir, 'soakp.db')
    const { id } = await home.addKey('sandbox', { secret: 'any-key-1' })
    await withStore(home.dir, async () => {
      // sqlite3_backup aside, an exclusive transaction of another process is what locks it for good
      const script = `
      import { loadSettings } from '${join(process.cwd(), 'dist/src/config/load.js')}'
      import { openHome } from '${join(process.cwd(), 'dist/src/vault/rotation.js')}'
      import { connect } from '${join(process.cwd(), 'dist/src/stores/sqlite/connection.js')}'
      const { databaseKey } = await openHome(loadSettings())
      const db = connect({ file: ${JSON.stringify(file)}, databaseKey, create: false, durability: 'normal' })
      db.exec('BEGIN IMMEDIATE')
      // a connection that nothing refers to is closed when it is collected
      process.on('exit', () => db.close())
      process.stdout.write('locked')
      process.stdin.resume()`
      const holder = spawn(process.execPath, ['--input-type=module', '-e', script], { env: home.env, stdio: ['pipe', 'pipe', 'inherit'] })
      t.teardown(() => holder.kill('SIGKILL'))
      await once(holder.stdout, 'data')
      t.match(await home.run(['key', 'disable', id]), { code: 75, stdout: '', stderr: /^soakp: another process holds the database/ })
      holder.kill('SIGKILL')
      await once(holder, 'exit')
    })
    t.match(await home.json(['key', 'show', id]), { state: 'active' })

    const bytes = readFileSync(file)
    for (const name of ['-wal', '-shm']) rmSync(`${file}${name}`, { force: true })
    const noise = Buffer.alloc(bytes.length, 7)
    writeFileSync(file, noise)
    t.match(await home.run(['key', 'list']), { code: 65, stderr: /^soakp: the database is damaged/ })
    t.same(readFileSync(file), noise)
    rmSync(file)
    t.match(await home.run(['key', 'list']), { code: 69, stderr: /no database at/ })
    t.notOk(existsSync(file), 'no empty one in its place')
    writeFileSync(file, bytes)
    chmodSync(join(home.dir, 'keys.json'), 0o600)
    const keys = readFileSync(join(home.dir, 'keys.json'), 'utf8')
    writeFileSync(join(home.dir, 'keys.json'), keys.slice(0, 100))
    t.match(await home.run(['key', 'list']), { code: 65, stderr: /keys\.json/ })
    writeFileSync(join(home.dir, 'keys.json'), keys)
    chmodSync(join(home.dir, 'master.key'), 0o444)
    t.match(await home.run(['key', 'list']), { code: 74, stderr: /chmod 400/ })
    chmodSync(join(home.dir, 'master.key'), 0o400)
    t.match(await home.json(['key', 'list']), [{ id }])
  },
)

t.test('a reader that goes away ends a command quietly', async t => {
  const home = await makeHome(t)
  const script = `"$1" "$2" help key | head -c 1 >/dev/null; exit "\${PIPESTATUS[0]}"`
  const child = spawn('bash', ['-c', script, 'bash', process.execPath, launcher], { env: home.env, stdio: ['ignore', 'pipe', 'pipe'] })
  let stderr = ''
  child.stderr.on('data', text => {
    stderr += text
  })
  t.same(await once(child, 'close'), [0, null])
  t.equal(stderr, '')
})

t.test('without a build, the launcher says what to run', async t => {
  const dir = t.testdir({ bin: {}, 'package.json': '{"type":"module"}' })
  copyFileSync(launcher, join(dir, 'bin/soakp.js'))
  t.match(await runNode([join(dir, 'bin/soakp.js')], process.env), { code: 1, stdout: '', stderr: /npm run build/ })
})
