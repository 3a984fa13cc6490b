import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { type AddressInfo, connect } from 'node:net'
import { join } from 'node:path'
import { createServer as createTlsServer } from 'node:tls'
import { LLMock } from '@copilotkit/aimock'
import t from 'tap'
import type { Entry } from '../../src/stores/records.js'
import { filesIn, findInFiles, textCanary } from '../support/canary.js'
import { type Home, makeHome } from '../support/daemon.js'
import { within } from '../support/until.js'
import { type SocketScript, startSocketUpstream } from '../support/ws-upstream.js'

// Official SDKs over WebSockets, unchanged but for address and key: through soakp and directly, side by side.

/** How the services without a mock of others' making answer, by their documentation. */
const speech: SocketScript = (socket, request) => {
  const path = request.url ?? ''
  const say = (value: unknown) => socket.send(JSON.stringify(value))
  if (path.startsWith('/v3/ws')) say({ type: 'Begin', id: 'session-1', expires_at: 1_900_000_000 })
  if (path.startsWith('/v1/speech-to-text')) say({ message_type: 'session_started', session_id: 'session-1', config: {} })
  let heard = 0
  socket.on('message', (data, isBinary) => {
    if (isBinary) {
      heard += (data as Buffer).length
      return
    }
    const message = JSON.parse(data.toString())
    if (message.type === 'CloseStream') {
      say({
        type: 'Results',
        channel_index: [0, 1],
        duration: 0.1,
        start: 0,
        is_final: true,
        channel: { alternatives: [{ transcript: `${heard} bytes`, confidence: 1, words: [] }] },
      })
      say({ type: 'Metadata', request_id: 'r-1', sha256: 'x', created: 'now', duration: 61.5, channels: 2 })
      socket.close(1000)
    } else if (message.type === 'Terminate') {
      say({
        type: 'Turn',
        turn_order: 0,
        transcript: `${heard} bytes`,
        end_of_turn: true,
        turn_is_formatted: true,
        end_of_turn_confidence: 1,
        words: [],
      })
      say({ type: 'Termination', audio_duration_seconds: 12, session_duration_seconds: 14 })
      socket.close(1000)
    } else if (message.message_type === 'input_audio_chunk' && message.commit) {
      say({ message_type: 'committed_transcript', text: 'hello' })
    }
  })
}

interface Subject {
  readonly title: string
  readonly provider: string
  readonly upstream: 'mock' | 'speech'
  /** What the ledger says of it. */
  readonly entry: Partial<Entry>
}

// the mock states no counts on these two
const realtime = { model: 'gpt-realtime', usageSource: 'provider' } as const
const metered = { inputTokens: 11, outputTokens: 7, usageSource: 'provider' } as const

const subjects: Readonly<Record<string, Subject>> = {
  openaiRealtime: { title: 'openai realtime in Node', provider: 'openai', upstream: 'mock', entry: realtime },
  openaiRealtimeBrowser: {
    title: 'openai realtime for browsers',
    provider: 'openai',
    upstream: 'mock',
    entry: realtime,
  },
  openaiResponses: {
    title: 'openai responses over a socket',
    provider: 'openai',
    upstream: 'mock',
    entry: { model: 'gpt-5-mini', ...metered },
  },
  geminiLive: { title: '@google/genai Live', provider: 'gemini', upstream: 'mock', entry: { model: 'gemini-2.5-flash-live' } },
  deepgram: {
    title: '@deepgram/sdk',
    provider: 'deepgram',
    upstream: 'speech',
    entry: { model: 'nova-3', units: 123, unit: 'audioSeconds', usageSource: 'provider' },
  },
  assemblyai: {
    title: 'assemblyai',
    provider: 'assemblyai',
    upstream: 'speech',
    entry: { units: 12, unit: 'audioSeconds', usageSource: 'provider' },
  },
  elevenlabs: { title: '@elevenlabs/elevenlabs-js', provider: 'elevenlabs', upstream: 'speech', entry: { model: 'scribe_v2_realtime' } },
}

interface Report {
  readonly heard?: readonly unknown[]
  readonly threw?: string
}

async function runSdk(sdk: string, base: string, token: string, ca: string): Promise<Report> {
  const env = { PATH: process.env.PATH, NODE_EXTRA_CA_CERTS: ca }
  const child = spawn(process.execPath, [join(process.cwd(), 'dist/test/support/sdk-socket-child.js'), sdk, base, token], { env })
  let stdout = ''
  let stderr = ''
  child.stdout.setEncoding('utf8').on('data', text => {
    stdout += text
  })
  child.stderr.setEncoding('utf8').on('data', text => {
    stderr += text
  })
  t.teardown(() => child.kill('SIGKILL'))
  await within(once(child, 'close'), sdk, 60_000)
  if (stdout === '') throw new Error(`${sdk}: ${stderr}`)
  return JSON.parse(stdout)
}

