import { request as httpsRequest } from 'node:https'
import t from 'tap'
import { call } from '../support/clients.js'
import { json } from '../support/scripts.js'
import { makeStage } from '../support/stage.js'
import { until } from '../support/until.js'

t.test(
  'bodies in memory are bounded together: who finds no room is told to come back, and room is there again when a call ends',
  async t => {
    const { daemon, upstream, grant } = await makeStage(t, { settings: { SOAKP_MAX_INSPECTED_TOTAL: '3mb' } })
    const { token } = await grant('--all', '--models', 'gpt-*')
    upstream.use(json({ ok: true }))
    const path = '/openai/v1/chat/completions'
    const body = `{"model":"gpt-4o","messages":[{"role":"user","content":"${'x'.repeat(2_000_000)}"}]}`
    const ask = () => call(daemon, { path, token, body })

    const slow = httpsRequest({
      host: 'localhost',
      family: 4,
      port: daemon.port,
      ca: daemon.ca,
      agent: false,
      method: 'POST',
      path,
      headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json', 'content-length': body.length },
    })
    const answered = new Promise<number | undefined>((resolve, reject) => {
      slow.on('response', response => resolve(response.resume().statusCode))
      slow.on('error', reject)
    })
    slow.write(body.slice(0, -1))
    // until the daemon has all of that, others fit
    await until(async () => (await ask()).status === 503, 'the first body to fill the room')
    const refused = await ask()
    t.match(refused.headers, { 'retry-after': '2' })
    t.match(refused.text(), 'overloaded')
    slow.end(body.slice(-1))
    t.equal(await answered, 200, 'who has room keeps it')
    for (let round = 0; round < 3; round++) t.equal((await ask()).status, 200, 'nothing of it is lost')

    const leaver = httpsRequest({
      host: 'localhost',
      family: 4,
      port: daemon.port,
      ca: daemon.ca,
      agent: false,
      method: 'POST',
      path,
      headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json', 'content-length': body.length },
    })
    leaver.on('error', () => {})
    leaver.write(body.slice(0, -1))
    await until(async () => (await ask()).status === 503, 'a body to fill the room again')
    leaver.destroy()
    await until(async () => (await ask()).status === 200, 'the room of a client that left')
  },
)
