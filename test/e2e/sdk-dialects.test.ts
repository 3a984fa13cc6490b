import t from 'tap'
import type { Entry } from '../../src/stores/records.js'
import { makeHome } from '../support/daemon.js'
import { dialectReplies } from '../support/dialect-replies.js'
import { withStore } from '../support/home-store.js'
import { type Report, runSdk } from '../support/run-sdk.js'
import { until } from '../support/until.js'
import { startUpstream } from '../support/upstream.js'

// Official SDKs of providers with a dialect of their own, unchanged but for address and key: through soakp and directly, side by side.

interface Subject {
  readonly title: string
  readonly provider: string
  /** First segment of the path, where it is not the provider's id. */
  readonly path?: string
  readonly secret: string
  /** What the upstream must get it as. */
  readonly header: readonly [string, string]
  /** What has to be in the ledger, in any order. */
  readonly counted: readonly Partial<Entry>[]
  readonly endpoints?: readonly string[]
  /** What the class of an error for a refused access token is called. */
  readonly refusal: string
}

const tokens = { inputTokens: 11, outputTokens: 7, usageSource: 'provider' } as const
const units = (count: number, unit: Entry['unit'], usageSource: Entry['usageSource'] = 'provider') => ({ units: count, unit, usageSource })
const hex = (size: number) => 'abcdef0123456789'.repeat(8).slice(0, size)

const subjects: Readonly<Record<string, Subject>> = {
  cohere: {
    title: 'cohere-ai',
    provider: 'cohere',
    secret: hex(40),
    header: ['authorization', `Bearer ${hex(40)}`],
    counted: [tokens, tokens, { inputTokens: 11, outputTokens: 0, usageSource: 'provider' }, units(2, 'searchUnits')],
    refusal: 'UnauthorizedError',
  },
  elevenlabs: {
    title: '@elevenlabs/elevenlabs-js',
    provider: 'elevenlabs',
    secret: `sk_${hex(48)}`,
    header: ['xi-api-key', `sk_${hex(48)}`],
    // the head tells, the request is counted, the reply tells
    counted: [units(9, 'characters'), units(7, 'characters', 'estimated'), units(13, 'audioSeconds')],
    refusal: 'ElevenLabsError',
  },
  azure: {
    title: 'AzureOpenAI of openai',
    provider: 'azure-openai',
    path: 'azure',
    secret: hex(32),
    header: ['api-key', hex(32)],
    counted: [
      { ...tokens, model: 'gpt4o' },
      { ...tokens, model: 'gpt4o' },
      { inputTokens: 11, outputTokens: 0, model: 'emb' },
    ],
    refusal: 'AuthenticationError',
  },
  bedrock: {
    title: '@aws-sdk/client-bedrock-runtime with an API key',
    provider: 'bedrock',
    secret: `ABSK${hex(120)}`,
    header: ['authorization', `Bearer ABSK${hex(120)}`],
    counted: [
      { ...tokens, model: 'anthropic.claude-sonnet-4-5-20250929-v1:0' },
      { inputTokens: 25, outputTokens: 3, cachedInputTokens: 7, usageSource: 'provider' },
      tokens,
      { ...tokens, model: 'meta.llama3' },
      { inputTokens: 12, outputTokens: 6, usageSource: 'provider' },
      { usageSource: 'none' },
    ],
    refusal: 'AccessDeniedException',
  },
  replicate: {
    title: 'replicate',
    provider: 'replicate',
    secret: `r8_${hex(37)}`,
    header: ['authorization', `Bearer r8_${hex(37)}`],
    counted: [
      { ...tokens, model: 'meta/llama' },
      { usageSource: 'none', model: 'meta/llama' },
      // read as often as one likes, it is charged once, when soakp finds that it has ended
      { usageSource: 'none', endpoint: '/v1/predictions/**' },
      { ...tokens, method: 'BATCH' },
      { usageSource: 'none' },
    ],
    endpoints: ['inference', 'GET /replicate/v1/predictions/*'],
    refusal: 'ApiError',
  },
  ollama: {
    title: 'ollama',
    provider: 'ollama',
    secret: 'an-ollama-cloud-key-0123456789',
    header: ['authorization', 'Bearer an-ollama-cloud-key-0123456789'],
    counted: [tokens, tokens, tokens, { inputTokens: 11, outputTokens: 0 }],
    refusal: 'ResponseError',
  },
  assemblyai: {
    title: 'assemblyai',
    provider: 'assemblyai',
    secret: hex(32),
    header: ['authorization', hex(32)],
    counted: [
      { ...units(90, 'audioSeconds'), method: 'BATCH' },
      { usageSource: 'none', endpoint: '/v2/transcript/**' },
    ],
    endpoints: ['inference', '/assemblyai/v2/upload', 'GET /assemblyai/v2/transcript/*'],
    refusal: 'Error',
  },
  deepgram: {
    title: '@deepgram/sdk',
    provider: 'deepgram',
    secret: hex(40),
    header: ['authorization', `Token ${hex(40)}`],
    counted: [units(26, 'audioSeconds'), units(26, 'audioSeconds'), units(5, 'characters')],
    refusal: 'DeepgramError',
  },
  vertex: {
    title: '@google/genai for Vertex AI with an express key',
    provider: 'vertex',
    secret: `AIzaSy${hex(33)}`,
    header: ['x-goog-api-key', `AIzaSy${hex(33)}`],
    counted: [tokens, tokens],
    refusal: 'ApiError',
  },
}

