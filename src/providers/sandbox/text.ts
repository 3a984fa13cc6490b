const words =
  'Hello from the sandbox. No provider was asked and nothing was billed, but the call took the whole road: your access token was checked, ' +
  'a key was opened for this call alone, the reply was streamed as it came, and the ledger has a line about it.'

/** Pieces that join to the text, each a word with the space before it: what a model would call a token. */
export const pieces: readonly string[] = words.split(/(?= )/)

/** What the answer to a call is made of: `limit` pieces at most, and whether that cut it short. */
export function answer(limit: number | undefined): { readonly pieces: readonly string[]; readonly cut: boolean } {
  const wanted = Math.min(limit ?? pieces.length, pieces.length)
  return { pieces: pieces.slice(0, wanted), cut: wanted < pieces.length }
}

/** About what a tokenizer would count. */
export function countTokens(text: string): number {
  return Math.max(1, Math.ceil(text.length / 4))
}

/** Collects the text of messages, content parts or plain input, however deep it is nested. */
export function textOf(value: unknown, depth = 0): string {
  if (typeof value === 'string') return value
  if (typeof value !== 'object' || value === null || depth > 8) return ''
  if (Array.isArray(value)) return value.map(item => textOf(item, depth + 1)).join(' ')
  const { content, text, input } = value as Record<string, unknown>
  return [content, text, input]
    .filter(part => part !== undefined)
    .map(part => textOf(part, depth + 1))
    .join(' ')
}

/** A unit vector that depends on nothing but the text. */
export function embed(text: string, dimensions: number): number[] {
  let state = 2166136261
  for (let i = 0; i < text.length; i++) state = Math.imul(state ^ text.charCodeAt(i), 16777619)
  const vector = Array.from({ length: dimensions }, () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0
    return state / 2147483648 - 1
  })
  const norm = Math.hypot(...vector) || 1
  return vector.map(value => value / norm)
}
