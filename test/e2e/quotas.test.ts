import { Agent } from 'node:https'
import OpenAI from 'openai'
import t from 'tap'
import { type Answer, chat } from '../support/clients.js'
import type { Daemon, Home } from '../support/daemon.js'
import { withSoakp } from '../support/home-store.js'
import { makeStage } from '../support/stage.js'

const agent = new Agent({ keepAlive: true, maxSockets: 40 })
t.teardown(() => agent.destroy())

const statuses = (answers: readonly Answer[]) => {
  const of = (status: number) => answers.filter(answer => answer.status === status).length
  return { ok: of(200), refused: of(429), all: answers.length }
}

const race = (daemons: readonly Daemon[], token: string, calls = 40) =>
  Promise.all(Array.from({ length: calls }, (_, index) => chat(daemons[index % daemons.length] as Daemon, token, { agent })))

/** Access tokens for as many grants, each with a quota of five calls a day. */
async function fives(home: Home, count: number): Promise<string[]> {
  const tokens: string[] = []
  await withSoakp(home.dir, async ({ access }) => {
    for (let index = 0; index < count; index++) {
      const wanted = { scope: { kind: 'all' }, name: 'five', lifetimeMs: 3_600_000, quotas: ['5/day'] } as const
      tokens.push((await access.create(wanted)).token)
    }
  })
  return tokens
}

t.test('of forty parallel calls on a quota of five, five leave and thirty-five are refused, a hundred times in a row', async t => {
  const { daemon, home, upstream } = await makeStage(t)
  for (const [round, token] of (await fives(home, 100)).entries()) {
    upstream.forget()
    const answers = await race([daemon], token)
    t.same(statuses(answers), { ok: 5, refused: 35, all: 40 }, `round ${round}`)
    t.equal(upstream.requests.length, 5)
  }
})

t.test('two daemons on one database share a quota to the call', async t => {
  const { daemon, home, upstream } = await makeStage(t)
  const other = await home.serve()
  for (const [round, token] of (await fives(home, 50)).entries()) {
    upstream.forget()
    t.same(statuses(await race([daemon, other], token)), { ok: 5, refused: 35, all: 40 }, `round ${round}`)
    t.equal(upstream.requests.length, 5)
  }
})

t.test('a call that never reached a provider gives its place back', async t => {
  const { daemon, home, upstream, grant } = await makeStage(t)
  const { token, id } = await grant('--all', '--quota', '3/d')
  await upstream.close()
  for (let call = 0; call < 6; call++) t.equal((await chat(daemon, token)).status, 502)
  t.match(await home.json(['limit', 'show', id]), [{ limit: '3/day', used: 0 }])
})

t.test('who is refused is told which limit it is, when it opens again, and that trying again at once is of no use', async t => {
  const { daemon, grant } = await makeStage(t)
  const { token } = await grant('--all', '--quota', '1/month,100/d')
  const first = await chat(daemon, token)
  t.match(first.headers, { 'ratelimit-limit': '1', 'ratelimit-remaining': '0' })
  const refused = await chat(daemon, token)
  t.equal(refused.status, 429)
  t.match(refused.headers, { 'retry-after': /^\d+$/, 'ratelimit-limit': '1', 'ratelimit-remaining': '0', 'x-should-retry': 'false' })
  t.match(refused.json().error, {
    code: 'quota_exhausted',
    type: 'rate_limit_error',
    message: /has 1\/month: 1 used.*opens again at 20\d\d-\d\d-01T00:00Z/,
  })
  const client = new OpenAI({ apiKey: token, baseURL: `${daemon.origin}/openai/v1`, maxRetries: 2, fetch: trusting(daemon) })
  await t.rejects(client.chat.completions.create({ model: 'gpt-4o-mini', messages: [] }), { status: 429, code: 'quota_exhausted' })
})

t.test('a changed quota holds from the next call on, and changing it resets no counter', async t => {
  const { daemon, home, grant } = await makeStage(t)
  const { token, id } = await grant('--all', '--quota', '2/d')
  for (const status of [200, 200, 429]) t.equal((await chat(daemon, token)).status, status)
  await home.json(['token', 'set', id, '--quota', '4/d'])
  for (const status of [200, 200, 429]) t.equal((await chat(daemon, token)).status, status)
  await home.json(['token', 'set', id, '--quota', '3/d'])
  t.equal((await chat(daemon, token)).status, 429)
  await home.json(['token', 'set', id, '--no-quota'])
  t.equal((await chat(daemon, token)).status, 200)
  await home.json(['token', 'set', id, '--quota', '5/d'])
  for (const status of [200, 429]) t.equal((await chat(daemon, token)).status, status)
  t.match(await home.json(['limit', 'show', id]), [{ limit: '5/day', used: 5, held: 0, lost: 0 }])
})

