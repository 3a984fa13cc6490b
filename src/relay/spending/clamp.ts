import { SoakpError } from '../../errors.js'
import type { Found } from '../../lib/json-scan.js'
import { insertMember, replaceSpan } from '../../lib/json-splice.js'
import type { Dialect } from '../../providers/provider.js'
import type { Exchange } from '../exchange.js'

/** Where a body says how much output it wants, if it says so nowhere. OpenAI's newer models know no `max_tokens`. */
function placeFor({ call, provider }: Exchange, { maxOutputPointers }: Dialect): string | undefined {
  if (call.path.endsWith('/responses')) return '/max_output_tokens'
  if (provider?.id === 'openai' && call.path.endsWith('/chat/completions')) return '/max_completion_tokens'
  return maxOutputPointers[0]
}

/**
 * The body with the output it asks for brought down to `limit`, all choices together, and said where it was not. Undefined: nothing had to be changed. Throws `output_too_large` where that
 * cannot be said in this body.
 */
export function clampOutput(
  exchange: Exchange,
  dialect: Dialect,
  body: Buffer,
  stated: readonly Found[],
  rootStart: number,
  choices: number,
  limit: number,
): Buffer | undefined {
  const each = Math.floor(limit / choices)
  if (!(each >= 1)) throw new SoakpError('output_too_large', `At most ${limit} model tokens, all choices together.`)
  const wishes = stated.filter(({ value }) => value !== null)
  if (wishes.length === 0) return insertWish(body, placeFor(exchange, dialect), rootStart, each)
  const over = wishes.filter(({ value }) => typeof value !== 'number' || !(value >= 1 && value <= each))
  // from behind, so that places before stay where they are
  const changed = over.toSorted((a, b) => b.start - a.start).reduce((so, { start, end }) => replaceSpan(so, start, end, String(each)), body)
  return over.length === 0 ? undefined : changed
}

function insertWish(body: Buffer, pointer: string | undefined, rootStart: number, each: number): Buffer {
  const [outer = '', inner] = pointer?.slice(1).split('/') ?? []
  if (outer === '' || body.includes(`"${outer}"`))
    throw new SoakpError('output_too_large', `Say how much is wanted: at most ${each} model tokens.`)
  return insertMember(body, rootStart, inner === undefined ? `"${outer}":${each}` : `"${outer}":{"${inner}":${each}}`)
}
