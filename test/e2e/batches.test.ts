import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import Anthropic from '@anthropic-ai/sdk'
import { GoogleGenAI } from '@google/genai'
import { Mistral } from '@mistralai/mistralai'
import OpenAI, { toFile } from 'openai'
import t from 'tap'
import { makeBatchPlace } from '../support/batch-place.js'
import { completion, message, requestLines } from '../support/batch-provider.js'
import type { Daemon } from '../support/daemon.js'
import { withStore } from '../support/home-store.js'
import { until } from '../support/until.js'

// Work that is done later is held for when it is made, and charged what it used when it has ended, whether anybody reads it or not.

const anthropicAt = (daemon: Daemon, apiKey: string) => new Anthropic({ apiKey, baseURL: `${daemon.origin}/anthropic`, maxRetries: 0 })
const openaiAt = (daemon: Daemon, apiKey: string) => new OpenAI({ apiKey, baseURL: `${daemon.origin}/openai/v1`, maxRetries: 0 })

const asks = (count: number, max_tokens: number, model = 'claude-haiku-4-5'): Anthropic.Messages.BatchCreateParams.Request[] =>
  Array.from({ length: count }, (_, at) => ({
    custom_id: `c${at}`,
    params: { model, max_tokens, messages: [{ role: 'user', content: 'hi' }] },
  }))

async function upload(client: OpenAI, lines: string): Promise<string> {
  return (await client.files.create({ file: await toFile(Buffer.from(lines), 'in.jsonl'), purpose: 'batch' })).id
}

const create = (client: OpenAI, input_file_id: string) =>
  client.batches.create({ input_file_id, endpoint: '/v1/chat/completions', completion_window: '24h' })

const code = (error: unknown): string => {
  const { error: body, status } = error as { status?: number; error?: { code?: string; error?: { message?: string } } }
  return `${status} ${body?.code ?? body?.error?.message ?? ''}`
}

const refused = async (what: Promise<unknown>): Promise<string> =>
  what.then(
    () => 'went through',
    error => code(error),
  )

t.test('a batch of messages is held for with all of its requests, and charged what its results say, though nobody reads them', async t => {
  const { provider, daemon, home, grant, settled, shown, lines } = await makeBatchPlace(t, ['anthropic'])
  const { id, token } = await grant('--budget', '0.03usd/d')
  const client = anthropicAt(daemon, token)
  // ten answers of 400 at half of 5 dollars a million
  const made = await client.messages.batches.create({ requests: asks(10, 400) })
  t.equal(made.id, provider.last().id)
  const held = await shown(id)
  t.ok(held.held >= 20_000 && held.held < 22_000, `${held.held} micro-dollars`)
  t.equal(held.used, 0)
  t.match(await refused(client.messages.batches.create({ requests: asks(10, 400) })), /^429 A budget is used up/)
  t.equal(provider.batches.size, 1, 'what does not fit does not leave')
  provider.end(provider.last(), 'ended', [
    message('claude-haiku-4-5-20251001', 100, 50),
    message('claude-haiku-4-5-20251001', 100, 50),
    { custom_id: 'c2', result: { type: 'errored', error: { type: 'error', error: { type: 'api_error', message: 'no' } } } },
    { custom_id: 'c3', result: { type: 'expired' } },
  ])
  t.match(await home.json(['batch', 'list']), [{ id: made.id, grantId: id, requests: 10, heldUsd: held.held / 1e6, settledAt: null }])
  t.same(await home.json(['batch', 'check', made.id]), { batches: 1 })
  t.equal((await home.run(['batch', 'check', 'msgbatch_none'])).code, 66)
  await settled()
  // 200 at 0.5 and 100 at 2.5 dollars a million
  t.same(await shown(id), { used: 350, held: 0, lost: 0 })
  t.match(await lines(), [
    { model: 'claude-haiku-4-5', inputTokens: 200, outputTokens: 100, costMicroDollars: 350, grantId: id, errorCode: null },
  ])
  await client.messages.batches.create({ requests: asks(10, 400) })
  // one sampling, an adviser's, and another one: 250 and 40 of its own, of which the counts beside the list leave out a part
  const sampling = (input_tokens: number, output_tokens: number, model?: string) => ({
    input_tokens,
    output_tokens,
    ...(model && { model }),
  })
  const iterations = [sampling(100, 10), sampling(200, 20, 'claude-opus-4-5'), sampling(150, 30)]
  const advised = () => message('claude-haiku-4-5-20251001', 100, 40, { iterations })
  provider.end(provider.last(), 'ended', [advised(), advised()])
  await settled()
  // 500 at 0.5 and 80 at 2.5 of its own, 400 at 2.5 and 40 at 12.5 of the adviser's
  t.same(await shown(id), { used: 350 + 450 + 1500, held: 0, lost: 0 }, 'all that ran is summed up, each at its own model’s price')
  t.match((await lines())[1], { model: 'claude-haiku-4-5', inputTokens: 900, outputTokens: 120, costMicroDollars: 1950 })
})

