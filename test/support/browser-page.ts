// What runs in the page of the browser tests: official SDKs and soakp's client, bundled by esbuild as an app's would be. Called by name from outside.

import Anthropic from '@anthropic-ai/sdk'
import { GoogleGenAI } from '@google/genai'
import OpenAI, { toFile } from 'openai'
import { OpenAIRealtimeWebSocket } from 'openai/realtime/websocket'
import { type Client, createClient, type IssuedToken } from '../../src/browser/index.js'
import type { KeyPair } from '../../src/browser/proof.js'

export interface Setup {
  readonly url: string
  readonly dpop?: boolean
  readonly keepKey?: 'memory' | 'indexeddb'
  /** Which of the backend's endpoints gives the token. */
  readonly backend?: string
  /** Exchanged in place of asking the backend. */
  readonly issuerToken?: string
}

/** As much of IndexedDB as is asked here; the types of a browser are not known in this project. */
interface Asked<T> {
  readonly result: T
  readonly error: unknown
  onsuccess: (() => void) | null
  onerror: (() => void) | null
}
interface Database {
  transaction(name: string, mode: 'readonly'): { objectStore(name: string): { getAll(): Asked<readonly KeyPair[]> } }
  close(): void
}

function answer<T>(asked: Asked<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    asked.onsuccess = () => resolve(asked.result)
    asked.onerror = () => reject(asked.error)
  })
}

let soakp: Client
const user = (content: string) => ({ role: 'user' as const, content })
const model = 'gpt-4o-mini'

async function all<T>(items: AsyncIterable<T>): Promise<T[]> {
  const found: T[] = []
  for await (const item of items) found.push(item)
  return found
}

async function told(work: () => unknown): Promise<unknown> {
  try {
    return { returned: JSON.parse(JSON.stringify((await work()) ?? null)) }
  } catch (error) {
    const { name, message, status, code, type } = error as Record<string, unknown>
    return { threw: { class: (error as Error).constructor.name, name, message, status, code, type } }
  }
}

const openaiOf = (base: string | undefined, provider = 'openai', path = '/v1') =>
  base === undefined
    ? new OpenAI({
        apiKey: 'soakp',
        baseURL: `${soakp.url}/${provider}${path}`,
        fetch: soakp.fetch,
        dangerouslyAllowBrowser: true,
        maxRetries: 0,
      })
    : new OpenAI({ apiKey: 'the-real-key', baseURL: `${base}${path}`, dangerouslyAllowBrowser: true, maxRetries: 0 })

/** `base`: of the provider itself, without soakp. */
const sdks: Readonly<Record<string, (base?: string) => Readonly<Record<string, () => Promise<unknown>>>>> = {
  openai(base) {
    const client = openaiOf(base)
    const chat = (text: string) => client.chat.completions.create({ model, messages: [user(text)] })
    return {
      json: () => chat('hello'),
      stream: async () => all(await client.chat.completions.create({ model, messages: [user('hello')], stream: true })),
      responses: () => client.responses.create({ model, input: 'hello' }),
      embeddings: () => client.embeddings.create({ model: 'text-embedding-3-small', input: 'hello' }),
      limited: () => chat('limited'),
      broken: () => chat('broken'),
    }
  },
  anthropic(base) {
    const client = new Anthropic({
      ...(base === undefined
        ? { apiKey: 'soakp', baseURL: `${soakp.url}/anthropic`, fetch: soakp.fetch }
        : { apiKey: 'the-real-key', baseURL: base }),
      dangerouslyAllowBrowser: true,
      maxRetries: 0,
    })
    const ask = (text: string) => ({ model: 'claude-sonnet-4-5', max_tokens: 64, messages: [user(text)] })
    return {
      json: () => client.messages.create(ask('hello')),
      stream: async () => all(await client.messages.create({ ...ask('hello'), stream: true })),
      limited: () => client.messages.create(ask('limited')),
    }
  },
  gemini(base) {
    const client = new GoogleGenAI({ apiKey: 'soakp', httpOptions: { baseUrl: base ?? `${soakp.url}/gemini` } })
    const ask = { model: 'gemini-2.5-flash', contents: 'hello' }
    const within = async (work: () => Promise<unknown>) => {
      const undo = base === undefined ? soakp.install('/gemini/') : () => {}
      return work().finally(undo)
    }
    return {
      json: () => within(() => client.models.generateContent(ask)),
      stream: () => within(async () => all(await client.models.generateContentStream(ask))),
    }
  },
}

