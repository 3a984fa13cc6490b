/** What is sent and answered. The upstream tells the kinds apart by a word in the prompt, since headers need not reach it. */

export const path = '/openai/v1/chat/completions'

/** `stream`: one event every 10 ms until the client leaves; `burst`: a short stream at once; `silent`: one event, then nothing. */
export type StreamKind = 'stream' | 'burst' | 'silent'

const requestSize = 155
const replySize = 600

/** 155 bytes, answered by JSON of 600 bytes. */
export const jsonRequest = padded({ model: 'gpt-4o-mini', max_tokens: 256, messages: [{ role: 'user', content: '' }] }, requestSize)

export function streamRequest(kind: StreamKind): string {
  return JSON.stringify({ model: 'gpt-4o-mini', max_tokens: 256, stream: true, messages: [{ role: 'user', content: `#${kind}` }] })
}

export function kindOf(body: string): StreamKind | 'json' {
  return (['stream', 'burst', 'silent'] as const).find(kind => body.includes(`#${kind}"`)) ?? 'json'
}

export const jsonReply = padded(
  {
    id: 'chatcmpl-BnchBnchBnchBnchBnchBnchBnch1',
    object: 'chat.completion',
    created: 1_750_000_000,
    model: 'gpt-4o-mini-2024-07-18',
    choices: [{ index: 0, message: { role: 'assistant', content: '', refusal: null }, logprobs: null, finish_reason: 'stop' }],
    usage: {
      prompt_tokens: 21,
      completion_tokens: 37,
      total_tokens: 58,
      prompt_tokens_details: { cached_tokens: 0, audio_tokens: 0 },
      completion_tokens_details: { reasoning_tokens: 0, audio_tokens: 0 },
    },
    service_tier: 'default',
    system_fingerprint: 'fp_0123456789',
  },
  replySize,
)

const chunk = {
  id: 'chatcmpl-BnchBnchBnchBnchBnchBnchBnch1',
  object: 'chat.completion.chunk',
  created: 1_750_000_000,
  model: 'gpt-4o-mini-2024-07-18',
}

export const event = `data: ${JSON.stringify({ ...chunk, choices: [{ index: 0, delta: { content: ' word' }, finish_reason: null }], usage: null })}\n\n`

const counts = { prompt_tokens: 21, completion_tokens: 3, total_tokens: 24 }
export const lastEvents = `data: ${JSON.stringify({ ...chunk, choices: [], usage: counts })}\n\ndata: [DONE]\n\n`

export const socketPath = '/openai/v1/realtime?model=gpt-realtime'

/** A message of a provider's over a WebSocket: one word of an answer, in a frame as servers send it (RFC 6455, section 5.2). */
export const socketFrame = framed(
  JSON.stringify({
    type: 'response.output_text.delta',
    event_id: 'event_1',
    response_id: 'resp_1',
    item_id: 'item_1',
    output_index: 0,
    delta: ' word',
  }),
)

function framed(text: string): Buffer {
  const payload = Buffer.from(text)
  return Buffer.concat([Buffer.from([0x81, 126, payload.length >> 8, payload.length & 0xff]), payload])
}

/** JSON of exactly `size` bytes: the empty text in it is filled. */
function padded(value: unknown, size: number): string {
  const bare = JSON.stringify(value)
  return bare.replace('"content":""', `"content":"${'lorem ipsum dolor sit amet '.repeat(24).slice(0, size - bare.length)}"`)
}
