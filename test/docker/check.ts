// `npm run docker:check`: builds the image and runs the services of docker-compose.yml in an engine. Not one of the suites: CI has no engine.
import { execFile } from 'node:child_process'
import { X509Certificate } from 'node:crypto'
import { chmodSync, chownSync, cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { connect } from 'node:tls'
import { parseArgs } from 'node:util'
import { rfc2136Ini } from '../support/acme/certbot.js'
import { type AcmeBed, startBed } from '../support/acme/index.js'
import { call } from '../support/clients.js'
import { freePort } from '../support/daemon.js'
import { until } from '../support/until.js'

const help = `npm run docker:check -- [options]

  --host-network         containers share the network of the host: for an engine without a bridge
  --network-of-build N   network of the build, such as host
  --no-build             the image soakp:local is there already
  --certbot-image NAME   also issue and renew by the service certbot in this image (it needs the plugin rfc2136), and by soakp itself, at a
                         Pebble on this host: with --host-network; needs pebble and bind9
  --keep                 leave containers and volumes
`

const { values: options } = parseArgs({
  options: {
    'host-network': { type: 'boolean', default: false },
    'network-of-build': { type: 'string' },
    'no-build': { type: 'boolean', default: false },
    'certbot-image': { type: 'string' },
    keep: { type: 'boolean', default: false },
    help: { type: 'boolean', default: false },
  },
})

const root = process.cwd()
const project = mkdtempSync(join(tmpdir(), 'soakp-docker-'))
const docker = ['/usr/bin/docker', '/usr/local/bin/docker'].find(existsSync) ?? 'docker'
let compose: readonly string[] = [docker, 'compose']
let environment: Record<string, string> = {}

function run(command: readonly string[], allowed = false): Promise<{ code: number; out: string }> {
  const [file = '', ...args] = command
  return new Promise((resolve, reject) => {
    const env = { ...process.env, DOCKER_BUILDKIT: process.env.DOCKER_BUILDKIT ?? '0', ...environment }
    const child = execFile(file, args, { cwd: project, env, maxBuffer: 2 ** 26, timeout: 1_800_000 }, (error, stdout, stderr) => {
      const out = `${stdout}${stderr}`
      if (error && !allowed) reject(new Error(`${command.join(' ')}:\n${out}`))
      else resolve({ code: child.exitCode ?? -1, out })
    })
    child.stdin?.end()
  })
}

/** Standard output and standard error of a Compose command. */
const up = async (...args: readonly string[]) => (await run([...compose, ...args])).out
const soakp = (...args: readonly string[]) => up('exec', '-T', 'soakp', 'soakp', ...args)

function ok(holds: unknown, what: string): void {
  if (!holds) throw new Error(`not so: ${what}`)
  process.stdout.write(`ok    ${what}\n`)
}

/** The compose file as it is, in a project of its own; where there is no bridge, with the host's network in place of ports. */
function makeProject(port: number): void {
  cpSync(join(root, 'docker'), join(project, 'docker'), { recursive: true })
  mkdirSync(join(project, 'certs'))
  const text = readFileSync(join(root, 'docker-compose.yml'), 'utf8')
  const networked = options['host-network']
    ? text
        .replace(/^ {4}ports:\n(?: {6}.*\n)+/m, '')
        .replace('    hostname: soakp\n    restart', '    hostname: soakp\n    network_mode: host\n    restart')
        .replace('    profiles: [certbot]\n', '    profiles: [certbot]\n    network_mode: host\n')
        .replace('      SOAKP_PUBLIC_URL:\n', `      SOAKP_PUBLIC_URL:\n      SOAKP_PORT: "${port}"\n`)
    : text
  writeFileSync(join(project, 'docker-compose.yml'), networked.replaceAll('context: .', `context: ${root}`))
  environment = { PUBLISH: `127.0.0.1:${port}:3033`, COMPOSE_PROJECT_NAME: 'soakpcheck' }
}

async function build(): Promise<void> {
  if (options['no-build']) return
  const network = options['network-of-build'] === undefined ? [] : ['--network', options['network-of-build']]
  await run([docker, 'build', ...network, '-f', join(root, 'docker/Dockerfile'), '-t', 'soakp:local', root])
}

const container = async (service: string) => (await up('ps', '-q', service)).trim().split('\n').at(-1) ?? ''

const inspect = async (id: string, format: string) => (await run([docker, 'inspect', '-f', format, id])).out.trim()

const healthy = async () => {
  const id = await container('soakp')
  await until(
    async () => (await inspect(id, '{{.State.Health.Status}}')) === 'healthy',
    'the container to be healthy',
    () => '',
    120_000,
  )
  return id
}

async function basics(port: number): Promise<void> {
  await up('up', '-d', '--no-build', 'soakp')
  const id = await healthy()
  ok(true, 'the container is healthy')
  ok((await up('exec', '-T', 'soakp', 'id', '-u')).trim() === '1000', 'it runs as uid 1000')
  ok((await inspect(id, '{{.HostConfig.ReadonlyRootfs}} {{.HostConfig.CapDrop}}')) === 'true [ALL]', 'read-only root, no capabilities')
  ok((await run([...compose, 'exec', '-T', 'soakp', 'touch', '/opt/soakp/x'], true)).code !== 0, 'nothing can be written beside the home')
  const said = await up('run', '--rm', 'local-ca')
  ok(said.includes('certs/local-ca.pem'), 'local-ca says how to trust the CA')
  const ca = readFileSync(join(project, 'certs/local-ca.pem'), 'utf8')
  await up('exec', '-T', 'soakp', 'sh', '-c', 'echo any-text-will-do | soakp key add sandbox --stdin')
  const { token } = JSON.parse(await soakp('--json', 'token', 'create', '--provider', 'sandbox')) as { token: string }
  const body = JSON.stringify({ model: 'sandbox', messages: [{ role: 'user', content: 'hello' }] })
  const ask = async () => (await call({ port, ca }, { path: '/sandbox/v1/chat/completions', token, body })).status
  ok((await ask()) === 200, 'a call through it, trusting the CA that local-ca gave')
  const key = (await up('exec', '-T', 'soakp', 'cat', '/var/lib/soakp/master.key')).trim()
  ok(key.length === 64 && !(await up('logs', 'soakp')).includes(key.slice(0, 16)), 'no master key in the log')
  ok(!(await soakp('doctor')).includes('fail '), 'doctor finds no fault')
  await up('exec', '-T', 'soakp', 'soakp', 'backup', '/var/lib/soakp/check.backup')
  await run([docker, 'cp', `${id}:/var/lib/soakp/check.backup`, project])
  ok(existsSync(join(project, 'check.backup')), 'a backup comes out')

  await up('stop', 'soakp')
  ok((await inspect(id, '{{.State.ExitCode}}')) === '0', 'SIGTERM ends it with 0')
  await up('rm', '-f', 'soakp')
  await up('up', '-d', '--no-build', 'soakp')
  await healthy()
  ok((await ask()) === 200, 'a new container goes on with the same home: the old token opens it, the old CA is trusted')
  const [row] = JSON.parse(await soakp('--json', 'usage')) as { calls: number }[]
  ok(row?.calls === 2, 'and the ledger has both calls')
}

function shown(port: number, servername: string): Promise<string> {
  return new Promise(resolve => {
    const socket = connect({ host: '127.0.0.1', port, servername, rejectUnauthorized: false })
    socket.once('secureConnect', () => {
      resolve(socket.getPeerCertificate().serialNumber)
      socket.destroy()
    })
    socket.once('error', () => resolve(''))
  })
}

async function served(port: number, name: string, before: string): Promise<string> {
  let serial = ''
  await until(
    async () => {
      serial = await shown(port, name)
      const file = join(project, 'certs/live', name, 'cert.pem')
      return serial !== before && existsSync(file) && new X509Certificate(readFileSync(file)).serialNumber === serial
    },
    `a new certificate for ${name}`,
    () => serial,
    120_000,
  )
  return serial
}

/** What both have to trust is beside the certificates. */
async function certificates(port: number, bed: AcmeBed, image: string): Promise<void> {
  cpSync(bed.caFile, join(project, 'certs/pebble.pem'))
  chmodSync(join(project, 'certs/pebble.pem'), 0o644)
  writeFileSync(join(project, 'certbot.ini'), rfc2136Ini(bed.bind), { mode: 0o600 })
  Object.assign(environment, {
    CERTBOT_IMAGE: image,
    CERTBOT_DNS: 'rfc2136',
    CERTBOT_DOMAINS: 'example.test,*.example.test',
    CERTBOT_SERVER: bed.pebble.directoryUrl,
    CERTBOT_PROPAGATION_SECONDS: '1',
  })
  const file = join(project, 'docker-compose.yml')
  const text = readFileSync(file, 'utf8')
  writeFileSync(file, text.replace('      CERTBOT_DOMAINS:', '      REQUESTS_CA_BUNDLE: /certs/pebble.pem\n      CERTBOT_DOMAINS:'))
  const id = await container('soakp')
  const before = await shown(port, 'example.test')
  await up('--profile', 'certbot', 'up', '-d', '--no-build', 'certbot')
  const issued = await served(port, 'example.test', before)
  ok(true, 'what the service certbot issues is served')
  await up('--profile', 'certbot', 'exec', '-T', 'certbot', 'certbot', 'renew', '--force-renewal', '--no-random-sleep-on-renew', '-q')
  await served(port, 'example.test', issued)
  ok((await container('soakp')) === id && (await inspect(id, '{{.RestartCount}}')) === '0', 'what it renews is served, without a restart')
  const certbot = await container('certbot')
  await up('--profile', 'certbot', 'stop', 'certbot')
  ok((await inspect(certbot, '{{.State.ExitCode}}')) === '0', 'SIGTERM ends the service certbot with 0')

  cpSync(bed.bind.keyFile, join(project, 'certs/tsig.key'))
  chownSync(join(project, 'certs/tsig.key'), 1000, 1000)
  const own = ['SOAKP_ACME_CA_FILE=pebble.pem', `SOAKP_DNS_RESOLVERS=${bed.bind.server}`, `SOAKP_DNS_NAME_SERVER_PORT=${bed.bind.port}`]
  const dns = [`DNSUPDATE_NAMESERVER=${bed.bind.server}`, 'DNSUPDATE_TSIG_FILE=/var/lib/soakp/certs/tsig.key']
  const env = [...own, ...dns].flatMap(each => ['-e', each.replace('=pebble.pem', '=/var/lib/soakp/certs/pebble.pem')])
  const command = (...args: readonly string[]) => up('exec', '-T', ...env, 'soakp', 'soakp', 'cert', ...args)
  const old = await shown(port, 'ai.sub.example.test')
  await command('issue', '--dns', 'rfc2136', '--server', bed.pebble.directoryUrl, '--agree-tos', '-d', 'ai.sub.example.test')
  const first = await served(port, 'ai.sub.example.test', old)
  ok(true, 'what `soakp cert issue` gets in the container is served')
  await command('renew', '--force', '--no-jitter', '--cert-name', 'ai.sub.example.test')
  await served(port, 'ai.sub.example.test', first)
  ok(true, 'and so is what `soakp cert renew` gets')
}

async function main(): Promise<void> {
  const endings: (() => unknown)[] = []
  const port = await freePort()
  makeProject(port)
  if ((await run([...compose, 'version'], true)).code !== 0) compose = ['docker-compose']
  try {
    await build()
    const size = Number(await inspect('soakp:local', '{{.Size}}'))
    ok(size > 0, `the image is there: ${Math.round(size / 1e6)} MB`)
    await basics(port)
    const image = options['certbot-image']
    if (image !== undefined)
      await certificates(port, await startBed({ teardown: work => void endings.unshift(work) }, { pebble: { nonceRejects: 0 } }), image)
  } catch (error) {
    process.stdout.write((await run([...compose, '--profile', 'certbot', 'logs', '--tail', '40'], true)).out)
    throw error
  } finally {
    for (const work of endings) await work()
    if (!options.keep) {
      await run([...compose, '--profile', 'certbot', 'down', '-v'], true)
      rmSync(project, { recursive: true, force: true })
    }
  }
}

if (options.help) process.stdout.write(help)
else
  main().then(
    () => process.exit(0),
    error => {
      process.stdout.write(`FAILED ${error instanceof Error ? error.message : error}\n`)
      process.exit(1)
    },
  )