t.test('a batch of a file is held for by what was seen of the file, and settled for every model', async t => {
  const { provider, daemon, home, grant, settled, shown, lines, secrets } = await makeBatchPlace(t, ['openai'])
  const { id, token } = await grant('--budget', '0.01usd/d')
  const client = openaiAt(daemon, token)
  const file = await upload(client, requestLines(4, 1000) + requestLines(2, 500, 'gpt-4.1-nano'))
  const made = await create(client, file)
  // 4000 at 0.3 and 1000 at 0.2 dollars a million, and what the prompts may be
  const { held } = await shown(id)
  t.ok(held >= 1400 && held < 2500, `${held} micro-dollars`)
  t.match(await refused(create(client, await upload(client, requestLines(40, 1000)))), '429 budget_exhausted')
  provider.end(provider.last(), 'completed', [
    completion('gpt-4o-mini-2024-07-18', 1000, 100),
    completion('gpt-4o-mini-2024-07-18', 1000, 100),
    completion('gpt-4.1-nano-2025-04-14', 1000, 100),
  ])
  await settled()
  t.match(await lines(), [
    { id: (await home.entries()).find(({ endpoint }) => endpoint.endsWith('/batches/**'))?.id, model: 'gpt-4o-mini', inputTokens: 2000 },
    { model: 'gpt-4.1-nano', inputTokens: 1000, costMicroDollars: 70 },
  ])
  t.same(await shown(id), { used: 280, held: 0, lost: 0 }, 'half of what the calls would have cost')
  t.equal((await client.batches.retrieve(made.id)).status, 'completed')
  await (await client.files.content(provider.last().more.output_file_id as string)).text()
  t.same(await shown(id), { used: 280, held: 0, lost: 0 }, 'and reading costs nothing')
  t.same([...new Set(provider.seen.map(({ key }) => key))], [secrets.openai])
  const rows = await home.json<{ model: string; calls: number; costUsd: number | null }[]>(['usage', '--by', 'model'])
  t.equal(rows.find(({ model }) => model === 'gpt-4o-mini')?.costUsd, 0.00021)
})

