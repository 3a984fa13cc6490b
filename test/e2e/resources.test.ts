import Anthropic, { NotFoundError as AnthropicNotFound, toFile as anthropicFile } from '@anthropic-ai/sdk'
import { GoogleGenAI } from '@google/genai'
import { Mistral } from '@mistralai/mistralai'
import OpenAI, { NotFoundError, toFile } from 'openai'
import Replicate from 'replicate'
import t, { type Test } from 'tap'
import { Agent, setGlobalDispatcher } from 'undici'
import type { Daemon, Home } from '../support/daemon.js'
import { makeHome } from '../support/daemon.js'
import { type ResourceProvider, startResourceProvider } from '../support/resource-provider.js'
import { freshKey } from '../support/stage.js'

// Two grants on one account, and on two, through official SDKs: what one made, the other neither sees nor reaches.

const providers = ['openai', 'anthropic', 'gemini', 'mistral', 'replicate', 'assemblyai'] as const

interface Place {
  readonly home: Home
  readonly daemon: Daemon
  readonly provider: ResourceProvider
  readonly secrets: Readonly<Record<string, string>>
  grant(...args: string[]): Promise<string>
}

async function makePlace(t: Test, names: readonly string[] = providers): Promise<Place> {
  const provider = await startResourceProvider()
  t.teardown(() => provider.close())
  const home = await makeHome(t)
  const secrets: Record<string, string> = {}
  for (const name of names) {
    const secret = freshKey(name)
    secrets[name] = secret
    await home.addKey(name, { secret, baseUrl: provider.url })
  }
  const daemon = await home.serve()
  // what the SDKs call with
  setGlobalDispatcher(new Agent({ connect: { ca: daemon.ca } }))
  const grant = async (...args: string[]) => (await home.createToken(['--all', '--endpoints', 'inference', 'account', ...args])).token
  return { home, daemon, provider, secrets, grant }
}

const at = (daemon: Daemon, name: string) => `${daemon.origin}/${name}`

/** The SDK's own class for what is not there, or its status where it has no such class. */
async function missing(t: Test, what: Promise<unknown>, how: Class | number, message = 'nobody’s, for this grant'): Promise<void> {
  const thrown = await what.then(
    () => 'nothing',
    (error: unknown) => error,
  )
  const status = (error: unknown) => {
    const { status, statusCode, response } = error as { status?: number; statusCode?: number; response?: { status: number } }
    return status ?? statusCode ?? response?.status
  }
  if (typeof how === 'number') t.equal(status(thrown), how, message)
  else t.ok(thrown instanceof how, `${message}: ${thrown}`)
}

type Class = abstract new (...args: never[]) => unknown

async function collect<T>(list: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = []
  for await (const item of list) all.push(item)
  return all
}