/** TLS in front of a plain server, with the home's own certificate: some SDKs speak nothing else. */
async function withTls(home: Home, plainUrl: string): Promise<string> {
  const certs = join(home.dir, 'certs/live/localhost')
  const { port } = new URL(plainUrl)
  const server = createTlsServer(
    { cert: readFileSync(join(certs, 'fullchain.pem')), key: readFileSync(join(certs, 'privkey.pem')) },
    socket => {
      const plain = connect(Number(port), '127.0.0.1')
      socket.on('error', () => plain.destroy())
      plain.on('error', () => socket.destroy())
      // @google/genai doubles the slash behind a bare origin, which Google takes and the mock does not
      socket.once('data', (head: Buffer) => {
        plain.write(Buffer.from(head.toString('latin1').replace(/^GET \/\//, 'GET /'), 'latin1'))
        socket.pipe(plain)
      })
      plain.pipe(socket)
    },
  )
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => server.close())
  return `https://localhost:${(server.address() as AddressInfo).port}`
}

/** Takes out what the mock draws anew for each connection. */
function settled(report: Report): unknown {
  return JSON.parse(
    JSON.stringify(report)
      .replace(/\b(event|sess|conv|resp|item|msg)[_-][\w-]+/g, '$1')
      .replace(/"(created_at|expires_at)":\d+/g, '"$1":0'),
  )
}

const mock = new LLMock({ port: 0 })
mock.onMessage('hello', {
  content: 'Hi there, thé fish 🐟!',
  usage: { input_tokens: 11, output_tokens: 7, total_tokens: 18, promptTokenCount: 11, candidatesTokenCount: 7, totalTokenCount: 18 },
} as never)
await mock.start()
t.teardown(() => mock.stop())
const speechUpstream = await startSocketUpstream(t, speech)
const home = await makeHome(t)
const secrets: Record<string, string> = {}
for (const { provider, upstream } of Object.values(subjects)) {
  if (secrets[provider]) continue
  secrets[provider] = `test-key-of-${provider}-0123456789abcdef`
  await home.addKey(provider, { secret: secrets[provider], baseUrl: upstream === 'mock' ? mock.url : speechUpstream.url })
}
const direct = { mock: await withTls(home, mock.url), speech: await withTls(home, speechUpstream.url) }
const daemon = await home.serve()
const tokens: string[] = []

for (const [sdk, { title, provider, upstream, entry }] of Object.entries(subjects)) {
  t.test(`${title}: what it hears through soakp equals what it hears directly`, async t => {
    const issued = await home.createToken(['--provider', provider])
    tokens.push(issued.token)
    const [through, straight] = await Promise.all([
      runSdk(sdk, `${daemon.origin}/${provider}`, issued.token, home.caFile()),
      runSdk(sdk, direct[upstream], 'the-real-key', home.caFile()),
    ])
    t.ok((straight.heard?.length ?? 0) > 1, `it works directly: ${straight.threw}`)
    t.strictSame(settled(through), settled(straight))
    const own = (await home.entries()).filter(({ grantId }) => grantId === issued.id)
    t.equal(own.length, 1)
    t.match(own[0], { status: 101, outcome: 'ok', ...entry })
  })

  t.test(`${title}: a token that is none is an error`, async t => {
    const report = await runSdk(sdk, `${daemon.origin}/${provider}`, 'eyJnothing', home.caFile())
    t.ok(report.threw, JSON.stringify(report))
  })
}

t.test('SDKs raise a budget that does not hold what they ask for as an error', async t => {
  for (const [sdk, provider] of [
    ['openaiRealtime', 'openai'],
    ['openaiResponses', 'openai'],
    ['geminiLive', 'gemini'],
  ] as const) {
    const issued = await home.createToken(['--provider', provider, '--budget', '0.01usd/d'])
    tokens.push(issued.token)
    const report = await runSdk(sdk, `${daemon.origin}/${provider}`, issued.token, home.caFile())
    t.ok(report.threw, `${sdk}: ${JSON.stringify(report)}`)
    if (sdk === 'openaiResponses') t.match(report.threw, /could take 4 usd|could take \d/)
  }
})

t.test('no key and no token is in what the daemon wrote', async t => {
  const canaries = [...Object.entries(secrets), ...tokens.map((token, at) => [`token ${at}`, token.slice(-60)])].map(([name, secret]) =>
    textCanary(`${name}`, `${secret}`),
  )
  t.ok(canaries.length >= 10)
  t.same(
    findInFiles(
      canaries,
      filesIn(home.dir).filter(file => !file.endsWith('.sock')),
    ),
    [],
  )
  for (const token of tokens) t.notMatch(daemon.output(), token)
  for (const secret of Object.values(secrets)) t.notMatch(daemon.output(), secret)
})
