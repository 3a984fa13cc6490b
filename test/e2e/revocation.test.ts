import { setTimeout as delay } from 'node:timers/promises'
import t from 'tap'
import { answerOf, chat, chatAsk, http2, open, openHttp2 } from '../support/clients.js'
import { anyProvider, chunk, endlessSse, lastChunk, openaiEvent, sseHead } from '../support/scripts.js'
import { freshKey, makeStage } from '../support/stage.js'
import { deferred, until, within } from '../support/until.js'
import type { Script } from '../support/upstream.js'

// What the command line changes, a running daemon obeys with its very next call.

t.test('changes under a running daemon', async t => {
  const { daemon, upstream, home, keys, secrets, grant } = await makeStage(t)

  /** A stream that goes on until `finish`. */
  function heldStream(): { readonly script: Script; finish(): void } {
    const held = deferred()
    return {
      finish: held.resolve,
      script: async exchange => {
        await exchange.body()
        await exchange.send(Buffer.concat([Buffer.from(sseHead), chunk(openaiEvent('first'))]))
        await Promise.race([held.promise, exchange.left])
        await exchange.send(Buffer.concat([chunk(openaiEvent('last')), chunk('data: [DONE]\n\n'), Buffer.from(lastChunk)]))
      },
    }
  }

  await t.test('a revoked token is refused by the very next call, ten times of ten', async t => {
    for (let round = 0; round < 10; round++) {
      const issued = await grant('--all')
      t.equal((await chat(daemon, issued.token)).status, 200)
      await home.json(['token', 'revoke', issued.id])
      const answer = await chat(daemon, issued.token)
      t.equal(answer.status, 401)
      t.equal(answer.json().error.code, 'token_revoked')
    }
  })

  await t.test('revoking what is not there fails', async t => {
    const ran = await home.run(['token', 'revoke', 'grt_0000000000000000000000'])
    t.equal(ran.code, 66)
    t.match(ran.stderr, /^soakp: /)
  })

  await t.test('a stream of a revoked grant finishes; with --now it is cut', async t => {
    for (const now of [false, true]) {
      const issued = await grant('--all')
      const held = heldStream()
      upstream.use(held.script)
      const response = await open(daemon, chatAsk(issued.token, { stream: true }))
      const answer = answerOf(response)
      await home.json(['token', 'revoke', issued.id, ...(now ? ['--now'] : [])])
      if (now) {
        const cut = await within(answer, 'the stream of the revoked grant')
        t.notOk(cut.complete, 'it does not look whole')
        const [entry] = (await home.entries()).filter(({ grantId }) => grantId === issued.id)
        t.match(entry, { outcome: 'cut' })
      } else {
        held.finish()
        const whole = await answer
        t.ok(whole.complete)
        t.ok(whole.text().endsWith('data: [DONE]\n\n'))
      }
    }
    upstream.use(anyProvider)
  })

  await t.test('with --now, streams over HTTP/2 are cut too', async t => {
    const issued = await grant('--all')
    upstream.use(
      endlessSse(
        () => openaiEvent('x'),
        () => delay(20),
      ),
    )
    const session = await http2(daemon)
    t.teardown(() => session.destroy())
    const stream = openHttp2(session, chatAsk(issued.token, { stream: true }))
    const closed = new Promise(resolve => stream.on('close', resolve))
    await until(() => upstream.open === 1, 'the stream')
    stream.resume()
    await home.json(['token', 'revoke', issued.id, '--now'])
    await within(closed, 'the stream')
    t.not(stream.rstCode, 0)
    await until(() => upstream.open === 0, 'the upstream call to end')
    upstream.use(anyProvider)
  })

  await t.test('rules that are set are obeyed by the very next call', async t => {
    const issued = await grant('--all')
    t.equal((await chat(daemon, issued.token)).status, 200)
    await home.json(['token', 'set', issued.id, '--models', 'gpt-5*'])
    t.equal((await chat(daemon, issued.token)).json().error.code, 'model_not_allowed')
    t.equal((await chat(daemon, issued.token, { model: 'gpt-5-mini' })).status, 200)
  })

  await t.test('a replaced token ends after its grace, the new one serves', async t => {
    const issued = await grant('--all')
    const next = await home.json<{ token: string }>(['token', 'rotate', issued.id, '--grace', '24h'])
    t.equal((await chat(daemon, issued.token)).status, 200)
    t.equal((await chat(daemon, next.token)).status, 200)
    const last = await home.json<{ token: string }>(['token', 'rotate', issued.id, '--grace', '0s'])
    t.equal((await chat(daemon, issued.token)).status, 401)
    t.equal((await chat(daemon, next.token)).status, 401)
    t.equal((await chat(daemon, last.token)).status, 200)
  })

  await t.test('a disabled key is not used by the very next call, an enabled one is; calls in flight live on', async t => {
    const issued = await grant('--all')
    const held = heldStream()
    upstream.use(held.script)
    const answer = answerOf(await open(daemon, chatAsk(issued.token, { stream: true })))
    await home.json(['key', 'disable', keys.openai ?? ''])
    const refused = await chat(daemon, issued.token)
    t.equal(refused.status, 503)
    t.equal(refused.json().error.code, 'no_key')
    held.finish()
    t.ok((await answer).complete)
    upstream.use(anyProvider)
    await home.json(['key', 'enable', keys.openai ?? ''])
    t.equal((await chat(daemon, issued.token)).status, 200)
  })

  await t.test('a rotated key goes out with the very next call; calls in flight live on', async t => {
    const issued = await grant('--all')
    const held = heldStream()
    upstream.use(held.script)
    const answer = answerOf(await open(daemon, chatAsk(issued.token, { stream: true })))
    const fresh = freshKey('openai')
    await home.json(['key', 'rotate', keys.openai ?? '', '--stdin', '--no-verify'], fresh)
    held.finish()
    t.ok((await answer).text().endsWith('data: [DONE]\n\n'))
    upstream.use(anyProvider)
    upstream.forget()
    t.equal((await chat(daemon, issued.token)).status, 200)
    t.equal(upstream.requests[0]?.header('authorization'), `Bearer ${fresh}`)
    t.not(fresh, secrets.openai)
  })

  await t.test('a removed key is not used by the very next call', async t => {
    const issued = await grant('--all')
    t.equal((await chat(daemon, issued.token)).status, 200)
    await home.json(['key', 'remove', keys.openai ?? ''])
    const answer = await chat(daemon, issued.token)
    t.equal(answer.status, 503)
    t.equal(answer.json().error.code, 'no_key')
  })
})
