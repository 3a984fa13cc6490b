/**
 * Runs one official SDK over a WebSocket the way an app would and prints what came back: `node sdk-socket-child.js SDK BASE TOKEN`. `BASE` is the address that stands
 * for the provider's origin, with `https:`. A process of its own, because `NODE_EXTRA_CA_CERTS` is read when Node starts.
 */

/** What a conversation heard, in order. */
type Heard = readonly unknown[]
type Run = (base: string, token: string) => Promise<Heard>

const webSocket = (base: string) => base.replace(/^http/, 'ws')

/** Collects events until `isLast` says so. */
function collect(isLast: (event: unknown) => boolean): {
  heard(event: unknown): void
  failed(error: unknown): void
  readonly all: Promise<Heard>
} {
  const events: unknown[] = []
  let resolve: (events: Heard) => void = () => {}
  let reject: (error: unknown) => void = () => {}
  const all = new Promise<Heard>((done, fail) => {
    resolve = done
    reject = fail
  })
  // it may fail before anybody waits for it
  all.catch(() => {})
  return {
    all,
    heard(event) {
      events.push(event)
      if (isLast(event)) resolve(events)
    },
    failed: error => reject(error),
  }
}

const typeOf = (event: unknown) => (typeof event === 'object' && event !== null && 'type' in event ? event.type : undefined)
const textItem = { type: 'message' as const, role: 'user' as const, content: [{ type: 'input_text' as const, text: 'hello' }] }

const openaiRealtime: Run = async (base, apiKey) => {
  const { default: OpenAI } = await import('openai')
  const { OpenAIRealtimeWS } = await import('openai/realtime/ws')
  const socket = await OpenAIRealtimeWS.create(new OpenAI({ apiKey, baseURL: `${base}/v1` }), { model: 'gpt-realtime' })
  const { heard, failed, all } = collect(event => typeOf(event) === 'response.done')
  socket.on('event', heard)
  socket.on('error', failed)
  socket.on('session.created', () => {
    socket.send({ type: 'conversation.item.create', item: textItem })
    socket.send({ type: 'response.create' })
  })
  const events = await all
  socket.close()
  return events
}

/** The class for browsers, which passes the token as a subprotocol. Node 20 has no WebSocket of its own; that of ws has the same interface. */
const openaiRealtimeBrowser: Run = async (base, apiKey) => {
  const { WebSocket } = await import('ws')
  Object.assign(globalThis, { WebSocket })
  const { default: OpenAI } = await import('openai')
  const { OpenAIRealtimeWebSocket } = await import('openai/realtime/websocket')
  const client = new OpenAI({ apiKey, baseURL: `${base}/v1`, dangerouslyAllowBrowser: true })
  const socket = await OpenAIRealtimeWebSocket.create(client, { model: 'gpt-realtime', dangerouslyAllowBrowser: true })
  const { heard, failed, all } = collect(event => typeOf(event) === 'response.done')
  socket.on('event', heard)
  socket.on('error', failed)
  socket.on('session.created', () => {
    socket.send({ type: 'conversation.item.create', item: textItem })
    socket.send({ type: 'response.create' })
  })
  const events = await all
  socket.close()
  return events
}

const openaiResponses: Run = async (base, apiKey) => {
  const { default: OpenAI } = await import('openai')
  const { ResponsesWS } = await import('openai/resources/responses/ws')
  const socket = new ResponsesWS(new OpenAI({ apiKey, baseURL: `${base}/v1` }))
  const { heard, failed, all } = collect(event => typeOf(event) === 'response.completed')
  socket.on('event', heard)
  socket.on('error', failed)
  socket.send({ type: 'response.create', model: 'gpt-5-mini', input: 'hello' })
  const events = await all
  socket.close()
  return events
}

const geminiLive: Run = async (base, apiKey) => {
  const { GoogleGenAI } = await import('@google/genai')
  const client = new GoogleGenAI({ apiKey, httpOptions: { baseUrl: base } })
  const { heard, failed, all } = collect(event => JSON.stringify(event).includes('"turnComplete":true'))
  const connected = client.live.connect({
    model: 'gemini-2.5-flash-live',
    callbacks: { onmessage: heard, onerror: failed, onclose: () => failed(new Error('closed')) },
  })
  const session = await Promise.race([connected, all.then(() => connected)])
  session.sendClientContent({ turns: [{ role: 'user', parts: [{ text: 'hello' }] }], turnComplete: true })
  const events = await all
  session.close()
  return events
}

const deepgram: Run = async (base, apiKey) => {
  const { DeepgramClient } = await import('@deepgram/sdk')
  const client = new DeepgramClient({ apiKey, baseUrl: webSocket(base) })
  const socket = await client.listen.v1.connect({ model: 'nova-3', Authorization: `Token ${apiKey}`, reconnectAttempts: 0 } as never)
  const { heard, failed, all } = collect(event => typeOf(event) === 'Metadata')
  socket.on('message', heard)
  socket.on('error', failed)
  socket.connect()
  await socket.waitForOpen()
  socket.sendMedia(Buffer.alloc(3200, 7))
  socket.sendCloseStream({ type: 'CloseStream' })
  const events = await all
  socket.close()
  return events
}

const assemblyai: Run = async (base, apiKey) => {
  const { StreamingTranscriber } = await import('assemblyai')
  const transcriber = new StreamingTranscriber({
    apiKey,
    websocketBaseUrl: `${webSocket(base)}/v3/ws`,
    sampleRate: 16_000,
    speechModel: 'universal-streaming-english',
  } as never)
  const events: unknown[] = []
  transcriber.on('open', event => events.push(event))
  transcriber.on('turn', event => events.push(event))
  await transcriber.connect()
  transcriber.sendAudio(new Uint8Array(3200).fill(7).buffer)
  await transcriber.close()
  return events
}

const elevenlabs: Run = async (base, apiKey) => {
  const { ElevenLabsClient, AudioFormat } = await import('@elevenlabs/elevenlabs-js')
  const client = new ElevenLabsClient({ apiKey, baseUrl: base })
  const connection = await client.speechToText.realtime.connect({
    modelId: 'scribe_v2_realtime',
    audioFormat: AudioFormat.PCM_16000,
    sampleRate: 16_000,
  })
  const { heard, failed, all } = collect(event => JSON.stringify(event).includes('committed'))
  connection.on('session_started' as never, (event: unknown) => {
    heard(event)
    connection.send({ audioBase64: Buffer.alloc(3200, 7).toString('base64') })
    connection.commit()
  })
  connection.on('committed_transcript' as never, heard)
  connection.on('error' as never, failed)
  const events = await all
  connection.close()
  return events
}

const runs: Readonly<Record<string, Run>> = {
  openaiRealtime,
  openaiRealtimeBrowser,
  openaiResponses,
  geminiLive,
  deepgram,
  assemblyai,
  elevenlabs,
}

const [name = '', base = '', token = ''] = process.argv.slice(2)
const run = runs[name]
if (!run) throw new Error(`there is no ${name}`)
run(base, token).then(
  heard => {
    process.stdout.write(JSON.stringify({ heard }))
    process.exit(0)
  },
  (error: unknown) => {
    process.stdout.write(
      JSON.stringify({
        threw: error instanceof Error || (error instanceof Object && 'message' in error) ? String(error.message) : JSON.stringify(error),
      }),
    )
    process.exit(0)
  },
)
