import { converseStream, invokeStream } from './event-frames.js'
import { chunk, head, lastChunk, whole } from './scripts.js'
import type { Exchange, Script } from './upstream.js'

/** Replies as the providers document them, by path. Model tokens are always 11 in and 7 out where the reply counts such. */

type Reply = (exchange: Exchange, body: string) => Buffer

const json =
  (value: unknown, fields: readonly (readonly [string, string])[] = []): Reply =>
  () =>
    whole(200, 'application/json', JSON.stringify(value), fields)
const bytes =
  (type: string, body: Buffer | string, fields: readonly (readonly [string, string])[] = []): Reply =>
  () =>
    Buffer.concat([
      Buffer.from(head(200, [['Content-Type', type], ['Transfer-Encoding', 'chunked'], ...fields])),
      chunk(body),
      Buffer.from(lastChunk),
    ])
const lines = (values: readonly unknown[]) => values.map(value => `${JSON.stringify(value)}\n`).join('')
const events = (values: readonly { readonly type?: string; readonly [name: string]: unknown }[]) =>
  values.map(value => `${value.type ? `event: ${value.type}\n` : ''}data: ${JSON.stringify(value)}\n\n`).join('')
const streams = (body: string) => /"stream"\s*:\s*true/.test(body)

const cohereBill = { billed_units: { input_tokens: 11, output_tokens: 7 }, tokens: { input_tokens: 70, output_tokens: 7 } }
const cohereEvents = [
  { type: 'message-start', id: 'm', delta: { message: { role: 'assistant', content: [], tool_plan: '', tool_calls: [], citations: [] } } },
  { type: 'content-start', index: 0, delta: { message: { content: { type: 'text', text: '' } } } },
  { type: 'content-delta', index: 0, delta: { message: { content: { text: 'Hi thé 🐟' } } } },
  { type: 'content-end', index: 0 },
  { type: 'message-end', id: 'm', delta: { finish_reason: 'COMPLETE', usage: cohereBill } },
]
const openaiUsage = { prompt_tokens: 11, completion_tokens: 7, total_tokens: 18 }
const openaiReply = {
  id: 'chatcmpl-1',
  object: 'chat.completion',
  created: 1,
  model: 'gpt-4o',
  choices: [{ index: 0, message: { role: 'assistant', content: 'Hi' }, finish_reason: 'stop' }],
  usage: openaiUsage,
}
const openaiChunk = { id: 'c', object: 'chat.completion.chunk', created: 1, model: 'gpt-4o' }
const openaiEvents = [
  { ...openaiChunk, choices: [{ index: 0, delta: { role: 'assistant', content: 'Hi' }, finish_reason: null }] },
  { ...openaiChunk, choices: [{ index: 0, delta: {}, finish_reason: 'stop' }] },
]
const geminiReply = {
  candidates: [{ content: { role: 'model', parts: [{ text: 'Hi' }] }, finishReason: 'STOP' }],
  usageMetadata: { promptTokenCount: 11, candidatesTokenCount: 7, totalTokenCount: 18 },
}
const ollamaEnd = { done: true, done_reason: 'stop', total_duration: 1, prompt_eval_count: 11, eval_count: 7 }
const ollamaHead = { model: 'llama3.2', created_at: '2026-01-01T00:00:00Z' }

const prediction: Reply = ({ request }, body) => {
  const waits = request.header('prefer')?.startsWith('wait') || request.method === 'GET'
  const url = `http://${request.header('host')}/v1/predictions/gm3q`
  const done = {
    status: 'succeeded',
    output: ['Hi', ' there'],
    metrics: { predict_time: 2.5, input_token_count: 11, output_token_count: 7 },
  }
  const value = {
    id: 'gm3q',
    model: 'meta/llama',
    version: 'hidden',
    input: JSON.parse(body || '{}').input ?? {},
    error: null,
    logs: 'said {"get":"https://example.com"}',
    ...(waits ? done : { status: 'starting', output: null }),
    urls: { get: url, cancel: `${url}/cancel`, web: 'https://replicate.com/p/gm3q' },
  }
  return whole(request.method === 'POST' ? 201 : 200, 'application/json', JSON.stringify(value))
}

const transcript =
  (status: string): Reply =>
  () => {
    const done = status === 'completed' ? { text: 'Hello.', audio_duration: 90 } : { text: null, audio_duration: null }
    return whole(200, 'application/json', JSON.stringify({ id: 't1', audio_url: 'https://example.com/a.mp3', status, ...done }))
  }

