import OpenAI, { toFile } from 'openai'
import t from 'tap'
import { formatDollars } from '../../src/lib/money.js'
import type { Store } from '../../src/stores/store.js'
import { type UsageFixture, usageFixtures } from '../contracts/provider.js'
import { call, chat } from '../support/clients.js'
import { withStore } from '../support/home-store.js'
import { json, raw, whole } from '../support/scripts.js'
import { makeStage } from '../support/stage.js'

const counter = 'tenant/default/microDollars/total'
const budgetOf = (store: Store, microDollars: number) =>
  store.putLimit({
    tenant: 'default',
    kind: 'tenant',
    subject: 'default',
    model: '',
    rate: null,
    concurrency: null,
    quotas: [],
    budgets: [`${formatDollars(microDollars)}usd/total`],
    shadow: false,
    createdAtMs: 1,
  })

/** Plain samples of so many seconds, at 8000 a second. */
function wav(seconds: number, { bytesPerSecond = 16_000, channels = 1 } = {}): Buffer {
  const head = Buffer.alloc(44)
  const bytes = 16_000 * seconds
  head.write('RIFF', 0, 'latin1')
  head.writeUInt32LE(36 + bytes, 4)
  head.write('WAVEfmt ', 8, 'latin1')
  head.writeUInt32LE(16, 16)
  head.writeUInt16LE(1, 20)
  head.writeUInt16LE(channels, 22)
  head.writeUInt32LE(8000, 24)
  head.writeUInt32LE(bytesPerSecond, 28)
  head.writeUInt16LE(2, 32)
  head.writeUInt16LE(16, 34)
  head.write('data', 36, 'latin1')
  head.writeUInt32LE(bytes, 40)
  return Buffer.concat([head, Buffer.alloc(bytes)])
}

interface FormField {
  readonly name: string
  readonly value: string | Buffer
  readonly file?: string
}

function form(...fields: FormField[]) {
  const parts = fields.flatMap(({ name, value, file }) => [
    `--edge\r\nContent-Disposition: form-data; name="${name}"${file ? `; filename="${file}"` : ''}\r\n\r\n`,
    value,
    '\r\n',
  ])
  return {
    headers: { 'content-type': 'multipart/form-data; boundary=edge' },
    body: Buffer.concat([...parts, '--edge--\r\n'].map(part => Buffer.from(part as string))),
  }
}

const asJson = (value: unknown) => ({ headers: { 'content-type': 'application/json' }, body: JSON.stringify(value) })
const model = (value: string): FormField => ({ name: 'model', value })
const file = (value: Buffer, name = 'file'): FormField => ({ name, value, file: `${name}.bin` })
const picture = file(Buffer.from('PNG'), 'image')
const prompt = { name: 'prompt', value: 'a cat on a roof' }
const many = Array.from({ length: 250 }, (_, at) => `document ${at}: ${'word '.repeat(120)}`)

interface Case {
  readonly name: string
  /** Whose reply is the provider's. */
  readonly fixture: string
  readonly ask: { readonly headers: Record<string, string>; readonly body: string | Buffer }
  /** Instead of the fixture's. */
  readonly path?: string
  /** In micro-dollars, worked out by hand, for a body of so many bytes. */
  readonly worst: (bytes: number) => number
}

