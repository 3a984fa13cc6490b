import { Agent } from 'node:https'
import t from 'tap'
import { Secret } from '../../src/lib/secret.js'
import { call } from '../support/clients.js'
import { withSoakp } from '../support/home-store.js'
import { whole } from '../support/scripts.js'
import { makeStage } from '../support/stage.js'

// Two users of one provider, each with a key of the operator's choice: whose call goes out on whose key.

const callsEach = 10_000

t.test(`of two users’ ${callsEach} calls each, interleaved over the same connections, every one goes out on its own key`, async t => {
  /** By the caller's name in the body: how often each key came with it. */
  const seen = new Map<string, number>()
  let echoes = 0
  const { home, upstream, daemon } = await makeStage(t, {
    script: async exchange => {
      const body = JSON.parse((await exchange.body()).toString('utf8')) as { user: string; n: number }
      const pair = `${body.user} with ${exchange.request.header('authorization')}`
      seen.set(pair, (seen.get(pair) ?? 0) + 1)
      await exchange.send(
        whole(
          200,
          'application/json',
          JSON.stringify({ model: 'm', user: body.user, n: body.n, usage: { prompt_tokens: 1, completion_tokens: 1 } }),
        ),
      )
    },
    settings: { SOAKP_ADDRESS_RATE: '1000000/s' },
  })
  const users = ['ann', 'bob'] as const
  const secrets = { ann: `sk-proj-ann-${'a'.repeat(40)}`, bob: `sk-proj-bob-${'b'.repeat(40)}` }
  const tokens: Record<string, string> = {}
  const grants: Record<string, string> = {}
  for (const user of users) {
    const key = await withSoakp(home.dir, ({ vault }) =>
      vault.put({ provider: 'openai', name: user, secret: new Secret(secrets[user]), baseUrl: upstream.url, allowPrivate: true }),
    )
    const issued = await home.createToken(['--key', key.id, '--name', user])
    tokens[user] = issued.token
    grants[user] = issued.id
  }

  const agent = new Agent({ keepAlive: true, maxSockets: 16, ca: home.ca() })
  t.teardown(() => agent.destroy())
  let next = 0
  const worker = async () => {
    for (let n = next++; n < callsEach * 2; n = next++) {
      const user = users[n % 2] as string
      const answer = await call(daemon, {
        path: '/openai/v1/chat/completions',
        agent,
        token: tokens[user] as string,
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({ model: 'gpt-4o-mini', user, n, messages: [] }),
      })
      if (answer.status !== 200) throw new Error(`call ${n}: ${answer.status} ${answer.text()}`)
      const reply = answer.json()
      if (reply.user === user && reply.n === n) echoes++
    }
  }
  await Promise.all(Array.from({ length: 16 }, worker))

  t.equal(echoes, callsEach * 2, 'everyone got the reply to their own call')
  t.same(Object.fromEntries(seen), { [`ann with Bearer ${secrets.ann}`]: callsEach, [`bob with Bearer ${secrets.bob}`]: callsEach })

  await daemon.stop()
  const entries = await home.entries()
  for (const user of users) {
    const own = entries.filter(entry => entry.grantId === grants[user])
    t.equal(own.length, callsEach, `${user}: an entry a call`)
    t.equal(new Set(own.map(entry => entry.keyId)).size, 1, `${user}: on one key`)
  }
})
