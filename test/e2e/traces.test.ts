import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { filesIn, find, findInFiles, textCanary } from '../support/canary.js'
import { call } from '../support/clients.js'
import { freePort } from '../support/daemon.js'
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

t.test('no credential of an app, of a DNS provider, and no access token is in any file, log line, report or metric', async t => {
  const watchers = await freePort()
  const { daemon, home, token } = await makeStage(t, {
    settings: { SOAKP_LOG_LEVEL: 'trace', SOAKP_METRICS_LISTEN: `127.0.0.1:${watchers}` },
  })
  const dns = `cf-${randomBytes(24).toString('hex')}`
  await home.json(['cert', 'credentials', 'set', 'cloudflare', 'CLOUDFLARE_DNS_API_TOKEN', '--stdin'], dns)
  const { credential } = await home.json<{ credential: string }>(['app', 'create', 'shop', '--all'])
  const post = (path: string, bearer: string, body: unknown) => call(daemon, { path, token: bearer, body: JSON.stringify(body) })
  const user = (await post('/auth/token', credential, { userId: 'alice' })).json().token as string
  const next = (await post('/auth/refresh', user, {})).json().token as string
  const issued = await home.createToken(['--all'])
  const secrets = { dns, credential, token, user, next, rotated: issued.token }
  const replies: string[] = []
  const ask = async (path: string, bearer: string, more: object = {}) => {
    const answer = await call(daemon, { path, token: bearer, ...more })
    replies.push(`${answer.rawHeaders.join('\n')}\n${answer.text()}`)
  }
  for (const bearer of [token, user, next, credential, `${user}x`, dns]) {
    for (const path of [
      '/auth/verify',
      '/auth/token-info',
      '/openai/v1/models',
      '/v1/models',
      '/nowhere/v1',
      '/admin/v1/keys',
      `/openai/v1/models?key=${bearer}`,
    ])
      await ask(path, bearer)
    await ask('/openai/v1/chat/completions', bearer, { body: JSON.stringify({ model: bearer.slice(0, 8), token: bearer }) })
    await ask('/auth/token', bearer, { body: `{"userId":"bob","token":"${bearer}"` })
    await ask('/auth/exchange', bearer, { body: JSON.stringify({ token: bearer }) })
    await ask('/auth/token-info', bearer, { body: JSON.stringify({ token: bearer }) })
    await ask('/auth/logout', `${bearer}y`, { body: '{}' })
  }
  const metrics = await (await fetch(`http://127.0.0.1:${watchers}/metrics`)).text()
  t.match(metrics, 'soakp_')
  const listed: string[] = []
  for (const args of [
    ['app', 'list'],
    ['token', 'list'],
    ['key', 'list'],
    ['cert', 'credentials', 'list'],
    ['limit', 'list'],
    ['usage', '--by', 'user,model'],
    ['usage', 'export'],
    ['doctor'],
  ]) {
    for (const more of [[], ['--json']]) {
      const { stdout, stderr } = await home.run([...more, ...args])
      listed.push(stdout, stderr)
    }
  }
  const backup = join(home.dir, '..', 'copy.backup')
  await home.json(['backup', backup])
  // of a token the signature, which has underscores of its own; of a credential what follows the app's id
  const secretPart = (text: string) => text.slice(text.lastIndexOf(text.startsWith('app_') ? '_' : '.') + 1)
  const canaries = Object.entries(secrets).map(([name, text]) => textCanary(name, secretPart(text)))
  const inHere = (text: string) => find(canaries, Buffer.from(text))
  t.strictSame(inHere(replies.join('\n')), [], 'replies')
  t.strictSame(inHere(metrics), [], 'metrics')
  t.strictSame(inHere(listed.join('\n')), [], 'what commands print')
  t.equal(await daemon.stop(), 0)
  t.strictSame(inHere(daemon.output()), [], 'logs')
  t.strictSame(findInFiles(canaries, [...filesIn(home.dir), backup]), [], 'files')
  for (const [name, text] of Object.entries(secrets)) t.match(inHere(`x${text}x`).join(), name, 'the search would find it')
})