t.test('openai: files, batches, vector stores and conversations are their maker’s', async t => {
  const { daemon, provider, secrets, grant } = await makePlace(t, ['openai'])
  const client = (apiKey: string) => new OpenAI({ apiKey, baseURL: `${at(daemon, 'openai')}/v1`, maxRetries: 0 })
  const alice = client(await grant())
  const bob = client(await grant())
  provider.plant(secrets.openai as string, 'files', { id: 'file-operators', object: 'file' })

  const mine = await alice.files.create({ file: await toFile(Buffer.from('hello'), 'a.txt'), purpose: 'assistants' })
  const his = await bob.files.create({ file: await toFile(Buffer.from('hello'), 'b.txt'), purpose: 'assistants' })
  t.same(
    (await collect(alice.files.list())).map(file => file.id),
    [mine.id],
  )
  t.same(
    (await collect(bob.files.list())).map(file => file.id),
    [his.id],
  )
  t.equal((await alice.files.retrieve(mine.id)).id, mine.id)
  for (const id of [his.id, 'file-operators', 'file-nowhere']) {
    await missing(t, alice.files.retrieve(id), NotFoundError)
    await missing(t, alice.files.content(id), NotFoundError)
    await missing(t, alice.files.delete(id), NotFoundError)
    await missing(t, alice.files.list({ after: id }), NotFoundError)
    await missing(t, alice.batches.create({ input_file_id: id, endpoint: '/v1/chat/completions', completion_window: '24h' }), NotFoundError)
    await missing(t, alice.vectorStores.create({ file_ids: [id] }), NotFoundError)
    await missing(t, alice.fineTuning.jobs.create({ model: 'gpt-4o-mini', training_file: id }), NotFoundError)
  }

  const store = await alice.vectorStores.create({ file_ids: [mine.id] })
  await missing(t, bob.vectorStores.retrieve(store.id), NotFoundError)
  await missing(t, bob.vectorStores.files.list(store.id), NotFoundError)
  await missing(t, alice.vectorStores.files.create(store.id, { file_id: his.id }), NotFoundError)
  await alice.vectorStores.files.create(store.id, { file_id: mine.id })

  const batch = await alice.batches.create({ input_file_id: mine.id, endpoint: '/v1/chat/completions', completion_window: '24h' })
  t.same(
    (await collect(alice.batches.list())).map(({ id }) => id),
    [batch.id],
  )
  t.same(await collect(bob.batches.list()), [])
  await missing(t, bob.batches.cancel(batch.id), NotFoundError)
  provider.plant(secrets.openai as string, 'files', { id: batch.output_file_id as string })
  await missing(t, bob.files.retrieve(batch.output_file_id as string), NotFoundError)
  t.equal((await alice.files.retrieve(batch.output_file_id as string)).id, batch.output_file_id, 'what a batch wrote is its maker’s too')

  const conversation = await alice.conversations.create()
  await missing(t, bob.conversations.retrieve(conversation.id), NotFoundError)
  await missing(t, bob.responses.create({ model: 'gpt-4o-mini', input: 'hi', conversation: conversation.id }), NotFoundError)
  await missing(t, bob.responses.create({ model: 'gpt-4o-mini', input: 'hi', conversation: { id: conversation.id } }), NotFoundError)

  await alice.files.delete(mine.id)
  await missing(t, alice.files.retrieve(mine.id), NotFoundError)
  t.notOk(
    provider.seen.some(({ body, target }) => body.includes('nowhere') || target.includes('nowhere')),
    'what is nobody’s never arrives',
  )
})

t.test('openai: a stored reply is followed up by whoever it was given to', async t => {
  const { daemon, provider, grant } = await makePlace(t, ['openai'])
  const client = (apiKey: string) => new OpenAI({ apiKey, baseURL: `${at(daemon, 'openai')}/v1`, maxRetries: 0 })
  // replies are kept by default, so this needs no more than what every grant has
  const alice = client(await grant())
  const bob = client(await grant('--endpoints', 'inference'))
  const first = await alice.responses.create({ model: 'gpt-4o-mini', input: 'hi' })
  t.ok(await alice.responses.create({ model: 'gpt-4o-mini', input: 'and', previous_response_id: first.id }))
  t.equal((await alice.responses.retrieve(first.id)).id, first.id)
  await missing(t, bob.responses.create({ model: 'gpt-4o-mini', input: 'and', previous_response_id: first.id }), NotFoundError)
  const item = first.output[0]?.id as string
  const reference = (id: string) => [{ type: 'item_reference' as const, id }]
  t.ok(await alice.responses.create({ model: 'gpt-4o-mini', input: reference(item) }))
  await missing(t, bob.responses.create({ model: 'gpt-4o-mini', input: reference(item) }), NotFoundError)
  await missing(t, bob.responses.create({ model: 'gpt-4o-mini', input: [{ id: item } as never] }), NotFoundError)

  let streamed = ''
  for await (const event of await bob.responses.create({ model: 'gpt-4o-mini', input: 'hi', stream: true })) {
    if (event.type !== 'response.created') continue
    streamed = event.response.id
    // known before the end of the stream
    t.ok(await bob.responses.create({ model: 'gpt-4o-mini', input: 'and', previous_response_id: streamed }))
  }
  await missing(t, alice.responses.retrieve(streamed), NotFoundError)

  const kept = await alice.chat.completions.create({ model: 'gpt-4o-mini', messages: [{ role: 'user', content: 'hi' }], store: true })
  await missing(
    t,
    alice.responses.create({ model: 'gpt-4o-mini', input: 'and', previous_response_id: kept.id }),
    NotFoundError,
    'ids of one kind are none of another',
  )
  t.notOk(provider.seen.some(({ target }) => target.includes(streamed)))
})

