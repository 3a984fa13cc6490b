import { randomInt } from 'node:crypto'
import { Agent } from 'node:https'
import t from 'tap'
import { answerOf, chat, chatAsk, open } from '../support/clients.js'
import type { Daemon, Home } from '../support/daemon.js'
import { withSoakp, withStore } from '../support/home-store.js'
import { chunk, json, lastChunk, openaiChat, openaiEvent, openaiUsageEvent, sseHead } from '../support/scripts.js'
import { makeStage } from '../support/stage.js'
import { deferred } from '../support/until.js'
import type { Script } from '../support/upstream.js'

// One daemon after the other is killed while grants with and without limits keep it busy; what is left of them is asked after the last.

const kills = 50
const workersEach = 4

/** Calls of one grant, which the upstream knows by the query. */
interface Caller {
  readonly name: string
  readonly id: string
  readonly token: string
}

const pathOf = (name: string) => `/openai/v1/chat/completions?of=${name}`
const bodyOf = (stream: boolean) =>
  JSON.stringify({ model: 'gpt-4o-mini', messages: [{ role: 'user', content: 'hi' }], max_tokens: 100, stream })

/** Calls without end, half of them streams, until the daemon is gone; adds the id of every reply that was read to its end. */
async function load(daemon: Daemon, { name, token }: Caller, read: Set<string>, seen: () => void, isOver = () => false): Promise<void> {
  const agent = new Agent({ keepAlive: true })
  let stream = false
  while (daemon.alive() && !isOver()) {
    stream = !stream
    try {
      const answer = await answerOf(await open(daemon, chatAsk(token, { path: pathOf(name), body: bodyOf(stream), agent })))
      if (answer.complete && answer.status === 200) read.add(String(answer.headers['x-request-id']))
      seen()
    } catch {
      // the kill
    }
  }
  agent.destroy()
}

interface Counted {
  readonly limit: string
  readonly used: number
  readonly lost: number
}

const shown = (home: Home, { id }: Caller) => home.json<Counted[]>(['limit', 'show', id])
/** As exact as dollars are written. */
const micro = (dollars: number) => Math.round(dollars * 1e6)

/** So much that some calls fit, and not all that are made of it before the kill. */
const edgeMicroDollars = 250

/** Grants whose budget is used up while the daemons are killed: one for each kill. */
async function edges(home: Home): Promise<Caller[]> {
  const callers: Caller[] = []
  await withSoakp(home.dir, async ({ access }) => {
    for (let kill = 0; kill < kills; kill++) {
      const budgets = [`${edgeMicroDollars / 1e6}usd/month`]
      const wanted = { scope: { kind: 'all' }, name: `edge${kill}`, lifetimeMs: 3_600_000, budgets } as const
      const { grant, token } = await access.create(wanted)
      callers.push({ name: `edge${kill}`, id: grant.id, token })
    }
  })
  return callers
}

const plain = json(openaiChat)
const script: Script = async exchange => {
  const body = (await exchange.body()).toString()
  if (!body.includes('"stream":true')) return plain(exchange)
  await exchange.send(Buffer.concat([Buffer.from(sseHead), chunk(openaiEvent('a'))]))
  await exchange.send(Buffer.concat([chunk(openaiUsageEvent), chunk('data: [DONE]\n\n'), Buffer.from(lastChunk)]))
}

