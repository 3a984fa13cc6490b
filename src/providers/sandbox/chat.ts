import { delayed, newCallId, type Plan, refusal, reply, stream } from './plan.js'
import { answer, countTokens, pieces, textOf } from './text.js'

type Body = Readonly<Record<string, unknown>>

function wholeNumber(value: unknown, most: number): number | undefined {
  return typeof value === 'number' && Number.isInteger(value) && value >= 1 && value <= most ? value : undefined
}

/** What is wrong with a request, in OpenAI's words as far as they are known. */
function check(body: Body): Plan | undefined {
  const wrong = (param: string, message: string) => refusal(400, 'invalid_request_error', 'invalid_value', message, param)
  const { messages } = body
  if (messages === undefined)
    return refusal(400, 'invalid_request_error', 'missing_required_parameter', "Missing required parameter: 'messages'.", 'messages')
  if (!Array.isArray(messages) || messages.length === 0)
    return wrong('messages', "Invalid 'messages': expected an array with at least one message.")
  if (!messages.every(message => typeof message === 'object' && message !== null && typeof (message as Body).role === 'string')) {
    return wrong('messages', "Invalid 'messages': each has to be an object with a 'role'.")
  }
  if (body.stream != null && typeof body.stream !== 'boolean') return wrong('stream', "Invalid type for 'stream': expected a boolean.")
  if (body.stream_options != null && !body.stream) {
    return wrong('stream_options', "The 'stream_options' parameter is only allowed when 'stream' is enabled.")
  }
  if (body.n != null && wholeNumber(body.n, 128) === undefined) return wrong('n', "Invalid 'n': expected a number from 1 to 128.")
  for (const name of ['max_tokens', 'max_completion_tokens']) {
    if (body[name] != null && wholeNumber(body[name], 1_000_000) === undefined)
      return wrong(name, `Invalid '${name}': expected a whole number above 0.`)
  }
  return undefined
}

function usageOf(body: Body, outputTokens: number) {
  const promptTokens = countTokens(textOf(body.messages)) + 4 * (body.messages as unknown[]).length
  return {
    prompt_tokens: promptTokens,
    completion_tokens: outputTokens,
    total_tokens: promptTokens + outputTokens,
    prompt_tokens_details: { cached_tokens: 0, audio_tokens: 0 },
    completion_tokens_details: { reasoning_tokens: 0, audio_tokens: 0, accepted_prediction_tokens: 0, rejected_prediction_tokens: 0 },
  }
}

interface Shape {
  readonly id: string
  readonly created: number
  readonly model: unknown
  readonly system_fingerprint: string
}

const event = (value: unknown) => Buffer.from(`data: ${JSON.stringify(value)}\n\n`)

function* chunksOf(body: Body, shape: Shape, choices: number, includeUsage: boolean): Generator<Buffer> {
  const asked = answer(wholeNumber(body.max_completion_tokens ?? body.max_tokens, 1_000_000))
  const endless = body.model === 'sandbox-endless'
  const chunk = (list: readonly unknown[], usage: unknown = null) =>
    event({ ...shape, object: 'chat.completion.chunk', choices: list, ...(includeUsage ? { usage } : {}) })
  const each = (delta: unknown, finish_reason: string | null = null) =>
    Buffer.concat(Array.from({ length: choices }, (_, index) => chunk([{ index, delta, logprobs: null, finish_reason }])))
  // two words a piece: about twenty pieces
  const texts = Array.from({ length: Math.ceil(asked.pieces.length / 2) }, (_, i) => asked.pieces.slice(2 * i, 2 * i + 2).join(''))
  yield each({ role: 'assistant', content: texts[0] ?? '', refusal: null })
  for (const content of texts.slice(1)) yield each({ content })
  for (let i = 0; endless; i++) yield each({ content: pieces[i % pieces.length] })
  yield each({}, asked.cut ? 'length' : 'stop')
  if (includeUsage) yield chunk([], usageOf(body, asked.pieces.length * choices))
  yield Buffer.from('data: [DONE]\n\n')
}

/** `POST /v1/chat/completions`. Tools are accepted and never called. */
export function chat(body: Body): Plan {
  const wrong = check(body)
  if (wrong) return wrong
  const choices = wholeNumber(body.n, 128) ?? 1
  const shape: Shape = {
    id: newCallId('chatcmpl'),
    created: Math.floor(Date.now() / 1000),
    model: body.model,
    system_fingerprint: 'fp_sandbox',
  }
  if (body.stream === true || body.model === 'sandbox-endless') {
    const includeUsage = (body.stream_options as Body | null | undefined)?.include_usage === true
    return stream(chunksOf(body, shape, choices, includeUsage), body.model)
  }
  const asked = answer(wholeNumber(body.max_completion_tokens ?? body.max_tokens, 1_000_000))
  const message = { role: 'assistant', content: asked.pieces.join(''), refusal: null, annotations: [] }
  const choice = (index: number) => ({ index, message, logprobs: null, finish_reason: asked.cut ? 'length' : 'stop' })
  const whole = reply({
    ...shape,
    object: 'chat.completion',
    choices: Array.from({ length: choices }, (_, index) => choice(index)),
    usage: usageOf(body, asked.pieces.length * choices),
    service_tier: 'default',
  })
  return delayed(whole, body.model)
}
