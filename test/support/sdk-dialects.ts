import type { Scenarios } from './sdk-child.js'

/** Official SDKs of the providers with a dialect of their own; see sdk-child. */

async function all<T>(items: AsyncIterable<T> | Iterable<T>): Promise<T[]> {
  const found: T[] = []
  for await (const item of items) found.push(item)
  return found
}

const collect = async (stream: AsyncIterable<Uint8Array>) => Buffer.concat(await all(stream)).toString('hex')
const user = (content: string) => ({ role: 'user' as const, content })

async function cohere(base: string, token: string): Promise<Scenarios> {
  const { CohereClientV2 } = await import('cohere-ai')
  const client = new CohereClientV2({ token, baseUrl: base, maxRetries: 0 })
  const model = 'command-a-03-2025'
  return {
    json: () => client.chat({ model, messages: [user('hello')] }),
    stream: async () => all(await client.chatStream({ model, messages: [user('hello')] })),
    embed: () => client.embed({ model: 'embed-v4.0', inputType: 'search_query', embeddingTypes: ['float'], texts: ['hello'] }),
    rerank: () => client.rerank({ model: 'rerank-v3.5', query: 'q', documents: ['a', 'b'] }),
    broken: () => client.chat({ model, messages: [user('broken')] }),
  }
}

async function elevenlabs(base: string, apiKey: string): Promise<Scenarios> {
  const { ElevenLabsClient } = await import('@elevenlabs/elevenlabs-js')
  const client = new ElevenLabsClient({ apiKey, baseUrl: base, maxRetries: 0 })
  const speech = { text: 'Hello 🐟', modelId: 'eleven_multilingual_v2' }
  return {
    json: async () => collect((await client.textToSpeech.convert('v1', speech)) as unknown as AsyncIterable<Uint8Array>),
    stream: async () => collect((await client.textToSpeech.stream('v1', speech)) as unknown as AsyncIterable<Uint8Array>),
    transcription: () => client.speechToText.convert({ modelId: 'scribe_v1', file: new Blob(['sound']) }),
    broken: async () =>
      collect((await client.textToSpeech.convert('v1', { ...speech, text: 'broken' })) as unknown as AsyncIterable<Uint8Array>),
  }
}

async function azure(base: string, apiKey: string): Promise<Scenarios> {
  const { AzureOpenAI } = await import('openai')
  const client = new AzureOpenAI({ apiKey, endpoint: base, apiVersion: '2024-10-21', maxRetries: 0 })
  const chat = (text: string) => client.chat.completions.create({ model: 'gpt4o', messages: [user(text)] })
  return {
    json: () => chat('hello'),
    stream: async () => all(await client.chat.completions.create({ model: 'gpt4o', messages: [user('hello')], stream: true })),
    embeddings: () => client.embeddings.create({ model: 'emb', input: 'hello', encoding_format: 'float' }),
    broken: () => chat('broken'),
  }
}

async function bedrock(base: string, token: string): Promise<Scenarios> {
  const aws = await import('@aws-sdk/client-bedrock-runtime')
  // it speaks HTTP/2 by itself, which the bare upstream does not
  const handler = base.startsWith('http:') ? { requestHandler: new (await import('@smithy/node-http-handler')).NodeHttpHandler() } : {}
  const client = new aws.BedrockRuntimeClient({
    ...handler,
    region: 'us-east-1',
    endpoint: base,
    token: { token },
    authSchemePreference: ['httpBearerAuth'],
    maxAttempts: 1,
  })
  const modelId = 'anthropic.claude-sonnet-4-5-20250929-v1:0'
  const messages = (text: string) => [{ role: 'user' as const, content: [{ text }] }]
  const plain = <T extends { $metadata?: unknown }>({ $metadata, ...rest }: T) => rest
  return {
    json: async () => plain(await client.send(new aws.ConverseCommand({ modelId, messages: messages('hello') }))),
    stream: async () => all((await client.send(new aws.ConverseStreamCommand({ modelId, messages: messages('hello') }))).stream ?? []),
    invoke: async () => {
      const reply = await client.send(new aws.InvokeModelCommand({ modelId, body: '{"max_tokens":9}', contentType: 'application/json' }))
      return Buffer.from(reply.body).toString()
    },
    invokeHeaders: async () => {
      const command = new aws.InvokeModelCommand({ modelId: 'meta.llama3', body: '{}', contentType: 'application/json' })
      return Buffer.from((await client.send(command)).body).toString()
    },
    invokeStream: async () => {
      const reply = await client.send(
        new aws.InvokeModelWithResponseStreamCommand({ modelId, body: '{}', contentType: 'application/json' }),
      )
      return (await all(reply.body ?? [])).map(event => Buffer.from(event.chunk?.bytes ?? []).toString())
    },
    count: async () =>
      plain(await client.send(new aws.CountTokensCommand({ modelId, input: { converse: { messages: messages('hello') } } }))),
    broken: () => client.send(new aws.ConverseCommand({ modelId, messages: messages('broken') })),
  }
}

