import { mkdirSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { connect, type SecureVersion } from 'node:tls'
import t from 'tap'
import { type Bundle, installBundle } from '../../src/tls/lineage.js'
import { chatAsk, open } from '../support/clients.js'
import type { Daemon } from '../support/daemon.js'
import { makeBundle } from '../support/pairs.js'
import { endlessSse, openaiEvent } from '../support/scripts.js'
import { makeStage } from '../support/stage.js'
import { until } from '../support/until.js'

/** Names of the certificate that a client is shown who asks for this one; `''`: who asks for none. */
function shown(daemon: Daemon, servername: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect({
      host: '127.0.0.1',
      port: daemon.port,
      rejectUnauthorized: false,
      ...(servername === '' ? {} : { servername }),
    })
    socket.once('secureConnect', () => {
      resolve(socket.getPeerCertificate().subjectaltname ?? '')
      socket.destroy()
    })
    socket.once('error', reject)
  })
}

/** A TLS session to go on with another time; where one is given, whether the daemon took it up, and then not more. */
function handshake(
  daemon: Daemon,
  servername: string,
  maxVersion: SecureVersion,
  session?: Buffer,
): Promise<{ reused: boolean; session: Buffer }> {
  return new Promise((resolve, reject) => {
    const resumed = session === undefined ? {} : { session }
    const socket = connect({ host: '127.0.0.1', port: daemon.port, rejectUnauthorized: false, servername, maxVersion, ...resumed })
    const end = (given: Buffer) => {
      resolve({ reused: socket.isSessionReused(), session: given })
      socket.destroy()
    }
    if (session === undefined) socket.once('session', end)
    else socket.once('secureConnect', () => end(session))
    socket.once('error', reject)
  })
}

t.test('certificates of one daemon', async t => {
  const { daemon, home, upstream, token } = await makeStage(t)
  const certs = join(home.dir, 'certs')
  const bundle = (...names: string[]) => makeBundle(join(home.dir, 'made'), names)
  const install = async (name: string, given: Bundle) => void installBundle(certs, name, given, Date.now())
  const comes = (servername: string, wanted: string) =>
    until(async () => (await shown(daemon, servername)).includes(wanted), `the certificate of ${wanted} for ${servername || 'nobody'}`)

  await t.test(
    'a certificate that is put below live/ is served to those who ask for its names, from then on, and the local one to those who ask for localhost',
    async t => {
      t.match(await shown(daemon, 'localhost'), /DNS:localhost/)
      await install('ai.example.test', await bundle('ai.example.test'))
      await comes('ai.example.test', 'ai.example.test')
      await install('wild', await bundle('*.example.test', 'other.test'))
      await comes('other.test', 'other.test')
      t.equal(await shown(daemon, 'ai.example.test'), 'DNS:ai.example.test', 'the stated name before the wildcard')
      t.match(await shown(daemon, 'x.example.test'), /other\.test/)
      t.match(await shown(daemon, 'localhost'), /DNS:localhost/)
      t.match(await shown(daemon, ''), /example\.test/, 'who asks for nothing gets one that the world may trust')
    },
  )

  await t.test('a stream that runs while certificates change loses nothing', async t => {
    const wanted = Array.from({ length: 400 }, (_, index) => openaiEvent(`word ${index} `))
    let index = 0
    upstream.use(
      endlessSse(
        at => wanted[at % wanted.length] as string,
        () => new Promise(resolve => setTimeout(resolve, 5)),
      ),
    )
    const reply = await open(daemon, chatAsk(token, { stream: true }))
    let text = ''
    reply.setEncoding('utf8').on('data', part => {
      text += part
    })
    for (; index < 5; index++) {
      await install('ai.example.test', await bundle('ai.example.test', `turn-${index}.example.org`))
      await comes('ai.example.test', `turn-${index}.example.org`)
    }
    const seen = text.split('\n\n').filter(event => event !== '')
    t.ok(seen.length > 20, `${seen.length} events`)
    t.same(
      seen.slice(0, -1),
      seen.slice(0, -1).map((_, at) => (wanted[at % wanted.length] as string).trimEnd()),
    )
    reply.destroy()
  })

  await t.test('a session is taken up again, but not over a change of certificates: then the new one is shown', async t => {
    const versions = ['TLSv1.2', 'TLSv1.3'] as const
    const begun = await Promise.all(versions.map(version => handshake(daemon, 'other.test', version)))
    for (const [at, version] of versions.entries())
      t.ok((await handshake(daemon, 'other.test', version, begun[at]?.session)).reused, `${version}, before`)
    await install('wild', await bundle('*.example.test', 'other.test', 'newer.test'))
    await comes('other.test', 'newer.test')
    for (const [at, version] of versions.entries())
      t.notOk((await handshake(daemon, 'other.test', version, begun[at]?.session)).reused, `${version}, afterwards`)
  })

  await t.test('garbage and a key of another leave the old certificate in service, with a loud line in the log', async t => {
    const folder = join(certs, 'live', 'kept.example.test')
    const good = await bundle('kept.example.test')
    const other = await bundle('kept.example.test')
    mkdirSync(folder)
    const write = (cert: Uint8Array, key: Uint8Array) => {
      // as Certbot does it: one file after the other
      writeFileSync(join(folder, 'privkey.pem.next'), key)
      renameSync(join(folder, 'privkey.pem.next'), join(folder, 'privkey.pem'))
      writeFileSync(join(folder, 'fullchain.pem.next'), cert)
      renameSync(join(folder, 'fullchain.pem.next'), join(folder, 'fullchain.pem'))
    }
    write(good.cert, good.key)
    await comes('kept.example.test', 'kept.example.test')
    const before = await shown(daemon, 'kept.example.test')
    for (const [cert, key] of [
      [Buffer.from('garbage'), good.key],
      [good.cert, other.key],
    ] as const) {
      const lines = () => daemon.output().split('the old one stays in service').length
      const told = lines()
      write(cert, key)
      await until(() => lines() > told, 'a line in the log')
      t.equal(await shown(daemon, 'kept.example.test'), before)
    }
    rmSync(folder, { recursive: true })
    await until(async () => !(await shown(daemon, 'kept.example.test')).includes('kept'), 'the removed one to leave service')
  })
})