t.test('what was not seen of a file is refused under a budget or a rule, and goes where nothing depends on it', async t => {
  const { provider, daemon, grant, settled, lines } = await makeBatchPlace(t, ['openai'])
  const budget = await grant('--budget', '1usd/d')
  const client = openaiAt(daemon, budget.token)
  const unsaid = await upload(client, requestLines(2, undefined, 'gpt-nobody-knows'))
  t.match(await refused(create(client, unsaid)), '403 cost_unbounded')
  const other = await client.files.create({ file: await toFile(Buffer.from(requestLines(2, 10)), 'a.jsonl'), purpose: 'user_data' })
  t.match(await refused(create(client, other.id)), '403 cost_unbounded')
  for (const lines of ['{"custom_id":"a"}\n', 'garbage\n', `${requestLines(1, 10)}{"body":{},"body":{}}\n`])
    t.match(await refused(create(client, await upload(client, lines))), '400 invalid_body')
  t.equal(provider.batches.size, 0)
  const assuming = await grant('--budget', '1usd/d', '--max-cost-per-call', '0.60')
  const theirs = openaiAt(daemon, assuming.token)
  await create(theirs, await upload(theirs, requestLines(2, undefined, 'gpt-nobody-knows')))
  t.match(await refused(create(theirs, await upload(theirs, requestLines(2, 10, 'gpt-nobody-knows')))), '429 budget_exhausted')
  provider.end(provider.last(), 'completed', [completion('gpt-nobody-knows', 1000, 100)])
  await settled()
  t.match(await lines(), [{ model: 'gpt-nobody-knows' }, { model: null, costMicroDollars: 600_000, price: 'assumed' }])
})

t.test('rules hold for each request of a batch: models, output, endpoints, whose things it names', async t => {
  const { provider, daemon, grant } = await makeBatchPlace(t, ['openai', 'anthropic'])
  const other = openaiAt(daemon, (await grant()).token)
  const foreign = await upload(other, requestLines(1, 10))
  const limited = openaiAt(daemon, (await grant('--models', 'gpt-4o-mini', '--max-output', '100')).token)
  const tries: readonly [lines: string, answer: string][] = [
    [requestLines(3, 100), 'went through'],
    [requestLines(2, 100) + requestLines(1, 100, 'gpt-4o'), '403 model_not_allowed'],
    [requestLines(2, 101), '403 output_too_large'],
    [requestLines(1, 60, 'gpt-4o-mini', { n: 2 }), '403 output_too_large'],
    [requestLines(1, undefined), '403 output_too_large'],
    [requestLines(1, 10).replace('/v1/chat/completions', '/v1/organization/admin_api_keys'), '403 endpoint_not_open'],
    [
      requestLines(1, 10, 'gpt-4o-mini', { messages: [{ role: 'user', content: [{ type: 'file', file: { file_id: foreign } }] }] }),
      '404 resource_not_found',
    ],
  ]
  for (const [lines, answer] of tries) t.equal(await refused(create(limited, await upload(limited, lines))), answer, lines.slice(0, 150))
  t.equal(provider.batches.size, 1)
  const messages = anthropicAt(daemon, (await grant('--models', 'claude-haiku-*', '--max-output', '100')).token)
  t.match(await refused(messages.messages.batches.create({ requests: [...asks(2, 100), ...asks(1, 100, 'claude-opus-4-5')] })), /^403/)
  t.match(await refused(messages.messages.batches.create({ requests: asks(2, 101) })), /^403/)
  const made = await messages.messages.batches.create({ requests: asks(2, 100) })
  t.equal((await messages.messages.batches.retrieve(made.id)).id, made.id, 'and one’s own can be asked for')
})

t.test(
  'without any limit a batch is in the accounts all the same; what was cancelled, failed or expired is charged what was done',
  async t => {
    const { provider, daemon, home, grant, settled, lines } = await makeBatchPlace(t, ['openai', 'anthropic'])
    const { token } = await grant()
    const client = openaiAt(daemon, token)
    const messages = anthropicAt(daemon, token)
    await create(client, await upload(client, requestLines(2, 10)))
    provider.end(provider.last(), 'cancelled', [completion('gpt-4o-mini', 1000, 0)])
    await create(client, await upload(client, requestLines(2, 10)))
    provider.end(provider.last(), 'failed', undefined)
    await messages.messages.batches.create({ requests: asks(1, 10) })
    provider.end(provider.last(), 'ended', [{ custom_id: 'c0', result: { type: 'canceled' } }])
    await settled()
    const all = (await lines()).sort((a, b) => (b.costMicroDollars ?? -1) - (a.costMicroDollars ?? -1))
    t.match(all, [
      { model: 'gpt-4o-mini', inputTokens: 1000, costMicroDollars: 75 },
      { costMicroDollars: null },
      { costMicroDollars: null },
    ])
    t.equal((await home.json<{ calls: number }[]>(['usage', '--by', 'tenant']))[0]?.calls, 5, 'two uploads and three batches, each once')
  },
)

