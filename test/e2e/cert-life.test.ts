import { execFile, spawn } from 'node:child_process'
import { X509Certificate } from 'node:crypto'
import { once } from 'node:events'
import { existsSync, mkdirSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { connect } from 'node:tls'
import { promisify } from 'node:util'
import t from 'tap'
import { type CertHome, makeCertHome } from '../support/acme/home.js'
import { lacking, programPath, startBed, startPebble, temporaryFolder } from '../support/acme/index.js'
import { chatAsk, open } from '../support/clients.js'
import { type Daemon, launcher } from '../support/daemon.js'
import { endlessSse, openaiEvent } from '../support/scripts.js'
import { within as bounded, deferred, until as poll } from '../support/until.js'
import { startUpstream } from '../support/upstream.js'

const skip = lacking('pebble', 'named', 'nsupdate', 'openssl')

/** Processes, a CA and a name server share what machine there is. */
const patienceMs = 120_000
const until = (condition: () => boolean | Promise<boolean>, what: string, state: () => unknown = () => '') =>
  poll(condition, what, state, patienceMs)
const within = <T>(promise: Promise<T>, what: string) => bounded(promise, what, patienceMs)

/** Serial number of the certificate that a client is shown who asks for this name. */
function shown(daemon: Daemon, servername: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host: '127.0.0.1', port: daemon.port, rejectUnauthorized: false, servername })
    socket.once('secureConnect', () => {
      resolve(socket.getPeerCertificate().serialNumber ?? '')
      socket.destroy()
    })
    socket.once('error', reject)
  })
}

const onDisk = ({ certs }: CertHome, name = 'web.example.test') =>
  new X509Certificate(readFileSync(join(certs, 'live', name, 'cert.pem'))).serialNumber

