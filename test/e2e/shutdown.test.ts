import { X509Certificate } from 'node:crypto'
import { copyFileSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { Agent } from 'node:https'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { connect } from 'node:tls'
import t from 'tap'
import { answerOf, call, chat, chatAsk, http2, open, openHttp2 } from '../support/clients.js'
import { makeHome } from '../support/daemon.js'
import { chunk, endlessSse, lastChunk, openaiEvent, sseHead } from '../support/scripts.js'
import { makeStage } from '../support/stage.js'
import { deferred, until, within } from '../support/until.js'

t.test('SIGTERM lets streams finish for the grace period, records what it cuts, and exits 0', async t => {
  const { daemon, upstream, home, token } = await makeStage(t, { settings: { SOAKP_SHUTDOWN_GRACE: '2s' } })
  const finish = deferred()
  upstream.use(async exchange => {
    const long = (await exchange.body()).toString().includes('endless')
    if (long) {
      return endlessSse(
        () => openaiEvent('word '),
        () => delay(50),
      )(exchange)
    }
    await exchange.send(Buffer.concat([Buffer.from(sseHead), chunk(openaiEvent('a'))]))
    await finish.promise
    await exchange.send(Buffer.concat([chunk('data: [DONE]\n\n'), Buffer.from(lastChunk)]))
  })
  const short = await open(daemon, chatAsk(token, { stream: true }))
  const endless = await open(daemon, chatAsk(token, { stream: true, model: 'endless' }))
  const session = await http2(daemon)
  t.teardown(() => session.destroy())
  const over2 = openHttp2(session, chatAsk(token, { stream: true, model: 'endless' }))
  over2.resume()
  const shortAnswer = answerOf(short)
  const endlessAnswer = answerOf(endless)
  await until(() => upstream.open === 3, 'three streams')

  const exit = daemon.stop()
  await until(
    () =>
      call(daemon, { path: '/healthz' }).then(
        () => false,
        () => true,
      ),
    'no new connection to be taken',
  )
  finish.resolve()
  const finished = await within(shortAnswer, 'the short stream')
  t.ok(finished.complete, 'a stream that ends within the grace period is whole')
  const cut = await within(endlessAnswer, 'the endless stream')
  t.notOk(cut.complete, 'one that does not is cut, and does not look whole')
  t.equal(await within(exit, 'the daemon'), 0)
  const entries = await home.entries()
  t.strictSame(entries.map(entry => entry.outcome).sort(), ['cut', 'cut', 'ok'])
  for (const entry of entries.filter(({ outcome }) => outcome === 'cut')) t.ok(entry.outputTokens > 0, 'what was consumed is recorded')
  await until(() => upstream.open === 0, 'the upstream calls to end')
})

t.test('a daemon with nothing to do stops at once, on SIGINT too', async t => {
  const home = await makeHome(t)
  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    const daemon = await home.serve()
    const idle = new Agent({ keepAlive: true })
    t.equal((await call(daemon, { path: '/healthz', agent: idle })).status, 200)
    daemon.child.kill(signal)
    t.equal(await within(daemon.exited, 'the daemon', 10_000), 0, signal)
    idle.destroy()
  }
})

t.test('a second SIGTERM ends the grace period', async t => {
  const { daemon, upstream, token } = await makeStage(t, { settings: { SOAKP_SHUTDOWN_GRACE: '10m' } })
  upstream.use(
    endlessSse(
      () => openaiEvent('x'),
      () => delay(20),
    ),
  )
  const stream = answerOf(await open(daemon, chatAsk(token, { stream: true })))
  void daemon.stop()
  await until(
    () =>
      call(daemon, { path: '/healthz' }).then(
        () => false,
        () => true,
      ),
    'the daemon to stop listening',
  )
  daemon.child.kill('SIGTERM')
  await within(daemon.exited, 'the daemon', 10_000)
  t.notOk((await stream).complete)
})

t.test('certificate files are swapped under load without a failed call, and a bad pair leaves the old one serving', async t => {
  const other = await makeHome(t, {}, join(t.testdir(), 'other'))
  const files = join(other.dir, '..', 'served')
  mkdirSync(files)
  const served = { cert: join(files, 'fullchain.pem'), key: join(files, 'privkey.pem') }
  const live = (dir: string, name: string) => join(dir, 'certs', 'live', 'localhost', name)
  const install = (dir: string) => {
    copyFileSync(live(dir, 'fullchain.pem'), served.cert)
    copyFileSync(live(dir, 'privkey.pem'), served.key)
  }
  install(other.dir)
  const third = await makeHome(t, {}, join(other.dir, '..', 'third'))
  const ca = `${other.ca()}\n${third.ca()}`
  const stage = await (async () => {
    const { upstream, home, token, daemon } = await makeStage({
      testdir: () => join(other.dir, '..', 'stage'),
      teardown: t.teardown.bind(t),
    })
    t.equal(await daemon.stop(), 0)
    return { upstream, home, token }
  })()
  const daemon = { ...(await stage.home.serve({ env: { SOAKP_TLS_CERT_FILE: served.cert, SOAKP_TLS_KEY_FILE: served.key }, ca })), ca }
  const shown = () =>
    new Promise<string>((resolve, reject) => {
      const socket = connect({ host: '127.0.0.1', servername: 'localhost', port: daemon.port, ca, ALPNProtocols: ['http/1.1'] }, () => {
        resolve(socket.getPeerX509Certificate()?.fingerprint256 ?? '')
        socket.destroy()
      })
      socket.on('error', reject)
    })
  const fingerprint = (dir: string) => new X509Certificate(readFileSync(live(dir, 'fullchain.pem'))).fingerprint256
  t.equal(await shown(), fingerprint(other.dir))

  let running = true
  const failures: unknown[] = []
  let calls = 0
  const worker = async (agent: Agent | undefined) => {
    while (running) {
      calls++
      const answer = await chat(daemon, stage.token, { agent }).catch((error: unknown) => {
        failures.push(String(error))
      })
      if (answer !== undefined && answer.status !== 200) failures.push(answer.status)
    }
  }
  const agent = new Agent({ keepAlive: true })
  const workers = [worker(agent), worker(agent), worker(undefined)]
  install(third.dir)
  await until(async () => (await shown()) === fingerprint(third.dir), 'the new certificate to be served')
  writeFileSync(served.key, readFileSync(live(other.dir, 'privkey.pem')))
  await until(() => /not usable|certificate/.test(daemon.output()), 'the bad pair to be noticed')
  t.equal(await shown(), fingerprint(third.dir), 'a key that does not fit changes nothing')
  writeFileSync(served.cert, 'nonsense')
  t.equal(await shown(), fingerprint(third.dir), 'neither does a damaged file')
  install(other.dir)
  await until(async () => (await shown()) === fingerprint(other.dir), 'the first certificate to be back')
  running = false
  await Promise.all(workers)
  agent.destroy()
  t.strictSame(failures, [])
  t.ok(calls > 10)
})
