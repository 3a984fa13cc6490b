import t from 'tap'
import { findDialect, findProvider, matchEndpoint } from '../../../src/providers/index.js'
import { createMeter, type Meter, type MeterOptions, promptBytes } from '../../../src/relay/meter/meter.js'
import { type UsageFixture, usageFixtures } from '../../contracts/provider.js'

function optionsOf(fixture: UsageFixture, more: Partial<MeterOptions> = {}): MeterOptions {
  const provider = findProvider(fixture.provider)
  const [method = '', path = ''] = fixture.endpoint.split(' ')
  const match = provider && matchEndpoint(provider, method, path)
  if (!provider || match?.kind !== 'endpoint') throw new Error(`${fixture.endpoint} is no endpoint of ${fixture.provider}`)
  return {
    dialect: match.endpoint.dialect ?? provider.dialect,
    status: 200,
    contentType: fixture.contentType,
    contentEncoding: undefined,
    injectedUsage: false,
    estimate: match.endpoint.estimate !== undefined,
    requestBytes: 100,
    ...more,
  }
}

function run(meter: Meter, chunks: readonly Buffer[]) {
  const out: Buffer[] = []
  for (const chunk of chunks) {
    const sent = meter.feed(chunk)
    if (sent) out.push(...(Buffer.isBuffer(sent) ? [sent] : sent))
  }
  const metered = meter.end()
  if (metered.tail) out.push(metered.tail)
  return { text: Buffer.concat(out).toString('utf8'), metered }
}

const splitAt = (bytes: Buffer, at: number) => [bytes.subarray(0, at), bytes.subarray(at)].filter(part => part.length > 0)
const bytewise = (bytes: Buffer) => Array.from(bytes, (_, i) => bytes.subarray(i, i + 1))

for (const fixture of usageFixtures) {
  t.test(`${fixture.name}: usage is read as documented, at every split, and the bytes are unchanged`, async t => {
    const bytes = Buffer.from(fixture.body)
    const check = (chunks: readonly Buffer[], what: string) => {
      const { text, metered } = run(createMeter(optionsOf(fixture)), chunks)
      if (text !== fixture.body) t.fail(`bytes changed: ${what}`)
      if (JSON.stringify(metered.usage ?? null) !== JSON.stringify(fixture.usage)) t.same(metered.usage, fixture.usage, what)
      if ((metered.model ?? null) !== fixture.model) t.equal(metered.model, fixture.model, what)
      t.equal(metered.source, fixture.usage ? 'provider' : 'none', what)
    }
    check([bytes], 'whole')
    check(bytewise(bytes), 'byte by byte')
    for (let at = 1; at < bytes.length; at++) check(splitAt(bytes, at), `split at ${at}`)
  })

  t.test(`${fixture.name}: cut anywhere, what was counted stays, and nothing is free`, async t => {
    const bytes = Buffer.from(fixture.body)
    const options = optionsOf(fixture)
    let most = 0
    for (let at = 0; at <= bytes.length; at++) {
      const { usage, source } = createMeterAndCut(options, bytes.subarray(0, at))
      if (!options.estimate) continue
      if (!usage || (usage.inputTokens === 0 && usage.outputTokens === 0 && !usage.units)) return t.fail(`free at ${at}`)
      if (source === 'provider') {
        if (usage.inputTokens < most) return t.fail(`taken back at ${at}`)
        most = usage.inputTokens
      }
    }
    t.pass()
  })
}

function createMeterAndCut(options: MeterOptions, bytes: Buffer) {
  const meter = createMeter(options)
  meter.feed(bytes)
  return meter.end()
}

