import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { call } from '../support/clients.js'
import { makeStage } from '../support/stage.js'
import { within } from '../support/until.js'

const answersWithEnvironment = `data:text/javascript,${encodeURIComponent(`
import { execFileSync } from 'node:child_process'
process.on('message', () => process.send({ own: JSON.stringify(process.env), childs: execFileSync('env').toString() }))
process.channel.unref()`)}`

t.test('a master key that comes from the environment is inherited by no child, and written nowhere', async t => {
  const key = randomBytes(32).toString('hex')
  const { daemon, home } = await makeStage(t, {
    settings: { SOAKP_MASTER_KEY: key },
    serve: { nodeArgs: ['--import', answersWithEnvironment], ipc: true },
  })
  const answer = once(daemon.child, 'message') as Promise<[{ own: string; childs: string }]>
  daemon.child.send('environment')
  const [{ own, childs }] = await within(answer, 'the answer')
  t.match(childs, 'SOAKP_HOME=')
  t.notMatch(`${own}${childs}${daemon.output()}`, key)
  t.notOk(existsSync(join(home.dir, 'master.key')))
})

t.test('the values of a query are in no line of the log and of the ledger, and neither are bodies', async t => {
  const { daemon, home, token, upstream } = await makeStage(t)
  const canaries = '?after=query-canary&limit=1'
  const body = JSON.stringify({ model: 'gpt-4o-mini', messages: [{ role: 'user', content: 'body-canary' }] })
  t.equal((await call(daemon, { path: `/openai/v1/models${canaries}`, token })).status, 200)
  t.equal((await call(daemon, { path: `/openai/v9/unknown${canaries}`, token })).status, 403)
  t.equal((await call(daemon, { path: `/nowhere/v1/models${canaries}`, token })).status, 404)
  t.equal((await call(daemon, { path: `/openai/v1/chat/completions${canaries}`, token, body })).status, 200)
  upstream.use(({ reset }) => reset())
  t.equal((await call(daemon, { path: `/openai/v1/chat/completions${canaries}`, token, body })).status, 502)
  t.ok(upstream.requests.some(({ target }) => target.includes('query-canary')))
  t.equal(await daemon.stop(), 0)
  const entries = await home.entries()
  t.ok(entries.length >= 4)
  t.notMatch(`${JSON.stringify(entries)}${daemon.output()}`, /query-canary|body-canary/)
})
