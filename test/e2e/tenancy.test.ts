import { Agent } from 'node:https'
import t from 'tap'
import { chat } from '../support/clients.js'
import { makeHome } from '../support/daemon.js'
import { whole } from '../support/scripts.js'
import { freshKey } from '../support/stage.js'
import { startUpstream } from '../support/upstream.js'

t.test('of 2000 interleaved calls of two grants, each goes out on its own key, and its reply comes back to its own caller', async t => {
  const upstream = await startUpstream(async exchange => {
    const body = JSON.parse((await exchange.body()).toString())
    const reply = {
      id: body.messages[0].content,
      key: exchange.request.header('authorization'),
      usage: { prompt_tokens: 1, completion_tokens: 1 },
    }
    await exchange.send(whole(200, 'application/json', JSON.stringify(reply)))
  })
  t.teardown(() => upstream.close())
  const home = await makeHome(t)
  const sides = await Promise.all(
    [0, 1].map(async side => {
      const secret = freshKey('openai')
      const key = await home.addKey('openai', { secret, baseUrl: upstream.url, name: `side-${side}` })
      const grant = await home.createToken(['--key', key.id])
      return { secret, key, grant, side }
    }),
  )
  const daemon = await home.serve()
  const agent = new Agent({ keepAlive: true, maxSockets: 20 })
  t.teardown(() => agent.destroy())

  const wrong: unknown[] = []
  let next = 0
  const worker = async () => {
    for (let index = next++; index < 2000; index = next++) {
      const mine = sides[index % 2]
      if (mine === undefined) return
      const body = JSON.stringify({ model: 'gpt-4o-mini', messages: [{ role: 'user', content: `call ${index}` }] })
      const answer = await chat(daemon, mine.grant.token, { agent, body })
      const { id, key } = answer.json()
      if (answer.status !== 200 || id !== `call ${index}` || key !== `Bearer ${mine.secret}`)
        wrong.push({ index, status: answer.status, id })
    }
  }
  await Promise.all(Array.from({ length: 20 }, worker))
  t.strictSame(wrong, [])

  const entries = await home.entries()
  t.equal(entries.length, 2000)
  for (const { grant, key } of sides) {
    const own = entries.filter(entry => entry.grantId === grant.id)
    t.equal(own.length, 1000)
    t.ok(own.every(entry => entry.keyId === key.id))
  }
})