t.test('limits on a key, a user, a model and on everything hold too, and the same limit set again goes on counting', async t => {
  const { daemon, home, grant, keys } = await makeStage(t)
  const free = await grant('--all')
  const alice = await grant('--all', '--subject', 'alice')
  const bob = await grant('--all', '--subject', 'bob')
  const ask = async (token: string, model = 'gpt-4o-mini') => (await chat(daemon, token, { model, agent })).status

  await home.json(['limit', 'set', 'user:alice', '--quota', '1/d'])
  t.same([await ask(alice.token), await ask(alice.token), await ask(bob.token)], [200, 429, 200])

  await home.json(['limit', 'set', free.id, '--model', 'gpt-4o*', '--quota', '1/d'])
  t.same([await ask(free.token), await ask(free.token, 'gpt-4o'), await ask(free.token, 'o3')], [200, 429, 200])

  await home.json(['limit', 'set', keys.openai as string, '--quota', '1/d'])
  t.same([await ask(bob.token), await ask(bob.token)], [200, 429])
  await home.json(['limit', 'remove', keys.openai as string])
  t.equal(await ask(bob.token), 200)
  await home.json(['limit', 'set', keys.openai as string, '--quota', '1/d'])
  t.equal(await ask(bob.token), 429)
  await home.json(['limit', 'remove', keys.openai as string])

  await home.json(['limit', 'set', 'tenant', '--quota', '2/h'])
  t.same([await ask(bob.token), await ask(free.token, 'o3'), await ask(bob.token)], [200, 200, 429])
  t.match(await home.json(['limit', 'list']), { length: 3 })

  const midnight = new Date(Math.ceil(Date.now() / 86_400_000) * 86_400_000).toISOString()
  t.match(
    await home.json(['limit', 'timezone', 'Asia/Kolkata']),
    { timeZone: 'Asia/Kolkata', dayEndsAt: midnight },
    'the day that is open stays',
  )
  t.same([await ask(alice.token), await ask(free.token)], [429, 429], 'and nothing of it opens')
  t.match(await home.run(['limit', 'timezone', 'Mars/Olympus']), { code: 2, stderr: /no time zone "Mars\/Olympus".*Europe\/Berlin/s })
})

t.test('in shadow mode nothing is refused', async t => {
  const { daemon, home, grant } = await makeStage(t)
  const { token, id } = await grant('--all', '--quota', '1/d', '--shadow')
  for (let call = 0; call < 3; call++) t.equal((await chat(daemon, token)).status, 200)
  t.match(await home.json(['limit', 'show', id]), [{ used: 3, left: 0, shadow: true }])
  t.match(await home.json(['usage', '--by', 'grant']), [{ grant: id, calls: 3, overQuotaCalls: 2, overBudgetCalls: 0, overrunCalls: 0 }])
  t.match((await home.run(['usage', '--by', 'grant'])).stdout, /OVER QUOTA/)
  t.match((await home.run(['usage', '--by', 'grant', '--csv'])).stdout, /overQuotaCalls,overBudgetCalls,overrunCalls,costUsd[\s\S]*,2,0,0,/)
  const lines = (await home.run(['usage', 'export', '--code', 'quota_exhausted'])).stdout.trim().split('\n')
  t.equal(lines.length, 2)
  const budgeted = await grant('--all', '--budget', '1usd/d', '--budget', '1000tokens/d', '--shadow')
  const unbounded = JSON.stringify({ model: 'gpt-4o-mini', messages: [] })
  for (let call = 0; call < 2; call++)
    t.equal((await chat(daemon, budgeted.token, { body: unbounded })).status, 200, 'also what nothing bounds')
  t.match((await home.entries()).at(-1), { outcome: 'ok', errorCode: 'cost_unbounded' })
  t.match(await home.json(['usage', '--by', 'grant', '--grant', budgeted.id]), [{ calls: 2, overBudgetCalls: 2, overrunCalls: 0 }])
  const counters = await home.json<{ limit: string; used: number }[]>(['limit', 'show', budgeted.id])
  t.ok(
    counters.every(({ used }) => used > 0),
    'and is counted',
  )
})

function trusting(daemon: Daemon): typeof fetch {
  return async (url, init) => {
    const answer = await chat(daemon, String(new Headers(init?.headers).get('authorization')).slice(7), {
      path: new URL(String(url)).pathname,
    })
    return new Response(new Uint8Array(answer.body), { status: answer.status, headers: answer.headers as Record<string, string> })
  }
}