t.test('what is held outlives kill -9, and a batch is settled once however often that strikes in the middle of it', async t => {
  const place = await makeBatchPlace(t, ['anthropic'])
  const { provider, home, grant, shown, lines, trust } = place
  const { id, token } = await grant('--budget', '1usd/d')
  await anthropicAt(place.daemon, token).messages.batches.create({ requests: asks(5, 1000) })
  const before = await shown(id)
  await place.daemon.kill()
  let daemon = await home.serve()
  t.same(await shown(id), { ...before, lost: 0 }, 'nothing of it is lost or free')
  const batch = provider.last()
  provider.end(batch, 'ended', [message('claude-haiku-4-5', 1000, 100)])
  let readings = 0
  provider.instead = async (target, response) => {
    if (!target.endsWith('/results')) return false
    readings++
    if (readings > 3) return false
    response.writeHead(200)
    response.write(batch.results?.slice(0, 50))
    return true
  }
  const hurry = () => withStore(home.dir, store => store.hurryBatches(Date.now()))
  for (let round = 1; round <= 2; round++) {
    await hurry()
    await until(() => readings === round, 'its results to be read')
    await daemon.kill()
    daemon = await home.serve()
  }
  trust(daemon)
  await hurry()
  await until(() => readings >= 3, 'its results to be read again')
  provider.instead = undefined
  await daemon.kill()
  daemon = await home.serve()
  await place.settled()
  t.same(await shown(id), { used: 750, held: 0, lost: 0 })
  t.equal((await lines()).length, 1)
  await daemon.kill()
  daemon = await home.serve()
  t.same(await shown(id), { used: 750, held: 0, lost: 0 })
  t.same(await home.verify(), [])
})

t.test(
  'hostile results neither break the poller nor lead the key elsewhere; what they do not say is charged its part of the hold',
  async t => {
    const { provider, daemon, grant, home, settled, shown, lines, secrets } = await makeBatchPlace(t, ['anthropic'])
    const { id, token } = await grant('--budget', '1usd/d')
    const client = anthropicAt(daemon, token)
    const elsewhere: string[] = []
    const other = createServer((request, response) => {
      elsewhere.push(`${request.headers['x-api-key']}`)
      response.end()
    }).listen(0, '127.0.0.1')
    await once(other, 'listening')
    t.teardown(() => other.close())
    const { port } = other.address() as AddressInfo
    await client.messages.batches.create({ requests: asks(4, 1000) })
    const batch = provider.last()
    const { held } = await shown(id)
    const good = JSON.stringify(message('claude-haiku-4-5', 1000, 100))
    const twice = '{"result":{"type":"succeeded","message":{"usage":{"input_tokens":1},"usage":{"input_tokens":2}}}}'
    provider.end(batch, 'ended', `${good}\n\n{"result":\n${'x'.repeat(33 * 1024 * 1024)}\n\u0000\n${twice}\n[]\n"text"\n`)
    batch.more = { results_url: `http://127.0.0.1:${port}/steal` }
    let redirects = 0
    provider.instead = (target, response) => {
      if (!target.endsWith('/results') || redirects++ > 0) return false
      response.writeHead(302, { location: `http://127.0.0.1:${port}/steal` }).end()
      return true
    }
    await withStore(home.dir, store => store.hurryBatches(Date.now()))
    await until(() => redirects === 1, 'the results to be asked for')
    await until(
      async () => (await withStore(home.dir, store => store.listBatches({ open: true })))[0]?.polls === 1,
      'a redirect to be taken for no answer',
    )
    await settled()
    t.same(elsewhere, [])
    t.same([...new Set(provider.seen.map(({ key }) => key))], [secrets.anthropic])
    const assumed = Math.ceil((held * 3) / 4)
    t.same(await shown(id), { used: 750 + assumed, held: 0, lost: 0 }, 'three of four do not say')
    t.match(await lines(), [
      { costMicroDollars: 750, usageSource: 'provider' },
      { costMicroDollars: assumed, errorCode: 'batch_unread', price: 'assumed' },
    ])
    t.equal(daemon.alive(), true)
  },
)

