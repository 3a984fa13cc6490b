import { object } from './usage.js'

/** What an error reply says by itself, apart from what it may repeat of the call. */
export interface StatedError {
  /** Its sentence; empty where it has none. What a client sent may stand further on in it, not at its beginning. */
  readonly message: string
  /** Its codes: of the error, its status and type, and the reasons in Google's details (google.rpc.ErrorInfo). */
  readonly codes: readonly string[]
}

/**
 * Reads an error reply, in the common shapes. Whoever looks for words anywhere in one lets a client decide what is found: providers repeat names of models and of unknown members. `body` is its first
 * 64 KB as text; what is no JSON says nothing.
 */
export function statedError(body: string): StatedError {
  const whole = parse(body)
  // Google sends errors of streams in a list
  const outer = object(Array.isArray(whole) ? whole[0] : whole)
  const inner = object(outer?.error)
  const messages = [inner?.message, inner?.detail, outer?.error, outer?.message, outer?.detail]
  const details: readonly unknown[] = Array.isArray(inner?.details) ? inner.details : []
  const codes = [inner?.code, inner?.status, inner?.type, outer?.code, ...details.map(detail => object(detail)?.reason)]
  return {
    message: messages.find(message => typeof message === 'string') ?? '',
    codes: codes.filter(code => typeof code === 'string'),
  }
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

/** Long enough for "Error: the API key you provided is invalid", and for an id and a name in front of a list of errors. */
const sentenceStart = 60
const bodyStart = 200

/** Whether an error says so at its beginning: further on may stand what a client sent. `body` is its first 64 KB as text. */
export function beginsWith(body: string, words: RegExp): boolean {
  const { message } = statedError(body)
  return words.test(message === '' ? body.slice(0, bodyStart) : message.slice(0, sentenceStart))
}