t.test(`after kill -9 at any moment, ${kills} times`, async t => {
  const { upstream, home, grant, ...stage } = await makeStage(t, { script })
  const callers = {
    free: { name: 'free', id: stage.grantId, token: stage.token },
    quota: { ...(await grant('--all', '--quota', '100000/d')), name: 'quota' },
    budget: { ...(await grant('--all', '--budget', '100usd/month', '--quota', '100000/month')), name: 'budget' },
  }
  const edge = await edges(home)
  const read = new Set<string>()
  let daemon = stage.daemon
  /** On the same database; most kills are not its own. */
  let other = await home.serve()
  for (let kill = 0; kill < kills; kill++) {
    const after = read.size + randomInt(10, 60)
    const enough = deferred()
    const seen = () => read.size >= after && enough.resolve()
    const workers = Object.values(callers).flatMap(caller => Array.from({ length: workersEach }, () => load(daemon, caller, read, seen)))
    let isOver = false
    // the one of the kill before has less left, and some of that was lost
    for (const caller of edge.slice(Math.max(0, kill - 1), kill + 1))
      for (const one of [daemon, other]) workers.push(load(one, caller, read, seen, () => isOver))
    await enough.promise
    isOver = true
    if (kill % 10 === 9) await other.kill()
    await daemon.kill()
    await Promise.all(workers)
    if (!other.alive()) other = await home.serve()
    daemon = await home.serve()
  }
  t.ok(read.size >= kills * 10, `${read.size} replies were read`)
  t.ok(upstream.requests.length >= read.size)
  t.equal((await chat(daemon, stage.token)).status, 200, 'the last one serves')
  t.equal(await other.stop(), 0)
  // a limit that was not drawn from since the last kill still holds what was drawn before it
  for (const caller of [callers.quota, callers.budget])
    t.equal((await chat(daemon, caller.token, { path: pathOf(caller.name), body: bodyOf(false) })).status, 200)
  const entries = await home.entries()
  const reached = ({ name }: Caller) => upstream.requests.filter(({ target }) => target.endsWith(`of=${name}`)).length
  const finals = ({ id }: Caller) => entries.filter(entry => entry.grantId === id && entry.final).length

  await t.test('every reply that a client read to its end is in the ledger, once, as it was', async t => {
    const byId = new Map(entries.map(entry => [entry.id, entry]))
    t.strictSame(
      [...read].filter(id => !byId.has(id)),
      [],
      'no reply is missing',
    )
    t.equal(new Set(entries.map(entry => `${entry.id}/${entry.attempt}`)).size, entries.length, 'no entry is there twice')
    t.strictSame(
      [...read].filter(id => byId.get(id)?.outcome !== 'ok' || byId.get(id)?.outputTokens !== 7),
      [],
      'what was read is recorded as it was',
    )
  })

  await t.test('no call of a quota is counted less than once, and what was only drawn is free again', async t => {
    const [counted] = await shown(home, callers.quota)
    t.equal((counted?.used ?? 0) - (counted?.lost ?? 0), finals(callers.quota), 'used is what the ledger holds')
    const seen = reached(callers.quota)
    t.ok((counted?.used ?? 0) >= seen, `${counted?.used} counted, ${seen} seen by the provider`)
    t.ok((counted?.used ?? 0) <= seen + kills * 2 * workersEach, `${counted?.used} counted, hardly more than ${seen}`)
  })

  await t.test('no budget is over, and what was spent is what the ledger holds', async t => {
    const rows = await shown(home, callers.budget)
    const money = rows.find(row => row.limit.includes('usd')) as Counted
    const calls = rows.find(row => !row.limit.includes('usd')) as Counted
    const own = entries.filter(entry => entry.grantId === callers.budget.id)
    t.equal(
      micro(money.used) - micro(money.lost),
      own.reduce((sum, entry) => sum + (entry.costMicroDollars ?? 0), 0),
    )
    t.equal(calls.used - calls.lost, finals(callers.budget))
    const seen = reached(callers.budget)
    t.ok(calls.used >= seen, `${calls.used} counted, ${seen} seen by the provider`)
    t.ok(calls.lost <= kills * 2 * workersEach, `${calls.lost} lost`)
  })

  await t.test('no budget that was reached meanwhile, in two daemons, is passed by what the provider did', async t => {
    const counters = edge.map(({ id }) => `grant/${id}/microDollars/month`)
    const totals = new Map((await withStore(home.dir, store => store.counterTotals(counters))).map(total => [total.counter, total]))
    const refused = new Set(entries.filter(({ errorCode }) => errorCode === 'budget_exhausted').map(({ grantId }) => grantId))
    t.ok(edge.filter(({ id }) => refused.has(id)).length >= kills / 2, 'most of them were reached')
    const cost = entries.find(entry => entry.costMicroDollars)?.costMicroDollars ?? 0
    t.ok(cost > 0)
    const wrong = edge.flatMap((caller, index) => {
      const { used = 0, lost = 0, held = 0 } = totals.get(counters[index] ?? '') ?? {}
      const own = entries.filter(({ grantId }) => grantId === caller.id)
      const written = own.reduce((sum, entry) => sum + (entry.costMicroDollars ?? 0), 0)
      const billed = reached(caller) * cost
      const isRight = used - lost === written && used + held <= edgeMicroDollars && billed <= used && held === 0
      return isRight ? [] : [{ caller: caller.name, used, lost, held, written, billed }]
    })
    t.strictSame(wrong, [])
  })

  await t.test('the database is sound', async t => t.strictSame(await home.verify(), []))
  t.equal(await daemon.stop(), 0)
})
