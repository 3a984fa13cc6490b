import { execFile } from 'node:child_process'
import { X509Certificate } from 'node:crypto'
import { chmodSync, chownSync, lstatSync, mkdirSync, readdirSync, readFileSync, readlinkSync, statSync, symlinkSync } from 'node:fs'
import { join } from 'node:path'
import { connect } from 'node:tls'
import t from 'tap'
import { findLineage } from '../../src/tls/lineage.js'
import { lackingCertbot, makeCertbot } from '../support/acme/certbot.js'
import { startBed } from '../support/acme/index.js'
import { chatAsk, open } from '../support/clients.js'
import type { Daemon } from '../support/daemon.js'
import { endlessSse, openaiEvent } from '../support/scripts.js'
import { makeStage } from '../support/stage.js'
import { until } from '../support/until.js'

const skip = lackingCertbot()
const hook = join(process.cwd(), 'docker/certbot-deploy.py')

/** The serial number that a client is shown which asks for this name and trusts Pebble's root alone; throws where it would not trust what it is shown. */
function shown(daemon: Daemon, servername: string, ca: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host: '127.0.0.1', port: daemon.port, servername, ca })
    socket.once('secureConnect', () => {
      resolve(socket.getPeerCertificate().serialNumber)
      socket.destroy()
    })
    socket.once('error', reject)
  })
}

const served = (daemon: Daemon, servername: string, ca: string, serial: string) =>
  until(
    async () => (await shown(daemon, servername, ca).catch(() => '')) === serial,
    `certificate ${serial} for ${servername}`,
    daemon.output,
  )

const serialIn = (file: string) => new X509Certificate(readFileSync(file)).serialNumber

/** Runs the deploy hook as Certbot does. */
function deploy(certs: string, lineage: string): Promise<{ code: number; said: string }> {
  return new Promise(resolve => {
    const child = execFile('python3', [hook, certs], { env: { PATH: process.env.PATH, RENEWED_LINEAGE: lineage } }, (_error, out, said) =>
      resolve({ code: child.exitCode ?? -1, said: `${out}${said}` }),
    )
  })
}

/** Certbot asks once more after a refused nonce, and then gives up. */
const patient = { nonceRejects: 0 }

t.test('Certbot that keeps its certificates in certs/ of the home', { skip }, async t => {
  const bed = await startBed(t, { pebble: patient })
  const { daemon, home, upstream, token } = await makeStage(t)
  const root = await bed.pebble.root()
  const certs = join(home.dir, 'certs')
  const live = join(certs, 'live', 'example.test')
  const certbot = makeCertbot({ folder: join(bed.folder, 'certbot'), configDir: certs, bed })

  await t.test('what it issues, apex and wildcard, is served to those who ask for its names, without a restart', async t => {
    await certbot.certonly('example.test', ['example.test', '*.example.test'])
    const serial = serialIn(join(live, 'cert.pem'))
    await served(daemon, 'example.test', root, serial)
    t.equal(await shown(daemon, 'web.example.test', root), serial)
    t.ok(lstatSync(join(live, 'privkey.pem')).isSymbolicLink(), 'links of its own')
    t.equal(findLineage(certs, 'example.test')?.keptBy, 'other')
  })

  await t.test(
    'a renewal while a stream runs is served to new connections, every handshake meanwhile is good, and the stream loses nothing',
    async t => {
      const word = (index: number) => openaiEvent(`word ${index} `)
      upstream.use(endlessSse(word, () => new Promise(resolve => setTimeout(resolve, 5))))
      const reply = await open(daemon, chatAsk(token, { stream: true }))
      let text = ''
      reply.setEncoding('utf8').on('data', part => {
        text += part
      })
      const before = serialIn(join(live, 'cert.pem'))
      let done = false
      const seen = new Set<string>()
      const broken: unknown[] = []
      const looking = (async () => {
        // a handshake with a key that is not the certificate's fails
        while (!done)
          await shown(daemon, 'example.test', root).then(
            serial => seen.add(serial),
            error => broken.push(error),
          )
      })()
      let after = before
      try {
        await certbot.run('renew', '--force-renewal', '--no-random-sleep-on-renew')
        after = serialIn(join(live, 'cert.pem'))
        await served(daemon, 'example.test', root, after)
      } finally {
        done = true
        await looking
      }
      t.same(broken, [])
      t.not(after, before)
      t.same(
        [...seen].filter(serial => serial !== before && serial !== after),
        [],
      )
      const events = text.split('\n\n').slice(0, -1)
      t.ok(events.length > 20, `${events.length} events`)
      t.same(
        events,
        events.map((_, index) => word(index).trimEnd()),
      )
      t.equal(readlinkSync(join(live, 'privkey.pem')), '../../archive/example.test/privkey2.pem')
      reply.destroy()
    },
  )
})