t.test('where the key is gone, or the provider knows nothing of the batch, what was held is charged and marked', async t => {
  const { provider, daemon, grant, home, keys, settled, shown, lines } = await makeBatchPlace(t, ['openai', 'anthropic'])
  const { id, token } = await grant('--budget', '1usd/d')
  await anthropicAt(daemon, token).messages.batches.create({ requests: asks(4, 1000) })
  const first = (await shown(id)).held
  provider.batches.clear()
  await withStore(home.dir, async store => {
    const [batch] = await store.listBatches({ open: true })
    await store.leaseBatches('test', Date.now() + 120_000, 0, 1)
    await store.putBatchOff(batch ?? { keyId: '', id: '' }, 'test', { nextPollAtMs: 0, polls: 5, misses: 5 })
  })
  await settled()
  t.same(await shown(id), { used: first, held: 0, lost: 0 })
  const client = openaiAt(daemon, token)
  await create(client, await upload(client, requestLines(4, 1000)))
  const { held } = await shown(id)
  await home.json(['key', 'remove', keys.openai as string])
  await settled()
  t.same(await shown(id), { used: first + held, held: 0, lost: 0 })
  const marked = { errorCode: 'batch_unread', outcome: 'failed', usageSource: 'none', price: 'assumed' }
  t.match(await lines(), [
    { ...marked, costMicroDollars: first },
    { ...marked, costMicroDollars: held, model: 'gpt-4o-mini' },
  ])
})

t.test('whoever leaves while a batch is being made is charged what was held: it may be there', async t => {
  const { provider, daemon, grant, home, shown } = await makeBatchPlace(t, ['anthropic'])
  const { id, token } = await grant('--budget', '1usd/d')
  const client = anthropicAt(daemon, token)
  const leaving = new AbortController()
  let release = () => {}
  provider.instead = target =>
    new Promise(resolve => {
      release = () => resolve(false)
      if (target.endsWith('/messages/batches')) leaving.abort()
      else resolve(false)
    })
  await t.rejects(client.messages.batches.create({ requests: asks(4, 1000) }, { signal: leaving.signal }))
  await until(async () => (await shown(id)).used > 0, 'it to be charged')
  release()
  const { used } = await shown(id)
  const [entry] = await home.entries()
  t.match(entry, { outcome: 'client_gone', costMicroDollars: used, price: 'assumed' })
})

t.test('tokens of others cannot have a batch asked for, cancelled or read', async t => {
  const { provider, daemon, grant } = await makeBatchPlace(t, ['anthropic'])
  const mine = anthropicAt(daemon, (await grant()).token)
  const other = anthropicAt(daemon, (await grant()).token)
  const { id } = await mine.messages.batches.create({ requests: asks(1, 10) })
  const before = provider.seen.length
  const batches = other.messages.batches
  const tries = [() => batches.retrieve(id), () => batches.cancel(id), () => batches.delete(id), () => batches.results(id)]
  for (const one of tries) t.match(await refused(one()), /^404/)
  t.equal(provider.seen.length, before)
})

