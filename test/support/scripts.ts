import { setImmediate as turn } from 'node:timers/promises'
import type { Exchange, Script } from './upstream.js'

/** What an upstream may be told to do. Bodies are made to look like the providers'. */

export type Fields = readonly (readonly [string, string])[]

/** A status line and headers, as bytes of the wire, with the empty line. */
export function head(status: number, fields: Fields = []): string {
  return `HTTP/1.1 ${status} ${status < 400 ? 'OK' : 'Sorry'}\r\n${fields.map(([name, value]) => `${name}: ${value}\r\n`).join('')}\r\n`
}

/** A reply with a Content-Length. */
export function whole(status: number, contentType: string, body: string | Uint8Array, fields: Fields = []): Buffer {
  const bytes = Buffer.from(body as Uint8Array)
  return Buffer.concat([
    Buffer.from(head(status, [['Content-Type', contentType], ['Content-Length', `${bytes.length}`], ...fields]), 'latin1'),
    bytes,
  ])
}

export function chunk(bytes: string | Uint8Array): Buffer {
  const body = Buffer.from(bytes as Uint8Array)
  return Buffer.concat([Buffer.from(`${body.length.toString(16)}\r\n`), body, Buffer.from('\r\n')])
}

export const lastChunk = '0\r\n\r\n'

/** Reads the request to its end, then replies with JSON. */
export function json(value: unknown, status = 200, fields: Fields = []): Script {
  return async exchange => {
    await exchange.body()
    await exchange.send(whole(status, 'application/json', JSON.stringify(value), fields))
  }
}

/** Reads the request to its end, then sends these bytes, one write each. */
export function raw(...parts: (string | Uint8Array)[]): Script {
  return async exchange => {
    await exchange.body()
    for (const part of parts) await exchange.send(typeof part === 'string' ? Buffer.from(part, 'latin1') : part)
  }
}

/** As `raw`, then an RST. */
export function rawThenReset(...parts: (string | Uint8Array)[]): Script {
  const script = raw(...parts)
  return async exchange => {
    await script(exchange)
    exchange.reset()
  }
}

/** As `raw`, then silence until the peer leaves. */
export function rawThenStall(...parts: (string | Uint8Array)[]): Script {
  const script = raw(...parts)
  return async exchange => {
    await script(exchange)
    await exchange.left
  }
}

export const sseHead = head(200, [
  ['Content-Type', 'text/event-stream; charset=utf-8'],
  ['Cache-Control', 'no-cache'],
  ['Transfer-Encoding', 'chunked'],
])

/** Sends one chunk an event, letting the event loop turn between them, so that they travel apart. */
export function sse(events: readonly string[], fields: Fields = []): Script {
  return async exchange => {
    await exchange.body()
    await exchange.send(
      fields.length === 0 ? sseHead : sseHead.replace(/\r\n\r\n$/, `\r\n${fields.map(([n, v]) => `${n}: ${v}\r\n`).join('')}\r\n`),
    )
    for (const event of events) {
      await exchange.send(chunk(event))
      await turn()
    }
    await exchange.send(lastChunk)
  }
}

/** An event at a time, each when `next` resolves, until the peer has gone. */
export function endlessSse(event: (index: number) => string, next: () => Promise<unknown>): Script {
  return async exchange => {
    await exchange.body()
    await exchange.send(sseHead)
    for (let index = 0; !exchange.socket.destroyed; index++) {
      await exchange.send(chunk(event(index)))
      await Promise.race([next(), exchange.left])
    }
  }
}

export const openaiUsage = { prompt_tokens: 11, completion_tokens: 7, total_tokens: 18 }

/** A chat completion as OpenAI's API returns it, 18 model tokens. */
export const openaiChat = {
  id: 'chatcmpl-1',
  object: 'chat.completion',
  created: 1_763_000_000,
  model: 'gpt-4o-mini',
  choices: [{ index: 0, message: { role: 'assistant', content: 'Hello there' }, finish_reason: 'stop' }],
  usage: openaiUsage,
}