const page = {
  setup({ backend = '/ai-token', issuerToken, ...options }: Setup): void {
    soakp = createClient({
      ...options,
      ...(issuerToken !== undefined && { issuerToken: () => issuerToken }),
      ...(issuerToken === undefined && {
        token: async ({ jkt }: { jkt: string | undefined }) => {
          const reply = await fetch(backend, { method: 'POST', body: JSON.stringify({ jkt }) })
          if (!reply.ok) throw new Error(`the backend answers ${reply.status}`)
          return (await reply.json()) as IssuedToken
        },
      }),
    })
  },

  async sdk(name: string, base?: string): Promise<Record<string, unknown>> {
    const report: Record<string, unknown> = {}
    for (const [scenario, run] of Object.entries(sdks[name]?.(base) ?? {})) report[scenario] = await told(run)
    return report
  },

  /** So many calls at once. */
  async many(count: number): Promise<number[]> {
    const client = openaiOf(undefined)
    const chat = () => client.chat.completions.create({ model, messages: [user('hello')] }).asResponse()
    return Promise.all(Array.from({ length: count }, async () => (await chat()).status))
  },

  async abort(): Promise<unknown> {
    const controller = new AbortController()
    const stream = await openaiOf(undefined, 'groq', '/openai/v1').chat.completions.create(
      { model, messages: [user('hello')], stream: true },
      { signal: controller.signal },
    )
    let events = 0
    for await (const _ of stream) if (++events === 3) controller.abort()
    return events
  },

  async upload(bytes: number): Promise<unknown> {
    const file = await toFile(new Uint8Array(bytes).fill(97), 'voice.wav')
    return told(() => openaiOf(undefined, 'groq', '/openai/v1').audio.transcriptions.create({ model: 'whisper-large-v3', file }))
  },

  /** A body that can be sent once: browsers stream it over HTTP/2 only. */
  async streamUp(): Promise<unknown> {
    const body = new ReadableStream({
      start(controller) {
        controller.enqueue(new TextEncoder().encode(JSON.stringify({ model, messages: [user('hello')] })))
        controller.close()
      },
    })
    const init = { method: 'POST', headers: { 'content-type': 'application/json' }, body, duplex: 'half' as const }
    return told(async () => (await soakp.fetch(`${soakp.url}/openai/v1/chat/completions`, init)).status)
  },

  /** Both are to be 200: the request that an app keeps is not used up by the call. */
  async request(): Promise<number[]> {
    const body = JSON.stringify({ model, messages: [user('hello')] })
    const request = new Request(`${soakp.url}/openai/v1/chat/completions`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body,
    })
    return [(await soakp.fetch(request)).status, (await soakp.fetch(request)).status]
  },

  async realtime(): Promise<unknown> {
    return told(async () => {
      const apiKey = await soakp.socketToken('/openai/v1/realtime')
      const client = new OpenAI({ apiKey, baseURL: `${soakp.url}/openai/v1`, dangerouslyAllowBrowser: true })
      const socket = await OpenAIRealtimeWebSocket.create(client, { model: 'gpt-realtime', dangerouslyAllowBrowser: true })
      return new Promise((resolve, reject) => {
        const heard: string[] = []
        socket.on('error', reject)
        socket.on('event', event => {
          heard.push(event.type)
          if (event.type === 'session.created') {
            socket.send({
              type: 'conversation.item.create',
              item: { type: 'message', role: 'user', content: [{ type: 'input_text', text: 'hello' }] },
            })
            socket.send({ type: 'response.create' })
          } else if (event.type === 'response.done') {
            socket.close()
            resolve(heard)
          }
        })
      })
    })
  },

  /** A call with nothing but what the page says. */
  bare: (path: string, headers: Record<string, string>) =>
    told(async () => {
      const reply = await fetch(`${soakp.url}${path}`, { headers })
      return {
        status: reply.status,
        text: await reply.text(),
        challenge: reply.headers.get('www-authenticate'),
        id: reply.headers.get('x-request-id'),
      }
    }),
  elsewhere: (url: string) => told(() => soakp.fetch(url)),
  json: () => told(() => openaiOf(undefined).chat.completions.create({ model, messages: [user('hello')] })),
  aborted: () => told(() => soakp.fetch(`${soakp.url}/openai/v1/models`, { signal: AbortSignal.abort() })),
  token: () => told(() => soakp.token()),
  logout: () => told(() => soakp.logout()),

  /** The key as IndexedDB has it, and whether its private half can be had. */
  async storedKeys(): Promise<unknown> {
    const { indexedDB } = globalThis as unknown as { indexedDB: { open(name: string, version: number): Asked<Database> } }
    const database = await answer(indexedDB.open('soakp', 1))
    const pairs = await answer(database.transaction('keys', 'readonly').objectStore('keys').getAll())
    database.close()
    return Promise.all(pairs.map(pair => told(() => crypto.subtle.exportKey('jwk', pair.privateKey))))
  },
}

export type Page = typeof page
Object.assign(globalThis, { page })