t.test('Certbot with a folder of its own, and the deploy hook', { skip }, async t => {
  const bed = await startBed(t, { pebble: patient })
  const { daemon, home } = await makeStage(t)
  const root = await bed.pebble.root()
  const certs = join(home.dir, 'certs')
  const configDir = join(bed.folder, 'letsencrypt')
  const lineage = join(configDir, 'live', 'ai.example.test')
  const certbot = makeCertbot({ folder: join(bed.folder, 'certbot'), configDir, bed })

  await t.test('issued and renewed certificates are copied and served; the daemon reads its own copy alone', async t => {
    await certbot.certonly('ai.example.test', ['ai.example.test'], '--deploy-hook', `${hook} ${certs}`)
    const first = serialIn(join(lineage, 'cert.pem'))
    await served(daemon, 'ai.example.test', root, first)
    await certbot.run('renew', '--force-renewal', '--no-random-sleep-on-renew')
    const second = serialIn(join(lineage, 'cert.pem'))
    t.not(second, first)
    await served(daemon, 'ai.example.test', root, second)
    const found = findLineage(certs, 'ai.example.test')
    t.equal(found?.version, 2)
    t.equal(statSync(found?.files.privkey ?? '').mode & 0o777, 0o600)
    t.equal(statSync(join(certs, 'archive', 'ai.example.test', '2')).mode & 0o777, 0o700)
    t.notMatch(daemon.output(), /not usable/)
  })

  await t.test('the hook run again with nothing new changes nothing', async t => {
    const before = findLineage(certs, 'ai.example.test')?.version
    const { code, said } = await deploy(certs, lineage)
    t.same([code, said], [0, ''])
    t.equal(findLineage(certs, 'ai.example.test')?.version, before)
  })

  await t.test('a name that another program keeps, or that is the local CA’s, is refused', async t => {
    const foreign = join(t.testdir(), 'certs')
    mkdirSync(join(foreign, 'live', 'ai.example.test'), { recursive: true })
    const refused = await deploy(foreign, lineage)
    t.equal(refused.code, 1)
    t.match(refused.said, /kept by another program/)
    const local = join(t.testdir(), 'localhost')
    mkdirSync(local)
    t.match((await deploy(certs, local)).said, /cannot name a certificate/)
  })

  const rootOnly = process.getuid?.() === 0 ? false : 'only root can give files away'

  await t.test('the copy belongs to whoever owns certs/, and root follows no link that its owner laid', { skip: rootOnly }, async t => {
    const nobody = 65_534
    const [mine, trapped, roots] = ['mine', 'trapped', 'roots'].map(name => join(bed.folder, name)) as [string, string, string]
    chmodSync(bed.folder, 0o755)
    for (const folder of [mine, trapped, roots]) mkdirSync(folder, { mode: 0o755 })
    mkdirSync(join(trapped, 'archive'))
    symlinkSync(roots, join(trapped, 'archive', 'ai.example.test'))
    for (const folder of [mine, trapped, join(trapped, 'archive')]) chownSync(folder, nobody, nobody)

    t.equal((await deploy(mine, lineage)).code, 0)
    const { uid, gid, mode } = statSync(findLineage(mine, 'ai.example.test')?.files.privkey ?? '')
    t.same([uid, gid, mode & 0o777], [nobody, nobody, 0o600])
    const { code, said } = await deploy(trapped, lineage)
    t.equal(code, 1)
    t.match(said, /Permission denied/)
    t.same(readdirSync(roots), [])
    t.equal(statSync(roots).uid, 0)
  })
})
