import { request as httpsRequest } from 'node:https'
import t from 'tap'
import { call } from '../support/clients.js'
import { json } from '../support/scripts.js'
import { makeStage } from '../support/stage.js'
import { until } from '../support/until.js'

t.test(
  'bodies in memory are bounded together: who finds no room is told to come back, and room is there again when a call ends',
  async t => {
    const { daemon, upstream, grant } = await makeStage(t, { settings: { SOAKP_MAX_INSPECTED: '3mb', SOAKP_MAX_INSPECTED_TOTAL: '3mb' } })
    const { token } = await grant('--all', '--models', 'gpt-*')
    upstream.use(json({ ok: true }))
    const path = '/openai/v1/chat/completions'
    const body = `{"model":"gpt-4o","messages":[{"role":"user","content":"${'x'.repeat(2_000_000)}"}]}`
    const ask = () => call(daemon, { path, token, body })

    /** An upload that lacks its last byte, which is there whole but for that: beside another one it might be the one that finds no room, and is begun again. */
    const uploading = async () => {
      for (;;) {
        const request = httpsRequest({
          host: 'localhost',
          family: 4,
          port: daemon.port,
          ca: daemon.ca,
          agent: false,
          method: 'POST',
          path,
          headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json', 'content-length': body.length },
        })
        let status: number | undefined
        request.on('response', response => {
          status = response.resume().statusCode
        })
        request.on('error', () => {})
        request.write(body.slice(0, -1))
        while (status === undefined) if ((await ask()).status === 503) return { request, status: () => status }
        request.destroy()
      }
    }

    const slow = await uploading()
    const refused = await ask()
    t.equal(refused.status, 503)
    t.match(refused.headers, { 'retry-after': '2' })
    t.match(refused.text(), 'overloaded')
    slow.request.end(body.slice(-1))
    await until(() => slow.status() !== undefined, 'the answer to the upload')
    t.equal(slow.status(), 200, 'who has room keeps it')
    for (let round = 0; round < 3; round++) t.equal((await ask()).status, 200, 'nothing of it is lost')

    const leaver = await uploading()
    leaver.request.destroy()
    await until(async () => (await ask()).status === 200, 'the room of a client that left')
  },
)
