import { pino } from 'pino'
import t from 'tap'
import { loadSettings } from '../../src/config/load.js'
import { SoakpError } from '../../src/errors.js'
import { serve } from '../../src/server/listen.js'
import { createSoakp } from '../../src/soakp.js'
import type { Store } from '../../src/stores/store.js'
import { chatAsk } from '../support/clients.js'
import { makeHome } from '../support/daemon.js'
import { anyProvider } from '../support/scripts.js'
import { until } from '../support/until.js'
import { startUpstream } from '../support/upstream.js'

t.test(
  'where calls go on, known tokens go on working while the database cannot even be read, and what is not known is refused',
  async t => {
    const upstream = await startUpstream(anyProvider)
    t.teardown(() => upstream.close())
    const home = await makeHome(t)
    await home.addKey('openai', { secret: `sk-proj-${'k'.repeat(40)}`, baseUrl: upstream.url })
    const [known, unknown] = [await home.createToken(['--all', '--quota', '100/d']), await home.createToken(['--all'])]
    const env = { ...home.env, SOAKP_WHEN_STORE_FAILS: 'go-on' }
    const log = pino({ level: 'silent' })
    const soakp = await createSoakp(loadSettings({ env, flags: { port: '0', http: 'true' } }), { log })
    const served = await serve(soakp, { log, certificates: undefined })
    t.teardown(async () => {
      await served.close()
      await soakp.close()
    })
    const ask = async (token: string) => {
      const headers = { authorization: `Bearer ${token}`, 'content-type': 'application/json' }
      const url = `http://127.0.0.1:${served.port}/openai/v1/chat/completions`
      const response = await fetch(url, { method: 'POST', headers, body: String(chatAsk(token).body) })
      await response.arrayBuffer()
      return response.status
    }
    t.equal(await ask(known.token), 200)
    const store = soakp.store as unknown as Record<string, unknown>
    const methods = { ...store }
    for (const name of Object.keys(methods)) {
      store[name] = () => {
        throw new SoakpError('store_unavailable')
      }
    }
    for (let more = 0; more < 4; more++) t.equal(await ask(known.token), 200)
    t.equal(await ask(unknown.token), 503)
    t.equal((await fetch(`http://127.0.0.1:${served.port}/readyz`)).status, 200)
    t.equal(soakp.ledger.waiting, 4)
    Object.assign(store, methods)
    await until(async () => (await soakp.store.listEntries({})).length === 5, 'all to be written')
    await until(() => !soakp.outage.isOn, 'it to be over')
    t.equal(await ask(unknown.token), 200)
    t.match(await soakp.store.counterTotals([`grant/${known.id}/calls/day`]), [{ used: 5, lost: 0 }])
  },
)

t.test('while lines cannot be written, no call leaves, none piles up, and what was owed is written afterwards', async t => {
  const upstream = await startUpstream(anyProvider)
  t.teardown(() => upstream.close())
  const home = await makeHome(t)
  await home.addKey('openai', { secret: `sk-proj-${'k'.repeat(40)}`, baseUrl: upstream.url })
  const { token } = await home.createToken(['--all'])
  const settings = loadSettings({ env: home.env, flags: { port: '0', http: 'true' } })
  const log = pino({ level: 'silent' })
  const soakp = await createSoakp(settings, { log })
  const served = await serve(soakp, { log, certificates: undefined })
  t.teardown(async () => {
    await served.close()
    await soakp.close()
  })
  const ask = async (path: string, body?: string) => {
    const headers = { authorization: `Bearer ${token}`, ...(body === undefined ? {} : { 'content-type': 'application/json' }) }
    const response = await fetch(
      `http://127.0.0.1:${served.port}${path}`,
      body === undefined ? { headers } : { method: 'POST', headers, body },
    )
    await response.arrayBuffer()
    return response
  }
  const chat = String(chatAsk(token).body)
  const store = soakp.store as { appendEntries: Store['appendEntries'] }
  const { appendEntries } = store
  store.appendEntries = () => {
    throw new Error('disk full')
  }
  await t.rejects(ask('/openai/v1/chat/completions', chat), 'the end of a reply whose line is not durable is withheld')
  for (const [path, body] of [
    ['/openai/v1/chat/completions', chat],
    ['/openai/v1/files', undefined],
    ['/nobody/v1/models', undefined],
  ] as const) {
    for (let round = 0; round < 10; round++) {
      const response = await ask(path, body)
      t.equal(response.status, 503, path)
      t.ok(Number(response.headers.get('retry-after')) >= 1)
    }
  }
  t.equal(upstream.requests.length, 1)
  store.appendEntries = appendEntries
  await until(async () => (await soakp.store.listEntries({})).length === 1, 'what was owed to be written, and nothing else')
  await until(async () => (await ask('/openai/v1/chat/completions', chat)).status === 200, 'calls to be taken again')
  t.equal(soakp.relay.openCalls, 0)
})
