import { type Plan, refusal, reply } from './plan.js'
import { countTokens, embed } from './text.js'

const maxInputs = 2048

/** Inputs as text: strings as they are, arrays of token numbers by their numbers. */
function inputsOf(input: unknown): string[] | undefined {
  if (typeof input === 'string') return input === '' ? undefined : [input]
  if (!Array.isArray(input) || input.length === 0 || input.length > maxInputs) return undefined
  if (input.every(item => typeof item === 'number')) return [input.join(',')]
  if (input.every(item => typeof item === 'string' || (Array.isArray(item) && item.every(token => typeof token === 'number'))))
    return input.map(String)
  return undefined
}

export function embeddings(body: Readonly<Record<string, unknown>>): Plan {
  const inputs = inputsOf(body.input)
  if (!inputs) return refusal(400, 'invalid_request_error', null, "'input' has to be a text, token numbers, or a list of either.", 'input')
  const dimensions = body.dimensions ?? 64
  if (typeof dimensions !== 'number' || !Number.isInteger(dimensions) || dimensions < 1 || dimensions > 3072) {
    return refusal(400, 'invalid_request_error', null, "'dimensions' has to be a number from 1 to 3072.", 'dimensions')
  }
  const base64 = body.encoding_format === 'base64'
  const data = inputs.map((text, index) => {
    const vector = embed(text, dimensions)
    return { object: 'embedding', index, embedding: base64 ? Buffer.from(Float32Array.from(vector).buffer).toString('base64') : vector }
  })
  const tokens = inputs.reduce((sum, text) => sum + countTokens(text), 0)
  return reply({ object: 'list', data, model: body.model, usage: { prompt_tokens: tokens, total_tokens: tokens } })
}
