import { generateKeyPairSync, randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import t from 'tap'
import { type Canary, find, textCanary } from '../support/canary.js'
import { call, open } from '../support/clients.js'
import { makeHome } from '../support/daemon.js'
import { chunk, head, whole } from '../support/scripts.js'
import { type Exchange, startUpstream } from '../support/upstream.js'

const text = (size: number) => randomBytes(size).toString('hex')

t.test('a heap snapshot holds no secret that calls are signed with, no key file and no token that was issued for one', async t => {
  const token = `ya29.${text(60)}`
  const upstream = await startUpstream(async (exchange: Exchange) => {
    await exchange.body()
    if (exchange.request.target === '/token') {
      const reply = JSON.stringify({ access_token: token, expires_in: 3599 })
      return exchange.send(whole(200, 'application/json', reply))
    }
    await exchange.send(
      head(200, [
        ['Content-Type', 'application/json'],
        ['Transfer-Encoding', 'chunked'],
      ]),
    )
    return exchange.send(chunk('{'))
  })
  t.teardown(() => upstream.close())
  const pair = { id: 'ASIAIOSFODNN7EXAMPLE', secret: text(20), session: text(100) }
  const pem = String(generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey.export({ type: 'pkcs8', format: 'pem' }))
  const file = {
    type: 'service_account',
    client_email: 'a@b.iam.gserviceaccount.com',
    private_key: pem,
    token_uri: `${upstream.url}/token`,
  }
  const home = await makeHome(t)
  await home.addKey('bedrock', { secret: Object.values(pair).join(':'), baseUrl: upstream.url })
  await home.addKey('vertex', { secret: JSON.stringify(file), baseUrl: upstream.url })
  const issued = await home.createToken(['--all'])
  const preload = pathToFileURL(join(process.cwd(), 'dist/test/support/heap-snapshot.js')).href
  const daemon = await home.serve({ nodeArgs: ['--heap-snapshot-string-limit=100000000', '--import', preload], ipc: true })

  const paths = ['/bedrock/model/m/converse', '/vertex/v1/publishers/google/models/m:generateContent']
  const asks = paths.flatMap(path => Array.from({ length: 20 }, () => ({ path, token: issued.token, body: '{}' })))
  const replies = await Promise.all(asks.map(ask => open(daemon, ask)))
  for (const reply of replies) t.equal(reply.statusCode, 200)
  // an ordinary refusal, so that the daemon has done something else since
  await call(daemon, { path: '/openai/v1/models', token: issued.token })

  // the first line begins as every RSA key does
  const body = pem.split('\n').slice(2, -2)
  const canaries: Canary[] = [
    textCanary('secret access key', pair.secret),
    textCanary('session token', pair.session),
    textCanary('issued token', token.slice(5)),
    ...body.map((line, at) => textCanary(`private key, line ${at}`, line)),
  ]
  const snapshot = join(home.dir, '..', 'signed.heapsnapshot')
  daemon.child.send(snapshot)
  await once(daemon.child, 'message')
  t.same(find(canaries, readFileSync(snapshot)), [])
  rmSync(snapshot)
  t.same(find(canaries, Buffer.from(daemon.output())), [])
  for (const reply of replies) reply.destroy()
})