async function replicate(base: string, auth: string): Promise<Scenarios> {
  const { default: Replicate } = await import('replicate')
  const client = new Replicate({ auth, baseUrl: `${base}/v1`, useFileOutput: false })
  return {
    json: () => client.run('meta/llama', { input: { prompt: 'hello' } }),
    polled: () => client.run('meta/llama', { input: { prompt: 'hello' }, wait: { mode: 'poll', interval: 10 } }),
    created: () => client.predictions.create({ model: 'meta/llama', input: { prompt: 'hello' } }),
    broken: () => client.run('meta/llama', { input: { prompt: 'broken' } }),
  }
}

async function ollama(base: string, token: string): Promise<Scenarios> {
  const { Ollama } = await import('ollama')
  const client = new Ollama({ host: base, headers: { authorization: `Bearer ${token}` } })
  const model = 'llama3.2'
  return {
    json: () => client.chat({ model, messages: [user('hello')] }),
    stream: async () => all(await client.chat({ model, messages: [user('hello')], stream: true })),
    generate: () => client.generate({ model, prompt: 'hello', stream: false }),
    embed: () => client.embed({ model, input: 'hello' }),
    list: () => client.list(),
    broken: () => client.chat({ model, messages: [user('broken')] }),
  }
}

async function assemblyai(base: string, apiKey: string): Promise<Scenarios> {
  const { AssemblyAI } = await import('assemblyai')
  const client = new AssemblyAI({ apiKey, baseUrl: base })
  const polling = { pollingInterval: 10 }
  return {
    json: () => client.transcripts.transcribe({ audio: 'https://example.com/a.mp3', speech_models: ['universal'] }, polling),
    uploaded: () => client.transcripts.transcribe({ audio: Buffer.from('sound') }, polling),
    broken: () => client.transcripts.submit({ audio: 'https://example.com/broken.mp3' }),
  }
}

async function deepgram(base: string, apiKey: string): Promise<Scenarios> {
  const { DeepgramClient } = await import('@deepgram/sdk')
  const socket = base.replace(/^http/, 'ws')
  const client = new DeepgramClient({
    apiKey,
    environment: { base, production: socket, agent: socket, agentRest: base },
    maxRetries: 0,
  })
  return {
    json: () => client.listen.v1.media.transcribeUrl({ url: 'https://example.com/a.wav', model: 'nova-3' }),
    file: () => client.listen.v1.media.transcribeFile(Buffer.from('sound'), { model: 'nova-3' }),
    speech: async () =>
      Buffer.from(await (await client.speak.v1.audio.generate({ text: 'Hello', model: 'aura-2' })).arrayBuffer()).toString('hex'),
    broken: () => client.listen.v1.media.transcribeUrl({ url: 'https://example.com/broken.wav' }),
  }
}

async function vertex(base: string, apiKey: string): Promise<Scenarios> {
  const { GoogleGenAI } = await import('@google/genai')
  const client = new GoogleGenAI({ vertexai: true, apiKey, httpOptions: { baseUrl: base } })
  const ask = (contents: string) => client.models.generateContent({ model: 'gemini-2.5-flash', contents })
  return {
    json: () => ask('hello'),
    stream: async () => all(await client.models.generateContentStream({ model: 'gemini-2.5-flash', contents: 'hello' })),
    broken: () => ask('broken'),
  }
}

export const dialectSdks: Readonly<Record<string, (base: string, token: string) => Promise<Scenarios>>> = {
  cohere,
  elevenlabs,
  azure,
  bedrock,
  replicate,
  ollama,
  assemblyai,
  deepgram,
  vertex,
}
