import { type ChildProcess, fork } from 'node:child_process'
import { X509Certificate } from 'node:crypto'
import { once } from 'node:events'
import { readFileSync, rmSync } from 'node:fs'
import { connect as connectTcp } from 'node:net'
import { text } from 'node:stream/consumers'
import t from 'tap'
import { ensureLocalCertificate, liveFiles } from '../../src/tls/local-ca.js'
import { until, within } from '../support/until.js'
import { get, get2, rawTls, session, untilClosed } from './door.js'

interface Daemon {
  readonly child: ChildProcess
  readonly port: number
  readonly ca: string
  readonly certsDir: string
  readonly said: () => string
  readonly ended: Promise<number | null>
  ask(what: string): Promise<Record<string, unknown>>
}

interface Test {
  testdir(): string
  teardown(handler: () => unknown): void
}

async function start(t: Test, graceMs = 20_000, ...more: readonly string[]): Promise<Daemon> {
  const certsDir = `${t.testdir()}/certs`
  const child = fork('dist/test/server/daemon-child.js', [certsDir, String(graceMs), ...more], { stdio: ['ignore', 'pipe', 'pipe', 'ipc'] })
  t.teardown(() => child.kill('SIGKILL'))
  let said = ''
  for (const stream of [child.stdout, child.stderr]) {
    stream?.on('data', (chunk: Buffer) => {
      said += chunk.toString()
    })
  }
  const ended = once(child, 'exit').then(([code]) => code as number | null)
  const [{ port, ca }] = (await once(child, 'message')) as [{ port: number; ca: string }]
  const ask = async (what: string) => {
    child.send(what)
    return ((await once(child, 'message')) as [Record<string, unknown>])[0]
  }
  return { child, port, ca, certsDir, said: () => said, ended, ask }
}

const refusesConnections = (port: number) =>
  new Promise<boolean>(resolve => {
    const socket = connectTcp(port, '127.0.0.1')
    socket.once('connect', () => {
      socket.destroy()
      resolve(false)
    })
    socket.once('error', () => resolve(true))
  })

t.test('told to end, it takes nothing new, lets streams finish, and exits 0', async t => {
  const daemon = await start(t)
  const one = await rawTls(t, daemon)
  const body = untilClosed(one)
  one.write('GET /openai/stream HTTP/1.1\r\nHost: localhost\r\n\r\n')
  const client = session(t, daemon)
  const stream = client.request({ ':path': '/openai/stream' })
  await once(stream, 'response')
  const two = text(stream)
  const kept = await rawTls(t, daemon)
  const last = untilClosed(kept)
  await until(() => one.bytesRead > 100, 'the stream')
  daemon.child.kill('SIGTERM')
  await until(() => refusesConnections(daemon.port), 'the listener to close')
  t.equal(daemon.child.exitCode, null, 'the stream is still open')
  kept.write('GET /openai/x HTTP/1.1\r\nHost: localhost\r\n\r\n')
  t.match(await last, /^$|503[\s\S]*[Cc]onnection: close[\s\S]*shutting_down/)
  daemon.child.send('finish')
  t.match(await within(body, 'the stream over HTTP/1.1'), /begun,[\s\S]*ended/)
  t.equal(await within(two, 'the stream over HTTP/2'), 'begun,ended')
  t.equal(await within(daemon.ended, 'the daemon'), 0)
})

t.test('what is still open after the grace period is cut, and it exits 0 all the same', async t => {
  const daemon = await start(t, 100)
  const one = await rawTls(t, daemon)
  const body = untilClosed(one)
  one.write('GET /openai/stream HTTP/1.1\r\nHost: localhost\r\n\r\n')
  await until(() => one.bytesRead > 100, 'the stream')
  daemon.child.kill('SIGINT')
  t.match(await within(body, 'the connection'), 'begun,')
  t.equal(await within(daemon.ended, 'the daemon'), 0)
})

t.test('told twice, it ends at once', async t => {
  const daemon = await start(t)
  const one = await rawTls(t, daemon)
  one.on('error', () => {})
  one.write('GET /openai/stream HTTP/1.1\r\nHost: localhost\r\n\r\n')
  await until(() => one.bytesRead > 100, 'the stream')
  daemon.child.kill('SIGTERM')
  await until(() => refusesConnections(daemon.port), 'the listener to close')
  daemon.child.kill('SIGTERM')
  t.equal(await within(daemon.ended, 'the daemon'), 130)
})

t.test('idle connections and half-made ones do not hold it up', async t => {
  const daemon = await start(t)
  const idle = await rawTls(t, daemon)
  const silent = connectTcp(daemon.port, '127.0.0.1')
  await once(silent, 'connect')
  const client = session(t, daemon)
  await get2(client, { ':path': '/healthz' })
  const closed = [untilClosed(idle), untilClosed(silent)]
  daemon.child.kill('SIGTERM')
  t.equal(await within(daemon.ended, 'the daemon'), 0)
  await Promise.all(closed)
})

t.test('no signal opens an inspector or writes a report of what is in memory', async t => {
  const daemon = await start(t)
  daemon.child.kill('SIGUSR1')
  t.same(await daemon.ask('inspector'), { inspector: null, report: false })
  t.notMatch(daemon.said(), /Debugger/i)
  t.equal((await get(daemon, '/healthz')).status, 200)
})

t.test('SIGHUP reads the certificate again', async t => {
  const daemon = await start(t)
  const before = await rawTls(t, daemon)
  rmSync(liveFiles(daemon.certsDir).privkey)
  await ensureLocalCertificate(daemon.certsDir, [], Date.now())
  daemon.child.kill('SIGHUP')
  const served = async () => (await rawTls(t, daemon)).getPeerCertificate().fingerprint256
  await until(async () => (await served()) !== before.getPeerCertificate().fingerprint256, 'the new certificate')
  t.equal(await served(), new X509Certificate(readFileSync(liveFiles(daemon.certsDir).cert)).fingerprint256)
  t.notOk(before.destroyed, 'the old connection goes on')
})

t.test('where it belongs to a terminal, the end of the terminal ends it as SIGTERM does', async t => {
  const daemon = await start(t, 20_000, 'hangup-ends')
  const one = await rawTls(t, daemon)
  const body = untilClosed(one)
  one.write('GET /openai/stream HTTP/1.1\r\nHost: localhost\r\n\r\n')
  await until(() => one.bytesRead > 100, 'the stream')
  daemon.child.kill('SIGHUP')
  await until(() => refusesConnections(daemon.port), 'the listener to close')
  daemon.child.send('finish')
  t.match(await within(body, 'the stream'), /begun,[\s\S]*ended/)
  t.equal(await within(daemon.ended, 'the daemon'), 0)
})

t.test('an error that nobody foresaw ends it with 70, in order', async t => {
  for (const how of ['throw', 'reject']) {
    const daemon = await start(t)
    daemon.child.send(how)
    t.equal(await within(daemon.ended, 'the daemon'), 70, how)
  }
})