const routes: readonly (readonly [RegExp, Reply])[] = [
  [
    /^POST \/v2\/chat/,
    (exchange, body) =>
      (streams(body)
        ? bytes('text/event-stream', events(cohereEvents))
        : json({
            id: 'c',
            finish_reason: 'COMPLETE',
            message: { role: 'assistant', content: [{ type: 'text', text: 'Hi' }] },
            usage: cohereBill,
          }))(exchange, body),
  ],
  [
    /^POST \/v2\/embed/,
    json({ id: 'e', embeddings: { float: [[0.1, 0.2]] }, texts: ['hello'], meta: { billed_units: { input_tokens: 11 } } }),
  ],
  [/^POST \/v2\/rerank/, json({ id: 'r', results: [{ index: 0, relevance_score: 0.9 }], meta: { billed_units: { search_units: 2 } } })],
  [/^POST \/v1\/text-to-speech\/v1\/stream/, bytes('audio/mpeg', Buffer.from([1, 2, 3, 0, 255]))],
  [
    /^POST \/v1\/text-to-speech\/v1/,
    bytes('audio/mpeg', Buffer.from([1, 2, 3, 0, 255]), [
      ['character-cost', '9'],
      ['request-id', 'r1'],
    ]),
  ],
  [/^POST \/v1\/speech-to-text/, json({ language_code: 'en', language_probability: 1, text: 'Hi', words: [], audio_duration_secs: 12.2 })],
  [
    /^POST \/openai\/deployments\/gpt4o\/chat\/completions/,
    (exchange, body) => {
      if (!streams(body)) return json(openaiReply)(exchange, body)
      const last = body.includes('"include_usage":true') ? [{ ...openaiChunk, choices: [], usage: openaiUsage }] : []
      return bytes('text/event-stream', `${events([...openaiEvents, ...last])}data: [DONE]\n\n`)(exchange, body)
    },
  ],
  [
    /^POST \/openai\/deployments\/emb\/embeddings/,
    json({
      object: 'list',
      model: 'e',
      data: [{ object: 'embedding', index: 0, embedding: [0.1] }],
      usage: { prompt_tokens: 11, total_tokens: 11 },
    }),
  ],
  [/^POST \/model\/[^/]+\/converse-stream/, bytes('application/vnd.amazon.eventstream', converseStream())],
  [
    /^POST \/model\/[^/]+\/converse/,
    json({
      metrics: { latencyMs: 5 },
      output: { message: { role: 'assistant', content: [{ text: 'Hi' }] } },
      stopReason: 'end_turn',
      usage: { inputTokens: 11, outputTokens: 7, totalTokens: 18 },
    }),
  ],
  [/^POST \/model\/[^/]+\/invoke-with-response-stream/, bytes('application/vnd.amazon.eventstream', invokeStream())],
  [
    /^POST \/model\/meta[^/]*\/invoke/,
    json({ odd: true }, [
      ['x-amzn-bedrock-input-token-count', '11'],
      ['x-amzn-bedrock-output-token-count', '7'],
    ]),
  ],
  [
    /^POST \/model\/[^/]+\/invoke/,
    json({ id: 'm', type: 'message', content: [{ type: 'text', text: 'Hi' }], usage: { input_tokens: 11, output_tokens: 7 } }),
  ],
  [/^POST \/model\/[^/]+\/count-tokens/, json({ inputTokens: 11 })],
  [/^POST \/v1\/models\/meta\/llama\/predictions/, prediction],
  [/^(?:GET|POST) \/v1\/predictions/, prediction],
  [
    /^POST \/api\/chat/,
    (exchange, body) =>
      (streams(body)
        ? bytes(
            'application/x-ndjson',
            lines([
              { ...ollamaHead, message: { role: 'assistant', content: 'Hi' }, done: false },
              { ...ollamaHead, message: { role: 'assistant', content: '' }, ...ollamaEnd },
            ]),
          )
        : json({ ...ollamaHead, message: { role: 'assistant', content: 'Hi' }, ...ollamaEnd }))(exchange, body),
  ],
  [/^POST \/api\/generate/, json({ ...ollamaHead, response: 'Hi', ...ollamaEnd })],
  [/^POST \/api\/embed/, json({ model: 'm', embeddings: [[0.1]], prompt_eval_count: 11 })],
  [/^GET \/api\/tags/, json({ models: [{ name: 'llama3.2:latest', model: 'llama3.2:latest', size: 1, digest: 'd' }] })],
  [/^POST \/v2\/upload/, json({ upload_url: 'https://cdn.assemblyai.com/upload/1' })],
  [/^POST \/v2\/transcript/, transcript('queued')],
  [/^GET \/v2\/transcript\/t1/, transcript('completed')],
  [
    /^POST \/v1\/listen/,
    json({
      metadata: { request_id: 'r', duration: 25.9, channels: 1, models: ['m'], model_info: {} },
      results: { channels: [{ alternatives: [{ transcript: 'Hi' }] }] },
    }),
  ],
  [
    /^POST \/v1\/speak/,
    bytes('audio/mpeg', Buffer.from([9, 8, 7]), [
      ['dg-char-count', '5'],
      ['dg-request-id', 'r2'],
    ]),
  ],
  [/^POST \/v1(?:beta1?)?\/publishers\/google\/models\/[^/]+:generateContent/, json(geminiReply)],
  [/^POST \/v1(?:beta1?)?\/publishers\/google\/models\/[^/]+:streamGenerateContent/, bytes('text/event-stream', events([geminiReply]))],
]

/** Speaks for every provider with a dialect of its own; a body that says `broken` is answered with an error of the shape that clients expect. */
export const dialectReplies: Script = async exchange => {
  const body = (await exchange.body()).toString()
  const { method, target } = exchange.request
  const found = routes.find(([pattern]) => pattern.test(`${method} ${target}`))
  if (body.includes('broken')) {
    const error = {
      message: 'it broke',
      error: { message: 'it broke' },
      detail: { status: 'broken', message: 'it broke' },
      __type: 'ValidationException',
    }
    await exchange.send(whole(400, 'application/json', JSON.stringify(error)))
  } else if (found) await exchange.send(found[1](exchange, body))
  else await exchange.send(whole(404, 'application/json', JSON.stringify({ message: `nothing at ${method} ${target}` })))
}
