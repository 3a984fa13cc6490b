import { delayed, newCallId, type Plan, refusal, reply, stream } from './plan.js'
import { answer, countTokens, pieces, textOf } from './text.js'

type Body = Readonly<Record<string, unknown>>

interface State {
  readonly id: string
  readonly item: string
  readonly createdAt: number
  readonly body: Body
  readonly pieces: readonly string[]
  readonly cut: boolean
}

function output(state: State, status: string, text: string) {
  const content = [{ type: 'output_text', annotations: [], logprobs: [], text }]
  return { id: state.item, type: 'message', status, role: 'assistant', content: text === '' ? [] : content }
}

function usageOf(state: State) {
  const inputTokens = countTokens(textOf(state.body.input) + textOf(state.body.instructions))
  const outputTokens = state.pieces.length
  return {
    input_tokens: inputTokens,
    input_tokens_details: { cached_tokens: 0 },
    output_tokens: outputTokens,
    output_tokens_details: { reasoning_tokens: 0 },
    total_tokens: inputTokens + outputTokens,
  }
}

function response(state: State, status: 'in_progress' | 'completed' | 'incomplete') {
  const over = status !== 'in_progress'
  const { body } = state
  return {
    id: state.id,
    object: 'response',
    created_at: state.createdAt,
    status,
    background: false,
    error: null,
    incomplete_details: status === 'incomplete' ? { reason: 'max_output_tokens' } : null,
    instructions: body.instructions ?? null,
    max_output_tokens: body.max_output_tokens ?? null,
    model: body.model,
    output: over ? [output(state, 'completed', state.pieces.join(''))] : [],
    parallel_tool_calls: true,
    previous_response_id: body.previous_response_id ?? null,
    reasoning: { effort: null, summary: null },
    store: false,
    temperature: body.temperature ?? 1,
    text: body.text ?? { format: { type: 'text' } },
    tool_choice: body.tool_choice ?? 'auto',
    tools: body.tools ?? [],
    top_p: body.top_p ?? 1,
    truncation: 'disabled',
    usage: over ? usageOf(state) : null,
    user: null,
    metadata: body.metadata ?? {},
  }
}

function* eventsOf(state: State): Generator<Buffer> {
  let number = 0
  const event = (type: string, fields: Record<string, unknown>) =>
    Buffer.from(`event: ${type}\ndata: ${JSON.stringify({ type, sequence_number: number++, ...fields })}\n\n`)
  const place = { item_id: state.item, output_index: 0, content_index: 0 }
  const part = (text: string) => ({ type: 'output_text', annotations: [], logprobs: [], text })
  const delta = (text: string | undefined) => event('response.output_text.delta', { ...place, delta: text ?? '', logprobs: [] })
  yield Buffer.concat([
    event('response.created', { response: response(state, 'in_progress') }),
    event('response.in_progress', { response: response(state, 'in_progress') }),
    event('response.output_item.added', { output_index: 0, item: output(state, 'in_progress', '') }),
    event('response.content_part.added', { ...place, part: part('') }),
    delta(state.pieces[0]),
  ])
  for (let i = 1; i < state.pieces.length; i += 2) yield delta(state.pieces.slice(i, i + 2).join(''))
  for (let i = 0; state.body.model === 'sandbox-endless'; i++) yield delta(pieces[i % pieces.length])
  const text = state.pieces.join('')
  const status = state.cut ? 'incomplete' : 'completed'
  yield Buffer.concat([
    event('response.output_text.done', { ...place, text, logprobs: [] }),
    event('response.content_part.done', { ...place, part: part(text) }),
    event('response.output_item.done', { output_index: 0, item: output(state, 'completed', text) }),
    event(`response.${status}`, { response: response(state, status) }),
  ])
}

/** `POST /v1/responses`. Nothing is stored; tools are accepted and never called. */
export function responses(body: Body): Plan {
  const wrong = (param: string, message: string) => refusal(400, 'invalid_request_error', 'invalid_value', message, param)
  if (typeof body.input !== 'string' && !Array.isArray(body.input)) {
    return refusal(400, 'invalid_request_error', 'missing_required_parameter', "Missing required parameter: 'input'.", 'input')
  }
  const most = body.max_output_tokens ?? undefined
  if (most !== undefined && !(typeof most === 'number' && Number.isInteger(most) && most >= 1)) {
    return wrong('max_output_tokens', "Invalid 'max_output_tokens': expected a whole number above 0.")
  }
  if (body.stream != null && typeof body.stream !== 'boolean') return wrong('stream', "Invalid type for 'stream': expected a boolean.")
  const asked = answer(most)
  const state: State = {
    id: newCallId('resp'),
    item: newCallId('msg'),
    createdAt: Math.floor(Date.now() / 1000),
    body,
    pieces: asked.pieces,
    cut: asked.cut,
  }
  if (body.stream === true || body.model === 'sandbox-endless') return stream(eventsOf(state), body.model)
  return delayed(reply(response(state, asked.cut ? 'incomplete' : 'completed')), body.model)
}
