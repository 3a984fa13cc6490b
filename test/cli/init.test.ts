import { spawn } from 'node:child_process'
import { createHash, X509Certificate } from 'node:crypto'
import { once } from 'node:events'
import { copyFileSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { filesIn } from '../support/canary.js'
import { homeAt, launcher } from '../support/daemon.js'
import { until } from '../support/until.js'
import { nearHome } from './run.js'

/** Every file of a folder with a fingerprint of what is in it. */
function content(dir: string): Record<string, string> {
  return Object.fromEntries(filesIn(dir).map(file => [file, createHash('sha256').update(readFileSync(file)).digest('hex')]))
}

const fresh = (t: Test, settings: Record<string, string> = {}) => nearHome(join(t.testdir(), 'deep', 'home'), settings)
const mode = (file: string) => (statSync(file).mode & 0o777).toString(8)

t.test('init makes a whole home, for its owner alone, and says what must not be lost', async t => {
  const home = fresh(t)
  const { code, stdout } = await home.run(['init'])
  t.equal(code, 0)
  t.match(stdout, 'a lost master key is a lost vault')
  t.match(stdout, '--cacert')
  t.same(readdirSync(home.dir).sort(), ['.env', 'certs', 'keys.json', 'master.key', 'soakp.db'])
  t.equal(mode(home.dir), '700')
  t.equal(mode(join(home.dir, 'master.key')), '400')
  for (const name of ['.env', 'keys.json', 'soakp.db']) t.equal(mode(join(home.dir, name)), '600', name)
  t.equal((await home.run(['doctor'])).code, 0)
})

t.test('init run again changes nothing and says so', async t => {
  const home = fresh(t)
  t.equal((await home.run(['init'])).code, 0)
  const before = content(home.dir)
  const { code, stdout, stderr } = await home.run(['init'])
  t.equal(code, 73)
  t.equal(stdout, '')
  t.match(stderr, 'there is a soakp home here already')
  t.same(content(home.dir), before)
})

t.test('an init that was killed at any step is completed by the next one, which keeps what it finds', async t => {
  const steps = [
    '.env',
    'master.key',
    'keys.json',
    'soakp.db',
    'certs/local/ca-key.pem',
    'certs/local/ca.pem',
    'certs/live/localhost/privkey.pem',
  ]
  for (const step of steps) {
    const home = fresh(t)
    const { env } = homeAt(home.dir, {}, t)
    const child = spawn(process.execPath, [launcher, 'init'], { env, stdio: 'ignore' })
    await until(() => existsSync(join(home.dir, step)) || child.exitCode !== null, step)
    child.kill('SIGKILL')
    if (child.exitCode === null && child.signalCode === null) await once(child, 'exit')
    const before = content(home.dir)
    const again = await home.run(['init'])
    t.ok(again.code === 0 || again.code === 73, `${step}: ${again.code} ${again.stderr}`)
    const after = content(home.dir)
    for (const name of ['.env', 'master.key', 'keys.json', 'certs/local/ca-key.pem']) {
      const file = join(home.dir, name)
      if (file in before) t.equal(after[file], before[file], `killed at ${step}: ${name} is kept`)
    }
    t.equal((await home.run(['doctor'])).code, 0, `killed at ${step}: all is in order`)
    rmSync(home.dir, { recursive: true })
  }
})

t.test('whatever part is missing is made, or refused where the rest would be worthless without it', async t => {
  const home = fresh(t)
  t.equal((await home.run(['init'])).code, 0)
  const made = async (...names: string[]) => {
    for (const name of names) rmSync(join(home.dir, name), { recursive: true })
    return home.run(['--json', 'init'])
  }
  t.match(JSON.parse((await made('.env', 'certs')).stdout), { made: [join(home.dir, '.env'), join(home.dir, 'certs')] })
  t.match(JSON.parse((await made('soakp.db')).stdout), { made: [join(home.dir, 'soakp.db')] })
  const before = content(home.dir)
  copyFileSync(join(home.dir, 'keys.json'), join(home.dir, 'k'))
  t.match(await made('keys.json'), { code: 65, stderr: /without which it does not open/ })
  copyFileSync(join(home.dir, 'k'), join(home.dir, 'keys.json'))
  rmSync(join(home.dir, 'k'))
  copyFileSync(join(home.dir, 'master.key'), join(home.dir, 'm'))
  t.match(await made('master.key'), { code: 78, stderr: /the master key is missing/ })
  copyFileSync(join(home.dir, 'm'), join(home.dir, 'master.key'))
  rmSync(join(home.dir, 'm'))
  t.same(content(home.dir), before, 'nothing was changed meanwhile')
})

t.test('a master key that comes from elsewhere is used, never copied, and has to be a good one', async t => {
  const masterKey = createHash('sha256').update('a test').digest('hex')
  const home = fresh(t, { SOAKP_MASTER_KEY: masterKey })
  t.match(JSON.parse((await home.run(['--json', 'init'])).stdout), { masterKeyFile: null })
  t.notOk(existsSync(join(home.dir, 'master.key')))
  t.equal((await home.run(['key', 'list'])).code, 0)
  const other = nearHome(home.dir, { SOAKP_MASTER_KEY: createHash('sha256').update('another').digest('base64url') })
  t.match(await other.run(['key', 'list']), { code: 77, stderr: /not the one this vault was made with/ })
  for (const weak of ['00'.repeat(32), 'correct horse battery staple', 'abc']) {
    const refused = fresh(t, { SOAKP_MASTER_KEY: weak })
    const { code, stderr } = await refused.run(['init'])
    t.equal(code, 78)
    t.notMatch(stderr, weak)
    t.notOk(existsSync(join(refused.dir, 'keys.json')), 'and no vault is made with it')
  }
})

t.test('--domain goes into the settings and into the certificate', async t => {
  const home = fresh(t)
  t.equal((await home.run(['init', '--domain', 'soakp.example.com'])).code, 0)
  t.match(readFileSync(join(home.dir, '.env'), 'utf8'), /^SOAKP_PUBLIC_URL=https:\/\/soakp\.example\.com:3033$/m)
  const leaf = new X509Certificate(readFileSync(join(home.dir, 'certs/live/localhost/cert.pem')))
  t.ok(leaf.checkHost('soakp.example.com'))
  t.equal((await home.run(['doctor'])).code, 0)
  t.equal((await fresh(t).run(['init', '--domain', 'https://x'])).code, 2)
})

t.test('a home that cannot be made is one clear line', async t => {
  const dir = t.testdir({ file: 'x' })
  for (const place of [join(dir, 'file'), join(dir, 'file', 'below'), '/proc/nowhere']) {
    const { code, stderr } = await nearHome(place).run(['init'])
    t.equal(code, 74, place)
    t.match(stderr, /^soakp: a file cannot be read or written\. [^\n]+\n$/)
  }
  mkdirSync(join(dir, 'home'))
  writeFileSync(join(dir, 'home', '.env'), 'SOAKP_PROT=1\n', { mode: 0o600 })
  t.match(await nearHome(join(dir, 'home')).run(['init']), { code: 78, stderr: /did you mean SOAKP_PORT/ })
})
