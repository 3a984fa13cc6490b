import { pino } from 'pino'
import t from 'tap'
import { loadSettings } from '../../src/config/load.js'
import { serve } from '../../src/server/listen.js'
import { createSoakp } from '../../src/soakp.js'
import { openCertificates } from '../../src/tls/certificates.js'
import { call, chatAsk, http2, openHttp2, rawTls } from '../support/clients.js'
import { makeHome } from '../support/daemon.js'
import { anyProvider, chunk, head, openaiEvent, rawThenStall, sseHead } from '../support/scripts.js'
import { until } from '../support/until.js'
import { type Script, seen, startUpstream } from '../support/upstream.js'

// A client can leave at any moment. Whenever it does: one line, no call left open, no place of a limit kept, nothing left running at the provider.

t.test('a client that leaves', async t => {
  const upstream = await startUpstream(anyProvider)
  t.teardown(() => upstream.close())
  const home = await makeHome(t)
  await home.addKey('openai', { secret: `sk-proj-${'k'.repeat(40)}`, baseUrl: upstream.url })
  const { token } = await home.createToken(['--all', '--concurrency', '1', '--rate', '100000/h'])
  const settings = loadSettings({ env: home.env, flags: { port: '0' } })
  const log = pino({ level: 'silent' })
  const soakp = await createSoakp(settings, { log })
  const certificates = await openCertificates({
    log,
    now: Date.now,
    certsDir: `${settings.home}/certs`,
    certFile: undefined,
    keyFile: undefined,
    names: ['localhost'],
  })
  const served = await serve(soakp, { log, certificates })
  t.teardown(async () => {
    await served.close()
    await soakp.close()
    certificates.close()
  })
  const where = { port: served.port, ca: home.ca() }
  const body = String(chatAsk(token, { stream: true }).body)
  const start = (length: number) =>
    `POST /openai/v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer ${token}\r\nContent-Type: application/json\r\nContent-Length: ${length}\r\n\r\n`

  /** Sends a whole call; what comes back ends the connection without a word. */
  async function begin(version: string): Promise<() => void> {
    if (version === 'HTTP/1.1') {
      const connection = await rawTls(where)
      connection.write(start(body.length) + body)
      return () => connection.socket.destroy()
    }
    const session = await http2(where)
    const stream = openHttp2(session, { method: 'POST', path: '/openai/v1/chat/completions', token, body })
    return () => {
      stream.destroy()
      session.close()
    }
  }

  const lines = async () => (await soakp.store.listEntries({})).length

  async function nothingLeft(before: number): Promise<void> {
    await until(() => soakp.relay.openCalls === 0 && upstream.open === 0, 'everything to end')
    t.equal(await lines(), before + 1, 'one line')
    upstream.use(anyProvider)
    t.equal((await call(where, chatAsk(token))).status, 200, 'its only place is free again')
    await until(() => soakp.relay.openCalls === 0, 'the next call to be written down')
  }

  const stages: readonly (readonly [string, Script])[] = [
    ['before the provider has said anything', rawThenStall()],
    ['between head and body', rawThenStall(sseHead)],
    ['within a stream', rawThenStall(sseHead, chunk(openaiEvent('hi')))],
    ['within a body whose length is known', rawThenStall(head(200, [['Content-Length', '100']]), 'ten bytes.')],
    ['within an error that stalls', rawThenStall(head(500, [['Content-Length', '100']]), 'sorry')],
  ]
  for (const [stage, script] of stages) {
    for (const version of ['HTTP/1.1', 'HTTP/2']) {
      await t.test(`${stage}, over ${version}`, async () => {
        const before = await lines()
        upstream.forget()
        upstream.use(script)
        const leave = await begin(version)
        await seen(upstream, 1)
        await upstream.requests[0]?.done
        leave()
        await nothingLeft(before)
      })
    }
  }

  await t.test('at once, before it is known who it is', async () => {
    for (const version of ['HTTP/1.1', 'HTTP/2']) {
      for (let round = 0; round < 20; round++) {
        const leave = await begin(version)
        leave()
      }
    }
    await until(() => soakp.relay.openCalls === 0 && upstream.open === 0, 'everything to end')
    await nothingLeft((await lines()) - 1)
  })

  await t.test('in the middle of a body that is read', async () => {
    const before = await lines()
    const connection = await rawTls(where)
    connection.write(start(10_000) + body)
    await until(() => soakp.relay.openCalls === 1, 'the call to begin')
    connection.socket.destroy()
    await nothingLeft(before)
  })
})