export function openaiEvent(delta: string, extra: Record<string, unknown> = {}): string {
  const value = {
    id: 'chatcmpl-1',
    object: 'chat.completion.chunk',
    created: 1_763_000_000,
    model: 'gpt-4o-mini',
    choices: [{ index: 0, delta: { content: delta }, finish_reason: null }],
    ...extra,
  }
  return `data: ${JSON.stringify(value)}\n\n`
}

export const openaiUsageEvent = `data: ${JSON.stringify({ id: 'chatcmpl-1', object: 'chat.completion.chunk', created: 1_763_000_000, model: 'gpt-4o-mini', choices: [], usage: openaiUsage })}\n\n`

/** A stream as OpenAI sends it; with the usage chunk when the client asked for it (or somebody on its behalf). */
const openaiStream: Script = async exchange => {
  const body = (await exchange.body()).toString()
  const words = ['Hel', 'lo ', 'thé', 're ', '🐟']
  const events = words.map(word => openaiEvent(word))
  if (/"include_usage"\s*:\s*true/.test(body)) events.push(openaiUsageEvent)
  events.push('data: [DONE]\n\n')
  await sse(events)(exchange)
}

const anthropicMessage = {
  id: 'msg_1',
  type: 'message',
  role: 'assistant',
  model: 'claude-sonnet-4-5',
  content: [{ type: 'text', text: 'Hello there' }],
  stop_reason: 'end_turn',
  stop_sequence: null,
  usage: { input_tokens: 11, output_tokens: 7 },
}

function anthropicEvent(value: { type: string } & Record<string, unknown>): string {
  return `event: ${value.type}\ndata: ${JSON.stringify(value)}\n\n`
}

export const anthropicEvents: readonly string[] = [
  anthropicEvent({
    type: 'message_start',
    message: { ...anthropicMessage, content: [], stop_reason: null, usage: { input_tokens: 11, output_tokens: 1 } },
  }),
  anthropicEvent({ type: 'content_block_start', index: 0, content_block: { type: 'text', text: '' } }),
  anthropicEvent({ type: 'ping' }),
  anthropicEvent({ type: 'content_block_delta', index: 0, delta: { type: 'text_delta', text: 'Hello there' } }),
  anthropicEvent({ type: 'content_block_stop', index: 0 }),
  anthropicEvent({ type: 'message_delta', delta: { stop_reason: 'end_turn', stop_sequence: null }, usage: { output_tokens: 7 } }),
  anthropicEvent({ type: 'message_stop' }),
]

export const geminiReply = {
  candidates: [{ content: { parts: [{ text: 'Hello there' }], role: 'model' }, finishReason: 'STOP', index: 0 }],
  usageMetadata: { promptTokenCount: 11, candidatesTokenCount: 7, totalTokenCount: 18 },
  modelVersion: 'gemini-2.5-flash',
  responseId: 'r-1',
}

export const geminiEvents: readonly string[] = [
  `data: ${JSON.stringify({ ...geminiReply, candidates: [{ content: { parts: [{ text: 'Hello ' }], role: 'model' }, index: 0 }], usageMetadata: { promptTokenCount: 11, totalTokenCount: 11 } })}\r\n\r\n`,
  `data: ${JSON.stringify({ ...geminiReply, candidates: [{ content: { parts: [{ text: 'there' }], role: 'model' }, finishReason: 'STOP', index: 0 }] })}\r\n\r\n`,
]

/** Speaks each provider's dialect by path and stream switch, always 11 model tokens in and 7 out. */
export const anyProvider: Script = async (exchange: Exchange) => {
  const { target } = exchange.request
  const body = (await exchange.body()).toString()
  const streams = /"stream"\s*:\s*true/.test(body)
  if (target.includes(':streamGenerateContent')) return sse(geminiEvents)(exchange)
  if (target.includes(':generateContent')) return json(geminiReply)(exchange)
  if (target.includes('/v1/messages')) return (streams ? sse(anthropicEvents) : json(anthropicMessage))(exchange)
  return (streams ? openaiStream : json(openaiChat))(exchange)
}