t.test('certificates while processes come and go', { skip }, async t => {
  const bed = await startBed(t)
  const { proxy } = bed
  const http = ['--http', '--http-port', String(bed.pebble.httpPort)]
  const ordersMade = () => bed.pebble.log().split('Added order').length
  t.afterEach(() => {
    proxy.clearFaults()
    proxy.renewalInfo(undefined)
    proxy.onAnswer = undefined
  })

  /** A command in a process of its own, stopped when the CA has answered `line`. */
  async function stopAt(home: CertHome, args: readonly string[], line: string, signal: NodeJS.Signals): Promise<number | string> {
    const child = spawn(process.execPath, [launcher, ...args], { env: home.far.env, stdio: 'ignore' })
    const ended = once(child, 'exit').then(([code, by]) => (code ?? by) as number | string)
    proxy.onAnswer = async heard => {
      if (!heard.startsWith(line)) return
      child.kill(signal)
      if (signal === 'SIGKILL') await ended
    }
    const how = await within(ended, 'the command')
    proxy.onAnswer = undefined
    return how
  }

  t.test('a daemon that runs serves what is issued and renewed, and a stream that runs meanwhile loses nothing', async t => {
    const home = await makeCertHome(t, bed)
    const wanted = (at: number) => openaiEvent(`word ${at} `)
    const upstream = await startUpstream(endlessSse(wanted, () => new Promise(resolve => setTimeout(resolve, 5))))
    t.teardown(() => upstream.close())
    await home.far.addKey('openai', { secret: 'sk-test-of-a-stream-0000', baseUrl: upstream.url })
    const { token } = await home.far.createToken(['--provider', 'openai'])
    const daemon = await home.far.serve()
    const reply = await open(daemon, chatAsk(token, { stream: true }))
    let text = ''
    reply.setEncoding('utf8').on('data', part => {
      text += part
    })
    for (const args of [home.issue(['web.example.test'], http), ['cert', 'renew', '-q', '--force']]) {
      const ran = await home.far.run(args)
      t.equal(ran.code, 0, ran.stderr)
      await until(async () => (await shown(daemon, 'web.example.test')) === onDisk(home), 'the new certificate')
    }
    const length = text.length
    await until(() => text.length > length + 1000, 'more of the stream')
    const events = text.split('\n\n').slice(0, -1)
    t.ok(events.length > 20)
    t.same(
      events,
      events.map((_, at) => wanted(at).trimEnd()),
    )
    reply.destroy()
  })

  t.test('the daemon renews by itself what a command issued, when the CA wishes it', async t => {
    const home = await makeCertHome(t, bed, { SOAKP_CERT_CHECK: '1s' })
    proxy.renewalInfo({ start: new Date(Date.now() - 2_000).toISOString(), end: new Date(Date.now() - 1_000).toISOString() })
    await home.near.json(home.issue(['web.example.test'], http))
    const before = onDisk(home)
    const daemon = await home.far.serve()
    await until(async () => (await shown(daemon, 'web.example.test')) !== before, 'a renewed certificate', daemon.output)
    proxy.renewalInfo(undefined)
    t.match(daemon.output(), /"msg":"a certificate was renewed"/)
    t.equal(await within(daemon.stop(), 'the daemon'), 0)
  })

  t.test('of two renewals at once one does the work and the other says so, also where one is the daemon', async t => {
    const home = await makeCertHome(t, bed, { SOAKP_CERT_CHECK: '1s' })
    await home.near.json(home.issue(['web.example.test'], http))
    const orders = ordersMade()
    const gate = deferred()
    const atWork = deferred()
    proxy.onAnswer = async line => {
      if (!line.startsWith('POST /finalize')) return
      atWork.resolve()
      await gate.promise
    }
    const first = home.far.run(['cert', 'renew', '--force'])
    await within(atWork.promise, 'the first renewal')
    const second = await home.far.run(['cert', 'renew', '--force'])
    t.match(second, { code: 75, stderr: /another process is working on the certificates.*It is process \d+/i })
    t.same(await home.far.run(['cert', 'renew', '-q', '--force']), { code: 75, stdout: '', stderr: '' }, 'cron is not told')
    const daemon = await home.far.serve({ env: { SOAKP_LOG_LEVEL: 'debug' } })
    await until(() => daemon.output().includes('another process works on the certificates'), 'the daemon to meet the lock', daemon.output)
    gate.resolve()
    t.equal((await first).code, 0)
    t.equal(ordersMade() - orders, 1)
    await until(async () => (await shown(daemon, 'web.example.test')) === onDisk(home), 'the renewed certificate')
  })

  t.test('told to end midway, a renewal leaves the old certificate and an order that the next one goes on with', async t => {
    const home = await makeCertHome(t, bed)
    await home.near.json(home.issue(['web.example.test'], http))
    const [before, orders] = [onDisk(home), ordersMade()]
    t.equal(await stopAt(home, ['cert', 'renew', '--force'], 'POST /order-plz', 'SIGTERM'), 130)
    t.equal(onDisk(home), before)
    const again = await home.far.run(['cert', 'renew', '--force'])
    t.match(again, { code: 0, stderr: /going on with the order that was begun at/ })
    t.not(onDisk(home), before)
    t.equal(ordersMade() - orders, 1)
  })

  t.test('a daemon that is told to end while it renews ends in order, and the next run goes on', async t => {
    const home = await makeCertHome(t, bed, { SOAKP_CERT_CHECK: '1s' })
    await home.near.json(home.issue(['web.example.test'], http))
    const [before, orders] = [onDisk(home), ordersMade()]
    proxy.renewalInfo({ start: new Date(Date.now() - 2_000).toISOString(), end: new Date(Date.now() - 1_000).toISOString() })
    const [atWork, gate] = [deferred(), deferred()]
    proxy.onAnswer = async line => {
      if (!line.startsWith('POST /order-plz')) return
      atWork.resolve()
      await gate.promise
    }
    const daemon = await home.far.serve()
    await within(atWork.promise, 'the daemon to renew')
    t.equal(await within(daemon.stop(), 'the daemon'), 0)
    gate.resolve()
    proxy.onAnswer = undefined
    t.equal(onDisk(home), before)
    t.match(await home.near.run(['cert', 'renew', '--no-jitter']), { code: 0, stdout: /renewed/ })
    t.equal(ordersMade() - orders, 1)
  })

  for (const line of ['POST /finalize', 'POST /certZ']) {
    t.test(`killed when the CA has answered ${line}, the next renewal fetches the certificate that was ordered`, async t => {
      const home = await makeCertHome(t, bed)
      const orders = ordersMade()
      t.equal(await stopAt(home, home.issue(['web.example.test'], http), line, 'SIGKILL'), 'SIGKILL')
      t.notOk(existsSync(join(home.certs, 'live/web.example.test')))
      t.match((await home.near.run(['cert', 'list'])).stdout, /not issued yet/)
      t.match(await home.near.run(['cert', 'renew', '--no-jitter']), { code: 0, stdout: /web\.example\.test: renewed/ })
      t.equal(ordersMade() - orders, 1)
      t.same(readdirSync(join(home.certs, 'orders')), [])
    })
  }

  t.test('what Certbot writes into the same folder is served, and can be copied', { skip: lacking('certbot') }, async t => {
    // Certbot asks once more after a refused nonce, and then gives up
    const pebble = await startPebble(bed.folder, bed.bind.server, { nonceRejects: 0 })
    t.teardown(() => pebble.stop())
    const home = await makeCertHome(t, bed)
    const daemon = await home.far.serve()
    const certbot = (folder: string, ...more: string[]) => {
      const work = temporaryFolder(t)
      const args = [
        ...['certonly', '--standalone', '--non-interactive', '--agree-tos', '--register-unsafely-without-email'],
        ...['--server', pebble.directoryUrl, '--http-01-port', String(pebble.httpPort), '-d', 'web.example.test'],
        ...['--config-dir', folder, '--work-dir', join(work, 'work'), '--logs-dir', join(work, 'logs'), ...more],
      ]
      return promisify(execFile)(programPath('certbot') ?? 'certbot', args, {
        env: { PATH: process.env.PATH, REQUESTS_CA_BUNDLE: pebble.caFile },
      })
    }
    await certbot(home.certs)
    await until(async () => (await shown(daemon, 'web.example.test')) === onDisk(home), 'Certbot’s certificate')
    await certbot(home.certs, '--force-renewal')
    await until(async () => (await shown(daemon, 'web.example.test')) === onDisk(home), 'Certbot’s next')
    t.match(await home.near.json(['cert', 'list']), [{ name: 'web.example.test', renewedBy: 'other' }])
    t.match(await home.near.run(home.issue(['web.example.test'], http)), { code: 73, stderr: /Another program keeps this one/ })
    t.match(await home.near.run(['cert', 'renew', '--no-jitter']), { code: 0 })

    const elsewhere = join(temporaryFolder(t), 'letsencrypt')
    mkdirSync(elsewhere)
    await certbot(elsewhere)
    await home.near.json(['cert', 'import', join(elsewhere, 'live/web.example.test'), '--cert-name', 'copied'])
    t.equal(onDisk(home, 'copied'), new X509Certificate(readFileSync(join(elsewhere, 'live/web.example.test/cert.pem'))).serialNumber)
    t.match(await home.near.json(['cert', 'list']), [{ name: 'copied', renewedBy: 'nobody' }, {}])
  })
})