const cases: readonly Case[] = [
  {
    name: 'pictures of a stated quality and size',
    fixture: 'openai-images',
    ask: asJson({ model: 'gpt-image-1', prompt: 'a cat', n: 2, quality: 'low', size: '1024x1024' }),
    // the bytes and a thousand as text or as pictures given, two of 272 and a thousand each
    worst: bytes => (1000 + bytes) * 10 + 2 * 1272 * 40,
  },
  {
    name: 'pictures that do not say how good they are wanted are held as the best',
    fixture: 'openai-images',
    ask: asJson({ model: 'gpt-image-1', prompt: 'a cat' }),
    worst: bytes => (1000 + bytes) * 10 + 7240 * 40,
  },
  {
    name: 'an edit of pictures, sent as a form',
    fixture: 'openai-images',
    path: '/v1/images/edits',
    ask: form(picture, model('gpt-image-1'), prompt, { name: 'n', value: '3' }, { name: 'quality', value: 'medium' }),
    worst: () => (1000 + 10_000 + 11 + 15 + 1 + 6) * 10 + 3 * 2584 * 40,
  },
  {
    name: 'a transcript that is billed by tokens, of any file',
    fixture: 'openai-transcription',
    ask: form(file(Buffer.from('OggS')), model('gpt-4o-transcribe')),
    worst: () => 16_000 * 6 + 16_000 * 10,
  },
  {
    name: 'a transcript that is billed by seconds, of plain samples',
    fixture: 'openai-transcription-duration',
    ask: form(model('whisper-1'), file(wav(9))),
    // with its head, a little longer than nine
    worst: () => 10 * 100,
  },
  {
    name: 'speech, by its characters',
    fixture: 'openai-speech-sse',
    path: '/v1/audio/speech',
    ask: asJson({ model: 'tts-1', voice: 'alloy', input: 'héllo 👋' }),
    worst: () => 7 * 15,
  },
  {
    name: 'embeddings, by their input alone',
    fixture: 'openai-embeddings',
    ask: asJson({ model: 'text-embedding-3-small', input: 'a cat' }),
    worst: bytes => (1000 + bytes) * 0.02,
  },
  {
    name: 'a search through many documents',
    fixture: 'cohere-rerank',
    ask: asJson({ model: 'rerank-v3.5', query: 'cats', documents: many }),
    worst: bytes => Math.ceil((250 + Math.ceil(bytes / 494)) / 100) * 2000,
  },
]

const fixtureOf = (name: string) => usageFixtures.find(fixture => fixture.name === name) as UsageFixture

t.test(
  'what is billed by pictures, seconds, characters and searches is held at its worst, and refused if and only if that does not fit',
  async t => {
    const { daemon, home, upstream, token } = await makeStage(t, { providers: ['openai', 'cohere'] })
    await withStore(home.dir, async store => {
      for (const { name, fixture, ask, worst, path } of cases) {
        const { provider, endpoint, contentType, body, cost } = fixtureOf(fixture)
        const asked = { path: `/${provider}${path ?? endpoint.split(' ')[1]}`, token, ...ask }
        upstream.use(raw(whole(200, contentType, body)))
        const used = (await store.counterTotals([counter])).reduce((sum, total) => sum + total.used, 0)
        const most = Math.ceil(worst(Buffer.byteLength(ask.body)))
        await budgetOf(store, used + most - 1)
        const sent = upstream.requests.length
        const refused = await call(daemon, asked)
        t.equal(refused.status, 429, `${name}: ${refused.text().slice(0, 300)}`)
        t.equal(upstream.requests.length, sent, 'nothing leaves')
        await budgetOf(store, used + most)
        const answer = await call(daemon, asked)
        t.equal(answer.status, 200, `${name}: ${answer.text().slice(0, 300)}`)
        const entry = (await home.entries()).at(-1)
        t.equal(entry?.errorCode, null, `${name} is within what was held`)
        t.ok(
          (entry?.costMicroDollars ?? 0) > 0 && (entry?.costMicroDollars ?? 0) <= most,
          `${name} cost ${entry?.costMicroDollars} of ${most}`,
        )
        if (cost !== undefined && path === undefined && !name.startsWith('speech'))
          t.ok(entry?.price?.includes('@'), 'by a price that is known')
      }
    })
  },
)

