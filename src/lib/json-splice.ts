import type { Found, Scan } from './json-scan.js'

/** What `spliceStreamOptions` needs to have been scanned for. */
export const streamOptionsPointers: readonly string[] = ['/stream_options', '/stream_options/include_usage']

export interface Splice {
  readonly body: Buffer
  /** The client had asked for usage itself. */
  readonly asked: boolean
  /** The body was changed: usage will come that the client did not ask for. */
  readonly injected: boolean
}

/** The body with `text` in place of the bytes from `start` to `end`. */
export function replaceSpan(body: Buffer, start: number, end: number, text: string): Buffer {
  return Buffer.concat([body.subarray(0, start), Buffer.from(text), body.subarray(end)])
}

function isEmpty(body: Buffer, start: number): boolean {
  let at = start + 1
  while (body[at] === 0x20 || body[at] === 0x0a || body[at] === 0x0d || body[at] === 0x09) at++
  return body[at] === 0x7d
}

/** Behind the brace at `start`, as its first member. */
export function insertMember(body: Buffer, start: number, member: string): Buffer {
  return replaceSpan(body, start + 1, start + 1, isEmpty(body, start) ? member : `${member},`)
}

/**
 * Asks for usage in a stream: sets `stream_options.include_usage` to true by bytes, everything else unchanged. A body that is no object, or whose
 * `stream_options` is neither an object nor null, is left as it is.
 */
export function spliceStreamOptions(body: Buffer, scan: Extract<Scan, { ok: true }>): Splice {
  let options: Found | undefined
  let usage: Found | undefined
  for (const value of scan.found) {
    if (value.pointer === '/stream_options') options = value
    else if (value.pointer === '/stream_options/include_usage') usage = value
  }
  const injected = (changed: Buffer): Splice => ({ body: changed, asked: false, injected: true })
  if (scan.root !== 'object') return { body, asked: false, injected: false }
  if (usage?.value === true) return { body, asked: true, injected: false }
  if (usage) return injected(replaceSpan(body, usage.start, usage.end, 'true'))
  if (!options) return injected(insertMember(body, scan.rootStart, '"stream_options":{"include_usage":true}'))
  if (options.value === null) return injected(replaceSpan(body, options.start, options.end, '{"include_usage":true}'))
  if (options.value === undefined && body[options.start] === 0x7b)
    return injected(insertMember(body, options.start, '"include_usage":true'))
  return { body, asked: false, injected: false }
}
