import t from 'tap'
import { makeHome } from '../support/daemon.js'
import { freshKey } from '../support/stage.js'
import { openSocket, refusedSocket } from '../support/ws-client.js'
import { startSocketUpstream } from '../support/ws-upstream.js'

const realtime = '/openai/v1/realtime?model=gpt-realtime'

/** A home with two keys of a provider, and which of them the upstream was shown. */
async function twoKeys() {
  const upstream = await startSocketUpstream(t)
  const home = await makeHome(t)
  const secrets = [freshKey('openai'), freshKey('openai')]
  const ids: string[] = []
  for (const [at, secret] of secrets.entries())
    ids.push((await home.addKey('openai', { secret, baseUrl: upstream.url, name: `key ${at}` })).id)
  const keyOf = (authorization: string | undefined) => secrets.findIndex(secret => authorization === `Bearer ${secret}`)
  return {
    upstream,
    home,
    ids,
    daemon: await home.serve(),
    seen: () => upstream.upgrades.map(({ headers }) => keyOf(headers.authorization)),
    /** Answers upgrades with a key like this, rather than opening them. */
    refuse: (key: number, status: number, body: string, headers: Record<string, string> = {}) =>
      upstream.refuseWith(request => (keyOf(request.headers.authorization) === key ? { status, body, headers } : undefined)),
  }
}

t.test('an upgrade that one key is turned away with is opened with another, and the key rests', async t => {
  const { home, daemon, ids, seen, refuse } = await twoKeys()
  const { token, id } = await home.createToken(['--all'])
  refuse(0, 429, '{"error":{"message":"slow down"}}', { 'retry-after': '60' })
  for (let upgrade = 0; upgrade < 4; upgrade++) {
    const { socket, closed } = await openSocket(daemon, realtime, { token })
    socket.close()
    await closed
  }
  t.equal(seen().filter(key => key === 0).length, 1, 'it was asked once')
  t.equal(seen().filter(key => key === 1).length, 4)
  const lines = (await home.entries()).filter(entry => entry.grantId === id)
  t.strictSame(
    lines.filter(({ status }) => status === 429).map(({ final, keyId }) => [final, keyId]),
    [[false, ids[0]]],
    'the attempt is in the ledger',
  )
  t.equal(lines.filter(({ status, final }) => status === 101 && final).length, 4)
})

t.test('a key that the provider refuses at an upgrade is marked, and another one answers', async t => {
  const { home, daemon, ids, seen, refuse } = await twoKeys()
  const { token } = await home.createToken(['--all'])
  refuse(0, 401, '{"error":{"code":"invalid_api_key"}}')
  for (let upgrade = 0; upgrade < 3; upgrade++) {
    const { socket, closed } = await openSocket(daemon, realtime, { token })
    socket.close()
    await closed
  }
  t.equal(seen().filter(key => key === 0).length, 1)
  const keys = await home.json<{ id: string; rejectedAt?: string | null }[]>(['key', 'list'])
  t.ok(JSON.stringify(keys.find(({ id }) => id === ids[0])).includes('reject'))
})

t.test('where every key is turned away the client is told as the provider told it, and what was held is free', async t => {
  const { home, daemon, upstream, seen } = await twoKeys()
  const { token, id } = await home.createToken(['--all', '--budget', '0.4usd/d', '--concurrency', '1'])
  upstream.refuseWith(() => ({ status: 429, body: '{"error":{"message":"slow down"}}', headers: { 'retry-after': '1' } }))
  const refused = await refusedSocket(daemon, realtime, { token })
  t.equal(refused.status, 429)
  t.equal(refused.body.error.message, 'slow down')
  t.strictSame(seen().toSorted(), [0, 1])
  upstream.refuseWith(undefined)
  const { socket, closed } = await openSocket(daemon, realtime, { token })
  socket.close()
  await closed
  t.strictSame(await home.json<{ used: number }[]>(['limit', 'show', id]).then(rows => rows.filter(({ used }) => used > 0)), [])
})
