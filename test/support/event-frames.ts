import { crc32 } from 'node:zlib'

/** One frame of `application/vnd.amazon.eventstream`, as AWS's own clients check it. */
function eventFrame(type: string, payload: unknown): Buffer {
  const headers = Buffer.concat([
    stringHeader(':event-type', type),
    stringHeader(':content-type', 'application/json'),
    stringHeader(':message-type', 'event'),
  ])
  const body = Buffer.from(JSON.stringify(payload))
  const frame = Buffer.alloc(12 + headers.length + body.length + 4)
  frame.writeUInt32BE(frame.length, 0)
  frame.writeUInt32BE(headers.length, 4)
  frame.writeUInt32BE(crc32(frame.subarray(0, 8)), 8)
  headers.copy(frame, 12)
  body.copy(frame, 12 + headers.length)
  frame.writeUInt32BE(crc32(frame.subarray(0, -4)), frame.length - 4)
  return frame
}

function stringHeader(name: string, value: string): Buffer {
  const out = Buffer.alloc(1 + name.length + 3 + value.length)
  out.writeUInt8(name.length, 0)
  out.write(name, 1)
  out.writeUInt8(7, 1 + name.length)
  out.writeUInt16BE(value.length, 2 + name.length)
  out.write(value, 4 + name.length)
  return out
}

/** A stream of Converse, with 18 model tokens in, 7 more from the cache, and 3 out. */
export function converseStream(): Buffer {
  return Buffer.concat([
    eventFrame('messageStart', { role: 'assistant', p: 'abcd' }),
    eventFrame('contentBlockDelta', { contentBlockIndex: 0, delta: { text: 'Hi thé 🐟' }, p: 'ab' }),
    eventFrame('contentBlockStop', { contentBlockIndex: 0, p: 'abc' }),
    eventFrame('messageStop', { stopReason: 'end_turn', p: 'a' }),
    eventFrame('metadata', {
      metrics: { latencyMs: 10 },
      usage: { inputTokens: 18, outputTokens: 3, totalTokens: 28, cacheReadInputTokens: 7 },
      p: 'abcdef',
    }),
  ])
}

/** A stream of InvokeModelWithResponseStream with Anthropic's events inside: 12 in, 6 out. */
export function invokeStream(): Buffer {
  const events = [
    { type: 'message_start', message: { id: 'msg_1', model: 'claude-sonnet-4-5-20250929', usage: { input_tokens: 12, output_tokens: 1 } } },
    { type: 'content_block_delta', index: 0, delta: { type: 'text_delta', text: 'Hi' } },
    { type: 'message_delta', delta: { stop_reason: 'end_turn' }, usage: { output_tokens: 6 } },
    { type: 'message_stop', 'amazon-bedrock-invocationMetrics': { inputTokenCount: 12, outputTokenCount: 6, invocationLatency: 10 } },
  ]
  return Buffer.concat(events.map(event => eventFrame('chunk', { bytes: Buffer.from(JSON.stringify(event)).toString('base64'), p: 'abc' })))
}