const chat = usageFixtures.find(fixture => fixture.name === 'openai-chat-stream') as UsageFixture
/** What the provider would have sent unasked, but for `usage: null` in every chunk. */
const withoutUsageChunk = (body: string) => body.replace(/data: [^\n]*"choices":\[\],"usage":\{[^\n]*\n\n/, '')

t.test('the chunk that our question brought is taken out at every split, and nothing else', async t => {
  const options = optionsOf(chat, { injectedUsage: true })
  const expected = withoutUsageChunk(chat.body)
  t.not(expected, chat.body)
  const bytes = Buffer.from(chat.body)
  for (let at = 0; at <= bytes.length; at++) {
    const { text, metered } = run(createMeter(options), splitAt(bytes, at))
    if (text !== expected) t.equal(text, expected, `split at ${at}`)
    if (metered.source !== 'provider') t.fail(`not metered at ${at}`)
  }
  t.equal(run(createMeter(options), bytewise(bytes)).text, expected)
})

t.test('whatever ends its lines, surrounds it or is missing at its end, the chunk is taken out alone', async t => {
  const options = optionsOf(chat, { injectedUsage: true })
  const lf = chat.body
  const taken = withoutUsageChunk(lf)
  const spaced = (text: string) => text.replaceAll('"choices":', '"choices": ').replaceAll('"usage":', '"usage" : ')
  const cases: readonly (readonly [string, string])[] = [
    [lf.replaceAll('\n', '\r\n'), taken.replaceAll('\n', '\r\n')],
    [lf.replaceAll('\n', '\r'), taken.replaceAll('\n', '\r')],
    [`\ufeff${lf}`, `\ufeff${taken}`],
    [`: keep-alive\n\n${lf}: bye\n\n`, `: keep-alive\n\n${taken}: bye\n\n`],
    [spaced(lf), spaced(taken)],
    [lf.replaceAll('data: ', 'data:'), taken.replaceAll('data: ', 'data:')],
    [lf.replace('data: [DONE]\n\n', '').trimEnd(), taken.replace('data: [DONE]\n\n', '')],
    ['data: {"choices":[]}\n\n', 'data: {"choices":[]}\n\n'],
    ['data: {"choices":[],"usage":null}\n\n', 'data: {"choices":[],"usage":null}\n\n'],
    ['data: {"error":{"message":"x"}}\n\n', 'data: {"error":{"message":"x"}}\n\n'],
    ['data: {"choices":[],\ndata: "usage":{"prompt_tokens":1}}\n\ndata: [DONE]\n\n', 'data: [DONE]\n\n'],
    ['id: 1\ndata: {"choices":[],"usage":{"prompt_tokens":1}}\n\ndata: x\n\n', 'id: 1\n\ndata: x\n\n'],
    ['retry: 5\n\ndata\n\ndatum: 1\n\n', 'retry: 5\n\ndata\n\ndatum: 1\n\n'],
    ['data: {"choi', 'data: {"choi'],
    [`data: {"x":"${'y'.repeat(70_000)}"}\n\n${lf}`, `data: {"x":"${'y'.repeat(70_000)}"}\n\n${taken}`],
  ]
  for (const [sent, expected] of cases) {
    const bytes = Buffer.from(sent)
    for (let at = 0; at <= bytes.length; at += bytes.length > 10_000 ? 997 : 1) {
      const { text } = run(createMeter(options), splitAt(bytes, at))
      if (text !== expected) return t.equal(text, expected, `split at ${at}`)
    }
    if (bytes.length < 10_000) t.equal(run(createMeter(options), bytewise(bytes)).text, expected)
  }
})

t.test('a piece of text is not held back once it can be told from the chunk that is', async t => {
  const meter = createMeter(optionsOf(chat, { injectedUsage: true }))
  const start = Buffer.from('data: {"id":"1","choices":[{"index":0,"delta":{"content":"Hel')
  t.equal(meter.feed(start), start)
  const rest = Buffer.from('lo"}}]}\n\n')
  t.equal(meter.feed(rest), rest)
  t.equal(meter.feed(Buffer.from('data: {"id":"1"')), undefined)
  t.same(meter.feed(Buffer.from(',"choices":[{')), [Buffer.from('data: {"id":"1"'), Buffer.from(',"choices":[{')])
  meter.feed(Buffer.from('}]}\n\n'))
  const done = Buffer.from('data: [DO')
  t.equal(meter.feed(done), done)
  const comment = Buffer.from('NE]\n\n: keep')
  t.equal(meter.feed(comment), comment)
})

t.test('without a question of ours the very same chunks pass', async t => {
  const meter = createMeter(optionsOf(chat))
  for (const chunk of [Buffer.from('data: {"id"'), Buffer.from(':1}\n'), Buffer.from('\n')]) t.equal(meter.feed(chunk), chunk)
})

t.test('an error reply has consumed nothing', async t => {
  for (const status of [400, 429, 500, 304]) {
    t.same(run(createMeter(optionsOf(chat, { status })), [Buffer.from(chat.body)]).metered, { usage: undefined, source: 'none' })
  }
})

t.test('counts that were told before anything was written are an estimate where nothing follows them', async t => {
  const body = `event: message_start\ndata: {"type":"message_start","message":{"model":"claude-x","usage":{"input_tokens":9,"output_tokens":1}}}\n\n`
  const options = { ...optionsOf(chat), dialect: findDialect('anthropic') as MeterOptions['dialect'], contentType: 'text/event-stream' }
  const { metered } = run(createMeter(options), [Buffer.from(body)])
  t.match(metered, { source: 'estimated', usage: { inputTokens: 9, outputTokens: 1 } })
  const delta = 'event: message_delta\ndata: {"type":"message_delta","usage":{"output_tokens":5}}\n\n'
  t.match(run(createMeter(options), [Buffer.from(body + delta)]).metered, {
    source: 'provider',
    usage: { inputTokens: 9, outputTokens: 5 },
  })
})

t.test('where the provider is silent the counts are estimated from the text, and said to be', async t => {
  const stream = chat.body.replace(/data: [^\n]*"usage":\{[^\n]*\n\n/, '')
  const { metered } = run(createMeter(optionsOf(chat)), [Buffer.from(stream)])
  t.equal(metered.source, 'estimated')
  t.equal(metered.usage?.inputTokens, 25)
  t.equal(metered.usage?.outputTokens, Math.ceil(Buffer.byteLength('Hello wörld 👋') / 4))
})

t.test('a stream that ends before its last counts is the counts so far and an estimate of the rest', async t => {
  const fixture = usageFixtures.find(({ name }) => name === 'anthropic-stream') as UsageFixture
  const cut = fixture.body.slice(0, fixture.body.indexOf('event: message_delta'))
  const { metered } = run(createMeter(optionsOf(fixture)), [Buffer.from(cut)])
  t.match(metered, { source: 'estimated', usage: { inputTokens: 135, outputTokens: 1 + 2 } })
})

t.test('a compressed reply is not looked into, but counted', async t => {
  const { text, metered } = run(createMeter(optionsOf(chat, { contentEncoding: 'gzip' })), [Buffer.alloc(400, 1)])
  t.equal(text.length, 400)
  t.match(metered, { source: 'estimated', usage: { inputTokens: 25, outputTokens: 100 } })
})

t.test('a reply of many megabytes is passed without being kept, and its usage is found at its top level only', async t => {
  const decoy = '{"usage":{"prompt_tokens":1,"completion_tokens":1}}'
  const head = `{"model":"m","decoy":[${decoy}],"text":"${'\\"usage\\":{\\\\'.repeat(150_000)}","nested":${decoy},"usage"`
  const body = Buffer.from(`${head} : {"prompt_tokens":70,"completion_tokens":7},"after":${decoy},"usage_x":{"prompt_tokens":2}}`)
  for (const size of [1000, 4096, 65_536, body.length]) {
    const chunks = Array.from({ length: Math.ceil(body.length / size) }, (_, i) => body.subarray(i * size, (i + 1) * size))
    const { metered } = run(createMeter(optionsOf(chat, { contentType: 'application/json' })), chunks)
    t.match(metered.usage, { inputTokens: 70, outputTokens: 7 }, `in chunks of ${size}`)
  }
})

t.test('an event larger than a megabyte passes unread, and the next one is read', async t => {
  const body = Buffer.from(`data: {"choices":[{"delta":{"content":"${'x'.repeat(1_500_000)}"}}]}\n\n${chat.body}`)
  const chunks = Array.from({ length: Math.ceil(body.length / 50_000) }, (_, i) => body.subarray(i * 50_000, (i + 1) * 50_000))
  for (const injectedUsage of [false, true]) {
    const { text, metered } = run(createMeter(optionsOf(chat, { injectedUsage })), chunks)
    t.equal(text.length, (injectedUsage ? withoutUsageChunk(body.toString()) : body.toString()).length)
    t.equal(metered.usage?.outputTokens, 46)
  }
})

t.test('NDJSON is read line by line', async t => {
  const body = Buffer.from('{"model":"m","message":{"content":"hi"}}\n{"usage":{"prompt_tokens":4,"completion_tokens":2}}')
  for (const chunks of [[body], bytewise(body)]) {
    const { metered } = run(createMeter(optionsOf(chat, { contentType: 'application/x-ndjson' })), chunks)
    t.match(metered, { source: 'provider', usage: { inputTokens: 4, outputTokens: 2 }, model: 'm' })
  }
})

t.test('an attachment counts as a picture does, not by its length', async t => {
  const image = 'A'.repeat(1_000_000)
  t.ok(promptBytes(Buffer.from(`{"messages":[{"image_url":{"url":"data:image/png;base64,${image}"}}]}`)) < 5000)
  t.ok(promptBytes(Buffer.from(`{"source":{"type":"base64","data":"${image}"},"text":"hello"}`)) < 5000)
  t.equal(promptBytes(Buffer.from('{"data":"x"}')), 12)
  t.equal(promptBytes(Buffer.from(`{"text":"${image}"}`)), 1_000_011)
})

t.test('embeddings of a provider that counts nothing are estimated by their input alone', async t => {
  const fixture = {
    ...chat,
    provider: 'gemini',
    endpoint: 'POST /v1beta/models/gemini-embedding-001:embedContent',
    contentType: 'application/json',
  }
  const { metered } = run(createMeter(optionsOf(fixture)), [Buffer.from('{"embedding":{"values":[0.1,0.2]}}')])
  t.match(metered, { source: 'estimated', usage: { inputTokens: 25, outputTokens: 0 } })
})
