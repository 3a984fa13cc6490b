/**
 * Runs one official SDK the way an app would and prints what it returned: `node sdk-child.js SDK BASE TOKEN [SCENARIO…]`. `BASE` is the address that stands for
 * the provider's origin. A process of its own, because `NODE_EXTRA_CA_CERTS` is read when Node starts.
 */

import { dialectSdks } from './sdk-dialects.js'

export type Scenarios = Readonly<Record<string, () => Promise<unknown>>>

const user = (content: string) => ({ role: 'user' as const, content })
const model = 'gpt-4o-mini'

async function all<T>(items: AsyncIterable<T>): Promise<T[]> {
  const found: T[] = []
  for await (const item of items) found.push(item)
  return found
}

async function openai(base: string, apiKey: string): Promise<Scenarios> {
  const { default: OpenAI } = await import('openai')
  const client = new OpenAI({ apiKey, baseURL: `${base}/v1`, maxRetries: 0 })
  const chat = (text: string) => client.chat.completions.create({ model, messages: [user(text)] })
  return {
    json: () => chat('hello'),
    stream: async () => all(await client.chat.completions.create({ model, messages: [user('hello')], stream: true })),
    streamWithUsage: async () =>
      all(
        await client.chat.completions.create({ model, messages: [user('hello')], stream: true, stream_options: { include_usage: true } }),
      ),
    embeddings: () => client.embeddings.create({ model: 'text-embedding-3-small', input: 'hello' }),
    floats: () => client.embeddings.create({ model: 'text-embedding-3-small', input: 'hello', encoding_format: 'float' }),
    models: async () => all(await client.models.list()),
    responses: () => client.responses.create({ model, input: 'hello' }),
    responsesStream: async () => all(await client.responses.create({ model, input: 'hello', stream: true })),
    limited: () => chat('limited'),
    broken: () => chat('broken'),
    refused: () => chat('refused'),
  }
}

async function anthropic(base: string, apiKey: string): Promise<Scenarios> {
  const { default: Anthropic } = await import('@anthropic-ai/sdk')
  const client = new Anthropic({ apiKey, baseURL: base, maxRetries: 0 })
  const send = (text: string) => client.messages.create({ model: 'claude-sonnet-4-5', max_tokens: 64, messages: [user(text)] })
  return {
    json: () => send('hello'),
    stream: async () =>
      all(await client.messages.create({ model: 'claude-sonnet-4-5', max_tokens: 64, messages: [user('hello')], stream: true })),
    finalMessage: () => client.messages.stream({ model: 'claude-sonnet-4-5', max_tokens: 64, messages: [user('hello')] }).finalMessage(),
    limited: () => send('limited'),
    broken: () => send('broken'),
  }
}

async function anthropic0(base: string, apiKey: string): Promise<Scenarios> {
  const { default: Anthropic } = await import('@anthropic-ai/sdk-0')
  const client = new Anthropic({ apiKey, baseURL: base, maxRetries: 0 })
  const send = (text: string) => client.messages.create({ model: 'claude-sonnet-4-5', max_tokens: 64, messages: [user(text)] })
  return {
    json: () => send('hello'),
    stream: async () =>
      all(await client.messages.create({ model: 'claude-sonnet-4-5', max_tokens: 64, messages: [user('hello')], stream: true })),
    limited: () => send('limited'),
    broken: () => send('broken'),
  }
}

async function gemini(base: string, apiKey: string): Promise<Scenarios> {
  const { GoogleGenAI } = await import('@google/genai')
  const client = new GoogleGenAI({ apiKey, httpOptions: { baseUrl: base } })
  const ask = (contents: string) => client.models.generateContent({ model: 'gemini-2.5-flash', contents })
  return {
    json: () => ask('hello'),
    stream: async () => all(await client.models.generateContentStream({ model: 'gemini-2.5-flash', contents: 'hello' })),
    limited: () => ask('limited'),
    broken: () => ask('broken'),
  }
}

async function groq(base: string, apiKey: string): Promise<Scenarios> {
  const { default: Groq } = await import('groq-sdk')
  const client = new Groq({ apiKey, baseURL: base, maxRetries: 0 })
  const chat = (text: string) => client.chat.completions.create({ model: 'llama-3.3-70b-versatile', messages: [user(text)] })
  return {
    json: () => chat('hello'),
    stream: async () =>
      all(await client.chat.completions.create({ model: 'llama-3.3-70b-versatile', messages: [user('hello')], stream: true })),
    models: () => client.models.list(),
    limited: () => chat('limited'),
    broken: () => chat('broken'),
  }
}