/** Takes out what differs by the address alone, and what names the connection. */
function settled(report: Report, base: string): unknown {
  const text = JSON.stringify(report, (name, value) => (name === 'sdkHttpResponse' || name === 'rawResponse' ? undefined : value))
  return JSON.parse(text.replaceAll(base, 'BASE').replaceAll('400 Sorry', '400 Bad Request'))
}

t.test('official SDKs of providers with a dialect of their own', async t => {
  const [upstream, other] = await Promise.all([startUpstream(dialectReplies), startUpstream(dialectReplies)])
  t.teardown(() => Promise.all([upstream.close(), other.close()]))
  const home = await makeHome(t)
  for (const { provider, secret } of Object.values(subjects)) await home.addKey(provider, { secret, baseUrl: upstream.url })
  const daemon = await home.serve()

  for (const [sdk, subject] of Object.entries(subjects)) {
    const { title, provider, path = provider, header, counted, endpoints = [], refusal } = subject
    const opened = endpoints.length === 0 ? [] : ['--endpoints', ...endpoints]
    await t.test(`${title}: what it returns through soakp equals what it returns directly`, async t => {
      const issued = await home.createToken(['--provider', path, '--name', sdk, ...opened])
      upstream.forget()
      const [through, direct] = await Promise.all([
        runSdk(sdk, `${daemon.origin}/${path}`, issued.token, home.caFile()),
        runSdk(sdk, other.url, 'the-real-key', home.caFile()),
      ])
      for (const request of upstream.requests) {
        t.equal(request.header(header[0]), header[1])
        t.notMatch(request.rawHead, issued.token)
      }
      t.ok(upstream.requests.length >= counted.length)
      for (const [scenario, { returned }] of Object.entries(direct)) if (scenario !== 'broken') t.ok(returned, `${scenario} works directly`)
      t.ok(direct.broken?.threw)
      t.strictSame(settled(through, `${daemon.origin}/${path}`), settled(direct, other.url))

      await withStore(home.dir, async store => {
        const open = async () => (await store.listBatches({ open: true })).length
        if ((await open()) === 0) return
        await store.hurryBatches(Date.now())
        await until(async () => (await open()) === 0, 'what goes on by itself to be settled')
      })
      const entries = (await home.entries()).filter(entry => entry.grantId === issued.id && entry.status < 400)
      const left = [...entries]
      for (const wanted of counted) {
        const at = left.findIndex(entry => Object.entries(wanted).every(([name, value]) => entry[name as keyof Entry] === value))
        if (at < 0) t.fail(`no entry with ${JSON.stringify(wanted)}`, { entries })
        else left.splice(at, 1)
      }
    })

    await t.test(`${title}: a refused access token raises an error of its own kind`, async t => {
      const report = await runSdk(sdk, `${daemon.origin}/${path}`, 'not-a-token', home.caFile(), ['json'])
      t.equal(report.json?.threw?.class, refusal, JSON.stringify(report.json?.threw))
    })
  }
})
