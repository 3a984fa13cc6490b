import { spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { chownSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { freePort } from '../support/daemon.js'
import { until } from '../support/until.js'

interface Started {
  readonly pid: number
  output(): string
  stop(): Promise<number | null>
  readonly exited: Promise<number | null>
}

interface Teardown {
  teardown(handler: () => unknown): unknown
}

/** A program of `docker/`, in an environment as a container's. */
function start(t: Teardown, file: string, args: readonly string[], env: Readonly<Record<string, string>>, uid?: number): Started {
  const child = spawn(process.execPath, [join(process.cwd(), 'docker', file), ...args], {
    env: { PATH: process.env.PATH, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
    ...(uid === undefined ? {} : { uid, gid: uid }),
  })
  let output = ''
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (text: string) => {
      output += text
    })
  }
  const exited = once(child, 'close').then(([code]) => code as number | null)
  t.teardown(async () => {
    if (child.exitCode === null && child.signalCode === null) child.kill('SIGKILL')
    await exited
  })
  return {
    pid: child.pid ?? 0,
    output: () => output,
    stop() {
      child.kill('SIGTERM')
      return exited
    },
    exited,
  }
}

const listening = (started: Started) => until(() => started.output().includes('"msg":"listening"'), 'the daemon', started.output, 60_000)
const digest = (file: string) => createHash('sha256').update(readFileSync(file)).digest('hex')

t.test('the container’s process 1', async t => {
  const home = join(t.testdir(), 'home')
  mkdirSync(home, { mode: 0o700 })
  const env = { SOAKP_HOME: home, SOAKP_PORT: String(await freePort()) }
  const kept = ['master.key', 'keys.json', '.env', 'certs/local/ca.pem']

  await t.test('the first start makes a home, says what to do next and where the master key is, shows no secret, and serves', async t => {
    const first = start(t, 'entry.mjs', [], env)
    await listening(first)
    t.match(first.output(), /master\.key; copy it to a safe place/)
    t.match(first.output(), /docker compose exec soakp soakp key add openai/)
    t.notMatch(first.output(), readFileSync(join(home, 'master.key'), 'utf8').trim().slice(0, 12))
    t.notMatch(first.output(), /PRIVATE KEY/)
    const health = start(t, 'health.mjs', [], env)
    t.equal(await health.exited, 0, health.output())
    t.equal(await first.stop(), 0)
  })

  await t.test('stopped, it is not healthy, and the check says why', async t => {
    const health = start(t, 'health.mjs', [], env)
    t.equal(await health.exited, 1)
    t.match(health.output(), /ECONNREFUSED/)
  })

  await t.test('the second start overwrites nothing and has nothing to tell', async t => {
    const before = kept.map(file => digest(join(home, file)))
    const second = start(t, 'entry.mjs', ['serve'], env)
    await listening(second)
    t.equal(await second.stop(), 0)
    t.same(
      kept.map(file => digest(join(home, file))),
      before,
    )
    t.notMatch(second.output(), /^soakp: /m)
  })

  await t.test('commands of soakp are run as they are, with their exit codes', async t => {
    const listed = start(t, 'entry.mjs', ['--json', 'key', 'list'], env)
    t.equal(await listed.exited, 0)
    t.same(JSON.parse(listed.output()), [])
    t.equal(await start(t, 'entry.mjs', ['key', 'show', 'key_none'], env).exited, 66)
  })

  await t.test('local-ca puts the CA’s certificate where the host can read it, and nothing else', async t => {
    const exported = start(t, 'entry.mjs', ['local-ca'], env)
    t.equal(await exported.exited, 0, exported.output())
    const file = join(home, 'certs', 'local-ca.pem')
    t.equal(digest(file), digest(join(home, 'certs/local/ca.pem')))
    t.equal(statSync(file).mode & 0o777, 0o644)
    t.match(exported.output(), /curl --cacert certs\/local-ca\.pem/)
  })
})

t.test('told to end while it makes the home, it ends at once with 0, and the next start completes what is missing', async t => {
  const home = join(t.testdir(), 'home')
  mkdirSync(home, { mode: 0o700 })
  const env = { SOAKP_HOME: home, SOAKP_PORT: String(await freePort()) }
  const early = start(t, 'entry.mjs', [], env)
  await until(() => existsSync(join(home, '.env')), 'the first file of the home')
  t.equal(await early.stop(), 0)
  t.notMatch(early.output(), /listening/)
  const next = start(t, 'entry.mjs', [], env)
  await listening(next)
  t.equal(await next.stop(), 0)
})

t.test('a master key that is given is used and kept out of the home', async t => {
  const home = join(t.testdir(), 'home')
  mkdirSync(home, { mode: 0o700 })
  const env = { SOAKP_HOME: home, SOAKP_PORT: String(await freePort()), SOAKP_MASTER_KEY: 'c0ffee11'.repeat(7).concat('deadbeef') }
  const started = start(t, 'entry.mjs', [], env)
  await listening(started)
  t.equal(await started.stop(), 0)
  t.match(started.output(), /the master key is the one that was given/)
  t.notMatch(started.output(), /c0ffee11/)
  t.notOk(statSync(join(home, 'master.key'), { throwIfNoEntry: false }))
})

const rootOnly = process.getuid?.() === 0 ? false : 'only root can start a process as somebody else'

t.test('a folder that was mounted and belongs to another is named, with the command that mends it', { skip: rootOnly }, async t => {
  const folder = mkdtempSync(join(tmpdir(), 'soakp-home-'))
  t.teardown(() => rmSync(folder, { recursive: true, force: true }))
  const somebody = 65_534
  chownSync(folder, somebody, somebody)
  mkdirSync(join(folder, 'certs'), { mode: 0o755 })
  const refused = start(t, 'entry.mjs', [], { SOAKP_HOME: folder, SOAKP_PORT: '1' }, somebody)
  t.not(await refused.exited, 0)
  t.match(refused.output(), `${folder}/certs belongs to 0:0, and soakp runs as 65534:65534 here; on the host: sudo chown 65534:65534`)
})
