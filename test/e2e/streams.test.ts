import { Agent } from 'node:https'
import { setImmediate as turn } from 'node:timers/promises'
import t from 'tap'
import { answerOf, call, chat, chatAsk, http2, open } from '../support/clients.js'
import { anthropicEvents, chunk, geminiEvents, lastChunk, openaiEvent, openaiUsageEvent, sse, sseHead, whole } from '../support/scripts.js'
import { makeStage } from '../support/stage.js'
import { until } from '../support/until.js'

// "The relayed bytes equal the provider's bytes, at every split of the stream, but for the listed exceptions."
const openaiEvents = [openaiEvent('Hé'), openaiEvent('🐟'), openaiUsageEvent, 'data: [DONE]\n\n']

t.test('streams', async t => {
  const { daemon, upstream, home, token } = await makeStage(t, { providers: ['openai', 'anthropic', 'gemini'] })
  const agent = new Agent({ keepAlive: true, maxSockets: 4 })
  t.teardown(() => agent.destroy())
  const session = await http2(daemon)
  t.teardown(() => session.destroy())

  const streams = [
    {
      title: "OpenAI's",
      path: '/openai/v1/chat/completions',
      events: openaiEvents,
      body: { stream: true, stream_options: { include_usage: true } },
    },
    { title: "Anthropic's", path: '/anthropic/v1/messages', events: anthropicEvents, body: { stream: true } },
    { title: "Gemini's", path: '/gemini/v1beta/models/gemini-2.5-flash:streamGenerateContent?alt=sse', events: geminiEvents, body: {} },
  ]

  for (const { title, path, events, body } of streams) {
    const bytes = Buffer.from(events.join(''))
    const ask = { path, token, agent, body: JSON.stringify({ model: 'm', messages: [], ...body }) }

    await t.test(`${title} stream, split in two at every byte, arrives whole and is metered every time`, async t => {
      const broken: number[] = []
      for (let at = 1; at < bytes.length; at++) {
        upstream.use(async exchange => {
          await exchange.body()
          await exchange.send(Buffer.concat([Buffer.from(sseHead), chunk(bytes.subarray(0, at))]))
          await turn()
          await exchange.send(Buffer.concat([chunk(bytes.subarray(at)), Buffer.from(lastChunk)]))
        })
        const answer = await call(daemon, ask)
        if (!answer.complete || !answer.body.equals(bytes)) broken.push(at)
      }
      t.strictSame(broken, [])
      const entries = (await home.entries()).slice(1 - bytes.length)
      t.equal(entries.length, bytes.length - 1)
      t.strictSame(
        entries.filter(entry => entry.inputTokens !== 11 || entry.outputTokens !== 7 || entry.usageSource !== 'provider').length,
        0,
        'counts are right at every split',
      )
    })

    await t.test(`${title} stream arrives when it comes a byte at a time`, async t => {
      upstream.use(async exchange => {
        await exchange.body()
        await exchange.send(sseHead)
        for (const byte of bytes) {
          await exchange.send(chunk(Buffer.of(byte)))
          await turn()
        }
        await exchange.send(lastChunk)
      })
      const answer = await call(daemon, ask)
      t.ok(answer.body.equals(bytes))
    })

    await t.test(`${title} stream that breaks off at any byte of the wire never looks whole to the client`, async t => {
      const wire = Buffer.concat([Buffer.from(sseHead), ...events.map(event => chunk(event)), Buffer.from(lastChunk)])
      const wrong: unknown[] = []
      let step = 1
      for (let at = 0; at < wire.length; at += step) {
        // every byte of the head and of the last chunks, and a sample of what lies between
        step = at < sseHead.length || at > wire.length - 40 ? 1 : 17
        upstream.use(async exchange => {
          await exchange.body()
          await exchange.send(wire.subarray(0, at))
          if (at % 2 === 0) exchange.close()
          else exchange.reset()
        })
        const answer = await call(daemon, { ...ask, agent: undefined }).catch((): undefined => undefined)
        if (answer?.complete && answer.status < 500) wrong.push({ at, status: answer.status })
      }
      t.strictSame(wrong, [])
      t.ok(daemon.alive())
    })
  }

  await t.test('a body with a length that breaks off at any byte never looks whole to the client', async t => {
    const reply = whole(200, 'application/json', '{"id":"x","usage":{"prompt_tokens":1,"completion_tokens":1}}')
    const wrong: unknown[] = []
    for (let at = 0; at < reply.length; at++) {
      upstream.use(async exchange => {
        await exchange.body()
        await exchange.send(reply.subarray(0, at))
        if (at % 2 === 0) exchange.close()
        else exchange.reset()
      })
      const answer = await chat(daemon, token).catch((): undefined => undefined)
      if (answer?.complete && answer.status < 500) wrong.push({ at, status: answer.status })
    }
    t.strictSame(wrong, [])
  })

  await t.test('each event reaches the client before the provider sends the next', async t => {
    let answered = 0
    upstream.use(async exchange => {
      await exchange.body()
      await exchange.send(sseHead)
      for (let index = 1; index <= 20; index++) {
        await exchange.send(chunk(openaiEvent(`w${index}`)))
        await until(() => answered === index, `event ${index} at the client`)
      }
      await exchange.send(chunk('data: [DONE]\n\n') + lastChunk)
    })
    for (const version of ['HTTP/1.1', 'HTTP/2']) {
      answered = 0
      let text = ''
      const count = (part: Buffer) => {
        text += part
        answered = text.split('\n\n').length - 1
      }
      if (version === 'HTTP/1.1') {
        const response = await open(daemon, chatAsk(token, { stream: true }))
        t.equal(response.headers['x-accel-buffering'], 'no')
        response.on('data', count)
        t.ok((await answerOf(response)).complete)
      } else {
        const stream = session.request({ ':method': 'POST', ':path': '/openai/v1/chat/completions', authorization: `Bearer ${token}` })
        stream.on('data', count)
        stream.end(String(chatAsk(token, { stream: true }).body))
        await new Promise(resolve => stream.on('close', resolve))
      }
      t.ok(text.endsWith('data: [DONE]\n\n'), version)
    }
  })

  await t.test('when usage is asked for on the client’s behalf, the chunk it adds is taken out, and only that one', async t => {
    const before = [openaiEvent('a'), openaiEvent('b', { usage: null })]
    const after = [`data: ${JSON.stringify({ choices: [], note: 'not usage' })}\n\n`, 'data: [DONE]\n\n']
    const wire = Buffer.from([...before, openaiUsageEvent, ...after].join(''))
    const broken: number[] = []
    for (let at = 1; at < wire.length; at += 3) {
      upstream.use(async exchange => {
        const body = JSON.parse((await exchange.body()).toString())
        t.equal(body.stream_options?.include_usage, true)
        await exchange.send(Buffer.concat([Buffer.from(sseHead), chunk(wire.subarray(0, at))]))
        await turn()
        await exchange.send(Buffer.concat([chunk(wire.subarray(at)), Buffer.from(lastChunk)]))
      })
      const answer = await chat(daemon, token, { stream: true, agent })
      if (answer.text() !== [...before, ...after].join('')) broken.push(at)
    }
    t.strictSame(broken, [])
  })

  await t.test('a provider that refuses stream_options is asked again without them, once', async t => {
    upstream.forget()
    upstream.use(async exchange => {
      const body = (await exchange.body()).toString()
      if (body.includes('stream_options')) {
        await exchange.send(
          whole(400, 'application/json', '{"error":{"message":"Unrecognized request argument supplied: stream_options"}}'),
        )
      } else await sse([openaiEvent('fine'), 'data: [DONE]\n\n'])(exchange)
    })
    const answer = await chat(daemon, token, { stream: true })
    t.equal(answer.status, 200)
    t.ok(answer.text().includes('fine'))
    t.equal(upstream.requests.length, 2)
  })
})