t.test('openai: lists are walked through whatever lies between, both ways', async t => {
  const { daemon, provider, secrets, grant } = await makePlace(t, ['openai'])
  const token = await grant()
  const client = new OpenAI({ apiKey: token, baseURL: `${at(daemon, 'openai')}/v1`, maxRetries: 0 })
  const mine: string[] = []
  for (let i = 0; i < 7; i++) {
    mine.unshift((await client.vectorStores.create({})).id)
    for (let j = 0; j < 50; j++) provider.plant(secrets.openai as string, 'stores', { id: `vs_other${i}x${j}` })
  }
  t.same(
    (await collect(client.vectorStores.list({ limit: 3 }))).map(({ id }) => id),
    mine,
  )
  const page = await client.vectorStores.list({ limit: 10 })
  t.equal(page.has_more, true)
  const back = await client.vectorStores.list({ limit: 3, before: mine[2] as string })
  t.ok(back.data.length > 0 && back.data.every(({ id }) => mine.slice(0, 2).includes(id)))
  const others = new OpenAI({ apiKey: await grant(), baseURL: `${at(daemon, 'openai')}/v1`, maxRetries: 0 })
  const none = await others.vectorStores.list()
  t.same([none.data, none.has_more], [[], false])
})

t.test('anthropic: files and message batches', async t => {
  const { daemon, provider, secrets, grant } = await makePlace(t, ['anthropic'])
  const client = (apiKey: string) => new Anthropic({ apiKey, baseURL: at(daemon, 'anthropic'), maxRetries: 0 })
  const alice = client(await grant())
  const bob = client(await grant())
  provider.plant(secrets.anthropic as string, 'messageBatches', { id: 'msgbatch_operators' })
  const params = { model: 'claude-x', max_tokens: 5, messages: [{ role: 'user' as const, content: 'hi' }] }
  const batch = await alice.messages.batches.create({ requests: [{ custom_id: 'a', params }] })
  t.same(
    (await collect(alice.messages.batches.list())).map(({ id }) => id),
    [batch.id],
  )
  t.same(await collect(bob.messages.batches.list()), [])
  await missing(t, bob.messages.batches.retrieve(batch.id), AnthropicNotFound)
  await missing(t, bob.messages.batches.cancel(batch.id), AnthropicNotFound)
  await missing(t, alice.messages.batches.list({ after_id: 'msgbatch_operators' }), AnthropicNotFound)

  const file = await alice.beta.files.upload({ file: await anthropicFile(Buffer.from('x'), 'a.txt') })
  t.same(
    (await collect(alice.beta.files.list())).map(({ id }) => id),
    [file.id],
  )
  t.same(await collect(bob.beta.files.list()), [])
  await missing(t, bob.beta.files.download(file.id), AnthropicNotFound)
  const reading = { type: 'document' as const, source: { type: 'file' as const, file_id: file.id } }
  await missing(t, bob.beta.messages.create({ ...params, messages: [{ role: 'user', content: [reading] }] }), AnthropicNotFound)
  await missing(
    t,
    bob.beta.messages.batches.create({
      requests: [{ custom_id: 'a', params: { ...params, messages: [{ role: 'user', content: [reading] }] } }],
    }),
    AnthropicNotFound,
  )
  t.ok((await alice.beta.files.delete(file.id)).id)
  await missing(t, alice.beta.files.retrieveMetadata(file.id), AnthropicNotFound)
})

t.test('gemini: uploads, files and caches', async t => {
  const { daemon, provider, secrets, grant } = await makePlace(t, ['gemini'])
  const client = (apiKey: string) => new GoogleGenAI({ apiKey, httpOptions: { baseUrl: at(daemon, 'gemini') } })
  const alice = client(await grant())
  const bob = client(await grant())
  for (let i = 0; i < 40; i++) provider.plant(secrets.gemini as string, 'geminiFiles', { id: `other${i}`, name: `files/other${i}` })
  const file = await alice.files.upload({ file: new Blob(['hello']), config: { mimeType: 'text/plain' } })
  for (let i = 40; i < 80; i++) provider.plant(secrets.gemini as string, 'geminiFiles', { id: `other${i}`, name: `files/other${i}` })
  const name = file.name as string
  t.equal((await alice.files.get({ name })).name, name)
  t.same(
    (await collect(await alice.files.list())).map(found => found.name),
    [name],
  )
  t.same(await collect(await bob.files.list()), [])
  await missing(t, bob.files.get({ name }), 404)
  await missing(t, bob.files.delete({ name }), 404)
  const about = (fileUri: string) => ({
    model: 'gemini-x',
    contents: [{ role: 'user', parts: [{ fileData: { fileUri, mimeType: 'text/plain' } }] }],
  })
  t.ok(await alice.models.generateContent(about(file.uri as string)))
  t.ok(await bob.models.generateContent(about('https://www.youtube.com/watch?v=x')))
  await missing(t, bob.models.generateContent(about(file.uri as string)), 404)
  const cache = await alice.caches.create({ model: 'gemini-x', config: { contents: 'hi' } })
  t.same(
    (await collect(await alice.caches.list())).map(found => found.name),
    [cache.name],
  )
  t.same(await collect(await bob.caches.list()), [])
  await missing(t, bob.models.generateContent({ model: 'gemini-x', contents: 'hi', config: { cachedContent: cache.name as string } }), 404)
  t.ok(await alice.models.generateContent({ model: 'gemini-x', contents: 'hi', config: { cachedContent: cache.name as string } }))
})