t.test('Groq, Mistral and Gemini: held for when they are made, by a file or in the body, and settled', async t => {
  const { provider, daemon, grant, settled, shown, lines } = await makeBatchPlace(t, ['groq', 'mistral', 'gemini'])
  const { id, token } = await grant(
    '--budget',
    '1usd/d',
    '--models',
    'llama-3.1-8b-instant',
    'mistral-small-latest',
    'gemini-2.5-flash',
    '--max-output',
    '1000',
  )
  const groq = new OpenAI({ apiKey: token, baseURL: `${daemon.origin}/groq/openai/v1`, maxRetries: 0 })
  const mistral = new Mistral({ apiKey: token, serverURL: `${daemon.origin}/mistral` })
  const gemini = new GoogleGenAI({ apiKey: token, httpOptions: { baseUrl: `${daemon.origin}/gemini` } })
  let before = 0
  const heldMore = async (what: string) => {
    const { held } = await shown(id)
    t.ok(held > before, what)
    before = held
  }
  await create(groq, await upload(groq, requestLines(2, 100, 'llama-3.1-8b-instant')))
  await heldMore('Groq')
  provider.end(provider.last(), 'completed', [completion('llama-3.1-8b-instant', 1000, 0)])
  const body = { messages: [{ role: 'user', content: 'hi' }], max_tokens: 100 }
  const file = new File([`${JSON.stringify({ custom_id: '0', body })}\n`], 'in.jsonl')
  const { id: fileId } = await mistral.files.upload({ file, purpose: 'batch' })
  await mistral.batch.jobs.create({ inputFiles: [fileId], model: 'mistral-small-latest', endpoint: '/v1/chat/completions' })
  await heldMore('Mistral, by a file')
  provider.end(provider.last(), 'SUCCESS', [completion('mistral-small-latest', 1000, 0)])
  await mistral.batch.jobs.create({ requests: [{ customId: '0', body }], model: 'mistral-small-latest', endpoint: '/v1/chat/completions' })
  await heldMore('Mistral, in the body')
  provider.end(provider.last(), 'CANCELLED', undefined)
  const jobs = [
    { inputFiles: [fileId], model: 'mistral-large-latest', endpoint: '/v1/chat/completions' },
    { inputFiles: [fileId], model: 'mistral-small-latest', endpoint: '/v1/ocr' },
    { inputFiles: [fileId], agentId: 'ag:1', endpoint: '/v1/agents/completions' },
    { requests: [{ body: { ...body, max_tokens: 1001 } }], model: 'mistral-small-latest', endpoint: '/v1/chat/completions' },
    { requests: [{ body: { ...body, model: 'mistral-large-latest' } }], model: 'mistral-small-latest', endpoint: '/v1/chat/completions' },
  ] as const
  for (const job of jobs) {
    const answer = await mistral.batch.jobs.create(job as never).catch((error: { statusCode?: number }) => error.statusCode)
    t.ok(answer === 403 || answer === 400, `${JSON.stringify(job)}: ${answer}`)
  }
  const asked = { contents: [{ role: 'user', parts: [{ text: 'hi' }] }], config: { maxOutputTokens: 100 } }
  await gemini.batches.create({ model: 'gemini-2.5-flash', src: [asked, asked] })
  await heldMore('Gemini')
  provider.end(provider.last(), 'BATCH_STATE_SUCCEEDED', [
    {
      response: {
        modelVersion: 'gemini-2.5-flash',
        usageMetadata: { promptTokenCount: 1000, candidatesTokenCount: 0, totalTokenCount: 1000 },
      },
    },
    { error: { code: 3, message: 'no' } },
  ])
  const refusal = await gemini.batches.create({ model: 'gemini-2.5-pro', src: [asked] }).catch((error: { status?: number }) => error.status)
  t.equal(refusal, 403)
  await settled()
  t.match(
    (await lines()).map(({ model, inputTokens, costMicroDollars }) => [model, inputTokens, costMicroDollars]).sort(),
    [
      ['gemini-2.5-flash', 1000, 150],
      ['llama-3.1-8b-instant', 1000, 25],
      ['mistral-small-latest', 1000, /./],
      [null, 0, null],
    ].sort(),
  )
  const used = (await lines()).reduce((sum, { costMicroDollars }) => sum + (costMicroDollars ?? 0), 0)
  t.same(await shown(id), { used, held: 0, lost: 0 })
})
