import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { findLineage } from '../../src/tls/lineage.js'
import { lackingCertbot, rfc2136Ini } from '../support/acme/certbot.js'
import { startBed } from '../support/acme/index.js'
import { until } from '../support/until.js'

t.test('the service that runs Certbot', { skip: lackingCertbot() }, async t => {
  // Certbot asks once more after a refused nonce, and then gives up
  const bed = await startBed(t, { pebble: { nonceRejects: 0 } })
  const home = join(bed.folder, 'certbot')
  const certs = join(bed.folder, 'certs')
  const configDir = join(home, 'etc')
  const ini = join(bed.folder, 'certbot.ini')
  for (const folder of [certs, join(home, '.config', 'letsencrypt')]) mkdirSync(folder, { recursive: true })
  writeFileSync(ini, rfc2136Ini(bed.bind), { mode: 0o600 })
  // in a container these are the volumes; here Certbot is told by its own file of options
  const places = `config-dir = ${configDir}\nwork-dir = ${home}/work\nlogs-dir = ${home}/logs\n`
  writeFileSync(join(home, '.config', 'letsencrypt', 'cli.ini'), places)
  const env = {
    PATH: process.env.PATH,
    HOME: home,
    REQUESTS_CA_BUNDLE: bed.caFile,
    NO_PROXY: '*',
    CERTS: certs,
    CERTBOT_CONFIG_DIR: configDir,
    CERTBOT_CREDENTIALS_FILE: ini,
    CERTBOT_DNS: 'rfc2136',
    CERTBOT_DOMAINS: '*.example.test, example.test',
    CERTBOT_SERVER: bed.pebble.directoryUrl,
    CERTBOT_PROPAGATION_SECONDS: '1',
  }

  function start(args: readonly string[], more: Readonly<Record<string, string>> = {}) {
    const child = spawn('python3', [join(process.cwd(), 'docker/certbot.py'), ...args], { env: { ...env, ...more } })
    let said = ''
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding('utf8').on('data', (text: string) => {
        said += text
      })
    }
    t.teardown(() => child.kill('SIGKILL'))
    return { child, said: () => said, ended: once(child, 'close').then(([code]) => code as number | null) }
  }

  const version = () => findLineage(certs, 'example.test')?.version

  await t.test('issues what is not there, hands it over, and the next time finds nothing to do', async t => {
    for (let turn = 0; turn < 2; turn++) {
      const run = start(['--once'])
      t.equal(await run.ended, 0, run.said())
      t.equal(version(), 1)
    }
  })

  await t.test('hands over again what was lost on the way', async t => {
    rmSync(join(certs, 'live'), { recursive: true })
    t.equal(version(), undefined)
    const run = start(['--once'])
    t.equal(await run.ended, 0, run.said())
    t.ok(version())
  })

  await t.test('goes on until it is told to end, and then ends with 0', async t => {
    const run = start([])
    await until(() => run.said().includes('looking again in'), 'the end of a turn', run.said, 60_000)
    run.child.kill('SIGTERM')
    t.equal(await run.ended, 0)
  })

  await t.test('what is missing is said in a sentence', async t => {
    const nameless = start([], { CERTBOT_DOMAINS: '' })
    t.equal(await nameless.ended, 1)
    t.match(nameless.said(), /CERTBOT_DOMAINS is empty/)
    const folder = start([], { CERTBOT_CREDENTIALS_FILE: certs })
    t.equal(await folder.ended, 1)
    t.match(folder.said(), /credentials .* is not there/)
  })
})