t.test('replicate: predictions and files', async t => {
  const { daemon, provider, secrets, grant } = await makePlace(t, ['replicate'])
  const client = (auth: string) => new Replicate({ auth, baseUrl: `${at(daemon, 'replicate')}/v1` })
  const alice = client(await grant())
  const bob = client(await grant())
  const made = await alice.predictions.create({ model: 'a/b', input: { prompt: 'x' } }).catch(() => undefined)
  t.equal(made, undefined, 'the stand-in serves predictions by version alone')
  const prediction = await alice.predictions.create({ version: 'v1', input: { prompt: 'x' } })
  for (let i = 0; i < 12; i++) provider.plant(secrets.replicate as string, 'predictions', { id: `other${i}` })
  t.equal((await alice.predictions.get(prediction.id)).id, prediction.id)
  await missing(t, bob.predictions.get(prediction.id), 404)
  await missing(t, bob.predictions.cancel(prediction.id), 404)
  t.same(
    (await alice.predictions.list()).results.map(({ id }) => id),
    [prediction.id],
  )
  t.same((await bob.predictions.list()).results, [])
})

t.test('mistral: files with pages by number', async t => {
  const { daemon, provider, secrets, grant } = await makePlace(t, ['mistral'])
  const client = (apiKey: string) => new Mistral({ apiKey, serverURL: at(daemon, 'mistral') })
  const token = await grant()
  provider.plant(secrets.mistral as string, 'mistralJobs', { id: 'job-others' })
  const job = (await (
    await fetch(`${at(daemon, 'mistral')}/v1/batch/jobs`, {
      method: 'POST',
      headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
      body: '{"model":"m","endpoint":"/v1/chat/completions","input_files":[]}',
    })
  ).json()) as { id: string }
  const listed = (await (
    await fetch(`${at(daemon, 'mistral')}/v1/batch/jobs`, { headers: { authorization: `Bearer ${token}` } })
  ).json()) as { data: { id: string }[]; total: number }
  t.same([listed.data.map(({ id }: { id: string }) => id), listed.total], [[job.id], 1])
  const bob = client(await grant())
  await missing(t, bob.batch.jobs.get({ jobId: job.id }), 404)
  await missing(t, bob.files.retrieve({ fileId: 'x' }), 404)
  await missing(t, bob.ocr.process({ model: 'm', document: { type: 'file', fileId: 'x' } }), 404)
})

t.test('assemblyai: transcripts', async t => {
  const { daemon, grant } = await makePlace(t, ['assemblyai'])
  const ask = (token: string, path: string, body?: unknown) =>
    fetch(at(daemon, 'assemblyai') + path, {
      method: body === undefined ? 'GET' : 'POST',
      headers: { authorization: token, 'content-type': 'application/json' },
      ...(body !== undefined && { body: JSON.stringify(body) }),
    })
  const alice = await grant()
  const bob = await grant()
  const { id } = (await (await ask(alice, '/v2/transcript', { audio_url: 'https://example.com/a.mp3' })).json()) as { id: string }
  t.equal((await ask(alice, `/v2/transcript/${id}`)).status, 200)
  t.equal((await ask(bob, `/v2/transcript/${id}`)).status, 404)
  t.equal((await ask(bob, `/v2/transcript/${id}/sentences`)).status, 404)
  t.equal((await ask(alice, '/v2/transcript')).status, 403, 'a list that cannot be filtered is not shown')
  t.equal((await ask(bob, '/lemur/v3/generate/task', { transcript_ids: [id], prompt: 'x' })).status, 404)
})