async function mistral(base: string, apiKey: string): Promise<Scenarios> {
  const { Mistral } = await import('@mistralai/mistralai')
  const client = new Mistral({ apiKey, serverURL: base, retryConfig: { strategy: 'none' } })
  const chat = (text: string) => client.chat.complete({ model: 'mistral-small-latest', messages: [user(text)] })
  return {
    json: () => chat('hello'),
    stream: async () => all(await client.chat.stream({ model: 'mistral-small-latest', messages: [user('hello')] })),
    embeddings: () => client.embeddings.create({ model: 'mistral-embed', inputs: ['hello'] }),
    limited: () => chat('limited'),
    broken: () => chat('broken'),
  }
}

async function vercelOpenai(base: string, apiKey: string): Promise<Scenarios> {
  const [{ createOpenAI }, { generateText, streamText }] = await Promise.all([import('@ai-sdk/openai'), import('ai')])
  const provider = createOpenAI({ apiKey, baseURL: `${base}/v1` })
  const generate = async (prompt: string) => {
    const { text, finishReason, usage } = await generateText({ model: provider.chat(model), prompt, maxRetries: 0 })
    return { text, finishReason, usage }
  }
  return {
    json: () => generate('hello'),
    responses: async () => {
      const { text, finishReason, usage } = await generateText({ model: provider(model), prompt: 'hello', maxRetries: 0 })
      return { text, finishReason, usage }
    },
    stream: async () => {
      const result = streamText({ model: provider.chat(model), prompt: 'hello', maxRetries: 0 })
      return { parts: await all(result.textStream), usage: await result.usage }
    },
    limited: () => generate('limited'),
    broken: () => generate('broken'),
  }
}

async function vercelAnthropic(base: string, apiKey: string): Promise<Scenarios> {
  const [{ createAnthropic }, { generateText, streamText }] = await Promise.all([import('@ai-sdk/anthropic'), import('ai')])
  const provider = createAnthropic({ apiKey, baseURL: `${base}/v1` })
  const generate = async (prompt: string) => {
    const { text, finishReason, usage } = await generateText({ model: provider('claude-sonnet-4-5'), prompt, maxRetries: 0 })
    return { text, finishReason, usage }
  }
  return {
    json: () => generate('hello'),
    stream: async () => {
      const result = streamText({ model: provider('claude-sonnet-4-5'), prompt: 'hello', maxRetries: 0 })
      return { parts: await all(result.textStream), usage: await result.usage }
    },
    limited: () => generate('limited'),
    broken: () => generate('broken'),
  }
}

async function langchain(base: string, apiKey: string): Promise<Scenarios> {
  const { ChatOpenAI, OpenAIEmbeddings } = await import('@langchain/openai')
  const configuration = { baseURL: `${base}/v1` }
  const chat = new ChatOpenAI({ model, apiKey, maxRetries: 0, configuration })
  // what a person prints of a message; its class holds functions
  const plain = (message: { content: unknown; usage_metadata?: unknown; response_metadata?: unknown }) => ({
    content: message.content,
    usage: message.usage_metadata,
    metadata: message.response_metadata,
  })
  return {
    json: async () => plain(await chat.invoke('hello')),
    stream: async () => (await all(await chat.stream('hello'))).map(plain),
    responses: async () =>
      plain(await new ChatOpenAI({ model, apiKey, maxRetries: 0, configuration, useResponsesApi: true }).invoke('hello')),
    embeddings: () => new OpenAIEmbeddings({ model: 'text-embedding-3-small', apiKey, maxRetries: 0, configuration }).embedQuery('hello'),
    limited: async () => plain(await chat.invoke('limited')),
    broken: async () => plain(await chat.invoke('broken')),
  }
}

const sdks: Readonly<Record<string, (base: string, token: string) => Promise<Scenarios>>> = {
  openai,
  anthropic,
  anthropic0,
  gemini,
  groq,
  mistral,
  vercelOpenai,
  vercelAnthropic,
  langchain,
  ...dialectSdks,
}

/** What an app can see of an error. */
function describe(error: unknown): Record<string, unknown> {
  const seen = error as Record<string, unknown> & { constructor: { name: string } }
  const picked: Record<string, unknown> = { class: seen.constructor.name }
  for (const name of ['name', 'message', 'status', 'statusCode', 'code', 'type', 'param', 'error', 'isRetryable', 'data']) {
    if (seen[name] !== undefined) picked[name] = seen[name]
  }
  return picked
}

const [name = '', base = '', token = '', ...only] = process.argv.slice(2)
const scenarios = (await sdks[name]?.(base, token)) ?? {}
const report: Record<string, unknown> = {}
for (const [scenario, run] of Object.entries(scenarios)) {
  if (only.length > 0 && !only.includes(scenario)) continue
  try {
    report[scenario] = { returned: await run() }
  } catch (error) {
    report[scenario] = { threw: describe(error) }
  }
}
process.stdout.write(JSON.stringify(report))