t.test('what nothing bounds is refused under a budget, and says why', async t => {
  const { daemon, upstream, grant } = await makeStage(t)
  const { token } = await grant('--all', '--budget', '100usd/d')
  const whisper = model('whisper-1')
  const unbounded = {
    'a compressed file, which may be of any length': form(whisper, file(Buffer.from('ID3.mp3'))),
    'a header that says several things': form(whisper, file(wav(1, { bytesPerSecond: 32_000 }))),
    'a header of more channels than its samples have': form(whisper, file(wav(1, { channels: 2 }))),
    'two files': form(whisper, file(wav(1)), file(wav(1), 'other')),
    'a file that somebody else is to fetch': form(whisper, file(wav(1)), { name: 'url', value: 'https://example.com/long.wav' }),
    'no file': form(whisper),
  }
  for (const [name, ask] of Object.entries(unbounded)) {
    const answer = await call(daemon, { path: '/openai/v1/audio/transcriptions', token, ...ask })
    t.match(answer.json().error, { code: 'cost_unbounded', message: /how long its sound is.*--max-cost-per-call/ }, name)
  }
  const pictures = {
    'a number of pictures that is none': form(picture, model('gpt-image-1'), prompt, { name: 'n', value: 'many' }),
    'a file that is no picture': form(picture, model('gpt-image-1'), file(Buffer.from('x'), 'prompt')),
    'a model nobody knows': form(picture, model('gpt-image-99'), prompt),
  }
  for (const [name, ask] of Object.entries(pictures))
    t.match((await call(daemon, { path: '/openai/v1/images/edits', token, ...ask })).json().error, { code: 'cost_unbounded' }, name)
  const unified = { path: '/v1/audio/transcriptions', token, ...form(model('openai/whisper-1'), file(Buffer.from('ID3.mp3'))) }
  t.match((await call(daemon, unified)).json().error, { code: 'cost_unbounded' }, 'nor at the unified endpoint')
  t.equal(upstream.requests.length, 0)
  upstream.use(json({ text: 'hello', usage: { type: 'duration', seconds: 9 } }))
  const short = { ...unified, ...form(model('openai/whisper-1'), file(wav(9))) }
  t.equal((await call(daemon, short)).status, 200, 'where a call that is bounded may go')
})

t.test('limits on models count forms too, and what assumes a cost is charged it', async t => {
  const { daemon, home, upstream, grant } = await makeStage(t)
  const { token, id } = await grant('--all', '--budget', '1usd/d', '--max-cost-per-call', '0.40')
  await home.json(['limit', 'set', id, '--model', 'whisper*', '--quota', '2/d'])
  upstream.use(json({ text: 'hello' }))
  const client = new OpenAI({
    apiKey: token,
    baseURL: `https://localhost:${daemon.port}/openai/v1`,
    maxRetries: 0,
    fetch: throughCa(daemon.ca),
  })
  const ask = async (name: string) =>
    client.audio.transcriptions.create({ model: name, file: await toFile(Buffer.from('ID3'), 'a.mp3') }).then(
      ({ text }) => text,
      (error: { code?: string }) => error.code,
    )
  t.same([await ask('whisper-1'), await ask('whisper-1'), await ask('whisper-1')], ['hello', 'hello', 'quota_exhausted'])
  t.equal(await ask('gpt-4o-transcribe'), 'budget_exhausted', 'twice 0.40 is charged, and 0.256 does not fit beside it')
  const [shown] = (await home.json(['limit', 'show', id])) as { used: number }[]
  t.equal(shown?.used, 0.8)
})

t.test('pictures that come without a word about their cost are counted as asked for, and priced where the operator says so', async t => {
  const { daemon, home, upstream, token } = await makeStage(t)
  upstream.use(json({ created: 1, data: [{ url: 'https://example.com/1.png' }] }))
  await home.json(['price', 'set', 'openai', 'dall-e-3', '--images', '0.04'])
  const ask = (name: string) => ({ path: '/openai/v1/images/generations', token, ...asJson({ model: name, prompt: 'x', n: 3 }) })
  t.equal((await call(daemon, ask('dall-e-3'))).status, 200)
  t.equal((await call(daemon, ask('dall-e-4'))).status, 200)
  t.match(await home.entries(), [
    { units: 3, unit: 'images', usageSource: 'estimated', costMicroDollars: 120_000 },
    { units: 3, unit: 'images', costMicroDollars: null },
  ])
  t.equal((await chat(daemon, token)).status, 200)
})

function throughCa(ca: string): typeof fetch {
  return async (input, init) => {
    const request = new Request(input as string, init)
    const { status, body, headers } = await call(
      { port: Number(new URL(request.url).port), ca },
      {
        method: request.method,
        path: new URL(request.url).pathname,
        headers: Object.fromEntries(request.headers),
        body: new Uint8Array(await request.arrayBuffer()),
      },
    )
    return new Response(new Uint8Array(body), { status, headers: { 'content-type': headers['content-type'] ?? '' } })
  }
}
