// A ledger of a million entries: how long reports take, and how large its file is.
//   node dist/bench/million.js [ENTRIES]
import { createSecretKey, randomBytes } from 'node:crypto'
import { mkdtempSync, rmSync, statSync } from 'node:fs'
import { cpus, tmpdir } from 'node:os'
import { join } from 'node:path'
import { newId } from '../src/lib/id.js'
import { openStore } from '../src/stores/index.js'
import type { Entry, UsageQuery } from '../src/stores/records.js'

const total = Number(process.argv[2] ?? 1_000_000)
const days = 90
const dayMs = 86_400_000
const now = Date.parse('2026-11-22T12:34:56.789Z')
const grants = Array.from({ length: 100 }, () => newId('grt'))
const tokens = grants.map(() => newId('tok'))
const models = ['gpt-4o', 'gpt-4o-mini', 'claude-sonnet-4-5', 'gemini-2.5-flash', 'llama-3.3-70b-versatile']
const providers = ['openai', 'openai', 'anthropic', 'gemini', 'groq']

function entry(index: number): Entry {
  const grant = (index * 7919) % grants.length
  const model = (index * 31) % models.length
  return {
    id: newId('call'),
    attempt: 1,
    final: true,
    startedAtMs: now - days * dayMs + Math.floor((index / total) * days * dayMs),
    tenant: 'default',
    grantId: grants[grant] as string,
    tokenId: tokens[grant] as string,
    subject: `user-${grant}`,
    app: null,
    keyId: 'key_5Jx0aQbT2cVd3eWf4gXh5i',
    provider: providers[model] as string,
    method: 'POST',
    endpoint: '/v1/chat/completions',
    model: models[model] as string,
    status: index % 50 === 0 ? 429 : 200,
    outcome: index % 50 === 0 ? 'refused' : 'ok',
    errorCode: index % 50 === 0 ? 'rate_limited' : null,
    usageSource: index % 50 === 0 ? 'none' : 'provider',
    inputTokens: index % 5000,
    outputTokens: index % 700,
    cachedInputTokens: index % 1000,
    cacheWriteInputTokens: 0,
    reasoningTokens: index % 100,
    audioInputTokens: 0,
    audioOutputTokens: 0,
    units: 0,
    unit: null,
    costMicroDollars: index % 50 === 0 ? null : index % 9000,
    price: index % 50 === 0 ? null : `genai-prices@0.1.8/${providers[model]}/${models[model]}`,
    bytesIn: 155,
    bytesOut: 600,
    durationMs: 800,
    firstByteMs: 200,
    address: '203.0.113.7',
    upstreamRequestId: `req_${index.toString(36).padStart(20, '0')}`,
  }
}

const home = mkdtempSync(join(tmpdir(), 'soakp-million-'))
const options = { databaseKey: createSecretKey(randomBytes(32)), durability: 'normal', create: true, now: () => now } as const
const store = await openStore(undefined, home, options)
const seconds = (from: number) => ((performance.now() - from) / 1000).toFixed(2)

async function timed<T>(what: string, work: () => Promise<T> | T): Promise<T> {
  const from = performance.now()
  const result = await work()
  process.stdout.write(`${what}: ${(performance.now() - from).toFixed(1)} ms\n`)
  return result
}

process.stdout.write(
  `${total} entries over ${days} days, ${grants.length} grants, ${models.length} models; ${cpus()[0]?.model}, Node ${process.version}\n`,
)
const writing = performance.now()
for (let at = 0; at < total; at += 20) await store.appendEntries(Array.from({ length: Math.min(20, total - at) }, (_, i) => entry(at + i)))
process.stdout.write(
  `written in ${seconds(writing)} s, ${((Number(seconds(writing)) * 1e6) / total).toFixed(1)} µs an entry, 20 a commit\n`,
)
const summing = performance.now()
let longestMs = 0
for (let rolled = -1; rolled !== 0; ) {
  const from = performance.now()
  rolled = await store.rollUp(400)
  longestMs = Math.max(longestMs, performance.now() - from)
}
process.stdout.write(
  `summed up in ${seconds(summing)} s, ${((Number(seconds(summing)) * 1e6) / total).toFixed(1)} µs an entry, 400 a step; the longest step ${longestMs.toFixed(1)} ms\n`,
)
await store.close()
process.stdout.write(`file: ${(statSync(join(home, 'soakp.db')).size / total).toFixed(0)} bytes an entry\n`)

const again = await openStore(undefined, home, { ...options, create: false })
const reports: readonly (readonly [string, UsageQuery])[] = [
  ['by model, 7 days to the millisecond', { by: ['model'], sinceMs: now - 7 * dayMs }],
  ['by key, 90 days', { by: ['key'], sinceMs: now - days * dayMs }],
  ['by model and day, 90 days', { by: ['model', 'day'], sinceMs: now - days * dayMs }],
  ['by grant and hour, 90 days', { by: ['grant', 'hour'], sinceMs: now - days * dayMs }],
  ['by day of one grant, 90 days', { by: ['day'], sinceMs: 0, where: { grant: grants[0] as string } }],
  ['last 15 minutes by user', { by: ['user'], sinceMs: now - 900_000 }],
]
for (const [what, query] of reports) await timed(`report ${what}`, () => again.usage(query))
await timed('one call by its id', () => again.listEntries({ id: 'call_none' }))
await timed('export of all entries', async () => {
  for (let after: number | undefined = 0; after !== undefined; ) after = (await again.pageEntries({ after, limit: 1000 })).next
})
process.stdout.write(`memory: ${(process.memoryUsage.rss() / 2 ** 20).toFixed(0)} MB\n`)
await timed('forgetting 200 entries', () => again.pruneEntries(now, 200))
await again.close()
rmSync(home, { recursive: true })
