import { randomInt } from 'node:crypto'
import { Agent } from 'node:https'
import t from 'tap'
import { answerOf, chat, chatAsk, open } from '../support/clients.js'
import type { Daemon } from '../support/daemon.js'
import { chunk, json, lastChunk, openaiChat, openaiEvent, openaiUsageEvent, sseHead } from '../support/scripts.js'
import { makeStage } from '../support/stage.js'
import { deferred } from '../support/until.js'

const kills = 50

/** Calls without end, half of them streams, until the daemon is gone; adds the id of every reply that was read to its end. */
async function load(daemon: Daemon, token: string, read: Set<string>, enough: () => void, after: number): Promise<void> {
  const agent = new Agent({ keepAlive: true })
  let streams = false
  while (daemon.alive()) {
    streams = !streams
    try {
      const answer = await answerOf(await open(daemon, chatAsk(token, { stream: streams, agent })))
      if (answer.complete && answer.status === 200) read.add(String(answer.headers['x-request-id']))
      if (read.size >= after) enough()
    } catch {
      // the kill
    }
  }
  agent.destroy()
}

t.test(
  'after kill -9 at any moment every reply that a client read to its end is in the ledger, once, and the database is sound',
  async t => {
    const plain = json(openaiChat)
    const { upstream, home, token, ...stage } = await makeStage(t, {
      script: async exchange => {
        const body = (await exchange.body()).toString()
        if (!body.includes('"stream":true')) return plain(exchange)
        await exchange.send(Buffer.concat([Buffer.from(sseHead), chunk(openaiEvent('a'))]))
        await exchange.send(Buffer.concat([chunk(openaiUsageEvent), chunk('data: [DONE]\n\n'), Buffer.from(lastChunk)]))
      },
    })
    const read = new Set<string>()
    let daemon = stage.daemon
    for (let kill = 0; kill < kills; kill++) {
      const after = read.size + randomInt(10, 60)
      const enough = deferred()
      const workers = Array.from({ length: 12 }, () => load(daemon, token, read, enough.resolve, after))
      await enough.promise
      await daemon.kill()
      await Promise.all(workers)
      daemon = await home.serve()
    }
    t.ok(read.size >= kills * 10, `${read.size} replies were read`)

    const entries = await home.entries()
    const recorded = new Set(entries.map(entry => entry.id))
    t.strictSame(
      [...read].filter(id => !recorded.has(id)),
      [],
      'no reply is missing',
    )
    t.equal(new Set(entries.map(entry => `${entry.id}/${entry.attempt}`)).size, entries.length, 'no entry is there twice')
    const byId = new Map(entries.map(entry => [entry.id, entry]))
    const wrong = [...read].filter(id => byId.get(id)?.outcome !== 'ok' || byId.get(id)?.outputTokens !== 7)
    t.strictSame(wrong, [], 'what was read is recorded as it was')
    t.strictSame(await home.verify(), [], 'the database is sound')
    t.equal((await chat(daemon, token)).status, 200)
    t.equal(await daemon.stop(), 0)
    t.ok(upstream.requests.length >= read.size)
  },
)
