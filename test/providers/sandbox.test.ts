import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { Readable } from 'node:stream'
import OpenAI from 'openai'
import t, { type Test } from 'tap'
import type { UpstreamReply } from '../../src/providers/provider.js'
import { serveSandbox } from '../../src/providers/sandbox/serve.js'

/** The sandbox behind a real socket, so that the SDK can be unchanged. */
async function listening(t: Test, streamed = false): Promise<{ url: string; aborted: () => number }> {
  let aborted = 0
  const server = createServer((request, response) => {
    const body: Buffer[] = []
    const answer = (sent: Buffer | NodeJS.ReadableStream) => {
      const reply: UpstreamReply = serveSandbox(
        {
          method: request.method ?? 'GET',
          path: request.url ?? '/',
          headers: request.rawHeaders.map((text, i) => (i % 2 ? text : text.toLowerCase())),
          body: sent,
        },
        {
          head: (status, headers) => response.writeHead(status, headers.map(String)),
          data: chunk => response.write(chunk),
          end: () => response.end(),
          fail: error => response.destroy(error),
        },
      )
      response.on('drain', () => reply.resume())
      response.on('close', () => {
        if (!response.writableFinished) aborted++
        reply.abort()
      })
    }
    if (streamed) answer(request)
    else request.on('data', chunk => body.push(chunk)).on('end', () => answer(Buffer.concat(body)))
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  t.teardown(() => {
    server.closeAllConnections()
    server.close()
  })
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/v1`, aborted: () => aborted }
}

async function client(t: Test, apiKey = 'sandbox', streamed = false): Promise<OpenAI> {
  return new OpenAI({ apiKey, baseURL: (await listening(t, streamed)).url, maxRetries: 0 })
}

const errorOf = (call: PromiseLike<unknown>) =>
  Promise.resolve(call).then(
    () => undefined,
    (error: unknown) => error,
  )

async function statusOf(call: PromiseLike<unknown>): Promise<number | undefined> {
  const error = await errorOf(call)
  return error instanceof OpenAI.APIError ? error.status : undefined
}

const messages = [{ role: 'user' as const, content: 'Say hello.' }]

t.test('the openai SDK gets a chat answer, whole and streamed, with the same text', async t => {
  const openai = await client(t)
  const whole = await openai.chat.completions.create({ model: 'sandbox', messages })
  const text = whole.choices[0]?.message.content ?? ''
  t.match(text, /^Hello from the sandbox/)
  t.ok(whole.usage && whole.usage.prompt_tokens > 0 && whole.usage.completion_tokens > 0)
  const stream = await openai.chat.completions.create({ model: 'sandbox', messages, stream: true })
  let streamed = ''
  let chunks = 0
  for await (const chunk of stream) {
    streamed += chunk.choices[0]?.delta.content ?? ''
    t.notOk('usage' in chunk, 'no usage unless asked for')
    chunks++
  }
  t.equal(streamed, text)
  t.ok(chunks > 15 && chunks < 40)
})

t.test('usage comes as one more chunk where the client asks for it, and nowhere else', async t => {
  const openai = await client(t)
  const stream = await openai.chat.completions.create({ model: 'sandbox', messages, stream: true, stream_options: { include_usage: true } })
  const seen = []
  for await (const chunk of stream) seen.push(chunk)
  const last = seen.at(-1)
  t.same(last?.choices, [])
  t.ok(last?.usage && last.usage.completion_tokens > 0)
  t.ok(seen.slice(0, -1).every(chunk => chunk.usage === null))
  t.equal(await statusOf(openai.chat.completions.create({ model: 'sandbox', messages, stream_options: { include_usage: true } })), 400)
})

t.test('max_tokens cuts the answer short and says so; n gives as many choices', async t => {
  const openai = await client(t)
  const reply = await openai.chat.completions.create({ model: 'sandbox', messages, max_tokens: 3, n: 2 })
  t.equal(reply.choices.length, 2)
  t.equal(reply.choices[1]?.finish_reason, 'length')
  t.equal(reply.choices[0]?.message.content, 'Hello from the')
  t.equal(reply.usage?.completion_tokens, 6)
})

t.test('the Responses API answers whole and streamed', async t => {
  const openai = await client(t)
  const whole = await openai.responses.create({ model: 'sandbox', input: 'Say hello.' })
  t.match(whole.output_text, /^Hello from the sandbox/)
  const stream = openai.responses.stream({ model: 'sandbox', input: 'Say hello.' })
  let text = ''
  for await (const event of stream) if (event.type === 'response.output_text.delta') text += event.delta
  t.equal(text, whole.output_text)
  t.ok((await stream.finalResponse()).usage?.output_tokens)
})

t.test('embeddings are the same vector as numbers and as base64', async t => {
  const openai = await client(t)
  const decoded = await openai.embeddings.create({ model: 'sandbox-embedding', input: ['one', 'two'] })
  const plain = await openai.embeddings.create({ model: 'sandbox-embedding', input: 'one', encoding_format: 'float' })
  t.equal(decoded.data.length, 2)
  t.same(Array.from(decoded.data[0]?.embedding ?? []), Array.from(Float32Array.from(plain.data[0]?.embedding ?? [])))
  t.notSame(decoded.data[0]?.embedding, decoded.data[1]?.embedding)
})

t.test('models are listed and looked up', async t => {
  const openai = await client(t)
  const names = []
  for await (const model of openai.models.list()) names.push(model.id)
  t.ok(names.includes('sandbox'))
  t.equal((await openai.models.retrieve('sandbox')).id, 'sandbox')
  t.equal(await statusOf(openai.models.retrieve('gpt-5')), 404)
})

t.test('errors come on demand, in the class the SDK has for them', async t => {
  const openai = await client(t)
  const ask = (model: string, more = {}) => openai.chat.completions.create({ model, messages, ...more })
  t.ok((await errorOf(ask('sandbox-error-401'))) instanceof OpenAI.AuthenticationError)
  t.ok((await errorOf(ask('sandbox-error-429'))) instanceof OpenAI.RateLimitError)
  t.ok((await errorOf(ask('sandbox-error-500'))) instanceof OpenAI.InternalServerError)
  t.equal(await statusOf(ask('sandbox-error-503')), 503)
  t.ok((await errorOf(ask('gpt-5'))) instanceof OpenAI.NotFoundError)
  t.ok((await errorOf(ask('sandbox', { messages: 'hello' }))) instanceof OpenAI.BadRequestError)
  await t.rejects(ask('sandbox-error-cut'))
  t.ok(
    (await errorOf(openai.chat.completions.create({ model: 'sandbox-error-timeout', messages }, { timeout: 50 }))) instanceof
      OpenAI.APIConnectionTimeoutError,
  )
})

t.test('a stream that is cut arrives up to there', async t => {
  const openai = await client(t)
  const stream = await openai.chat.completions.create({ model: 'sandbox-error-cut', messages, stream: true })
  let text = ''
  await t.rejects(async () => {
    for await (const chunk of stream) text += chunk.choices[0]?.delta.content ?? ''
  })
  t.match(text, /^Hello from the sandbox/)
})

t.test('a key that begins with bad is refused, and so is none', async t => {
  t.ok((await errorOf((await client(t, 'bad-key')).models.list())) instanceof OpenAI.AuthenticationError)
  const { url } = await listening(t)
  t.equal((await fetch(`${url}/models`)).status, 401)
})

t.test('a body may come as a stream', async t => {
  const openai = await client(t, 'sandbox', true)
  t.match((await openai.chat.completions.create({ model: 'sandbox', messages })).choices[0]?.message.content, /^Hello/)
})

t.test('what does not exist is answered as OpenAI does', async t => {
  const { url } = await listening(t)
  const reply = await fetch(`${url}/nothing`, { headers: { authorization: 'Bearer x' } })
  t.equal(reply.status, 404)
  t.match(await reply.json(), { error: { type: 'invalid_request_error', code: 'unknown_url' } })
})

/** The sandbox's timers keep no process alive, and without a socket nothing else does. */
function stayAlive(t: Test): void {
  const timer = setInterval(() => {}, 1000)
  t.teardown(() => clearInterval(timer))
}

const ask = (body: string | NodeJS.ReadableStream, method = 'POST') => ({
  method,
  path: '/v1/chat/completions',
  headers: ['authorization', 'Bearer x', 'content-type', 'application/json'],
  body: typeof body === 'string' ? Buffer.from(body) : body,
})

t.test('the sink is not called before the call returns, and never after an abort', async t => {
  stayAlive(t)
  let calls = 0
  const count = () => {
    calls++
    return true
  }
  const request = ask(JSON.stringify({ model: 'sandbox-endless', messages, stream: true }))
  const seen = await new Promise<number>(resolve => {
    let returned = false
    const reply = serveSandbox(request, {
      head: () => t.ok(returned, 'head comes later'),
      data: () => {
        count()
        if (calls === 3) {
          reply.abort()
          resolve(calls)
        }
        return true
      },
      end: () => t.fail('ended'),
      fail: error => t.fail(error),
    })
    returned = true
  })
  // another stream, from its first piece to its last, is more than time enough for a stray one
  const openai = await client(t)
  for await (const _ of await openai.chat.completions.create({ model: 'sandbox', messages, stream: true, max_tokens: 9 })) t.pass('alive')
  t.equal(calls, seen)
})

t.test('a sink that asks for a pause gets one, and nothing is lost', async t => {
  stayAlive(t)
  const request = ask(JSON.stringify({ model: 'sandbox', messages, stream: true }))
  const text = await new Promise<string>((resolve, reject) => {
    let all = ''
    let paused = false
    const reply = serveSandbox(request, {
      head: () => {},
      data: chunk => {
        t.notOk(paused, 'nothing arrives in a pause')
        all += chunk
        paused = true
        setImmediate(() => {
          paused = false
          reply.resume()
        })
        return false
      },
      end: () => resolve(all),
      fail: reject,
    })
  })
  t.match(text, /data: \[DONE\]\n\n$/)
})

t.test('a request body that breaks off fails the reply once', async t => {
  stayAlive(t)
  const body = new Readable({ read() {} })
  body.push('{"model":')
  let failures = 0
  await new Promise<void>(resolve => {
    serveSandbox(ask(body), {
      head: () => t.fail('no head'),
      data: () => true,
      end: () => t.fail('no end'),
      fail: () => {
        failures++
        resolve()
      },
    })
    body.destroy(new Error('client gone'))
  })
  t.equal(failures, 1)
})
