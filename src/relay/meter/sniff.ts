import type { Dialect } from '../../providers/provider.js'

/** What of a dialect the bytes are searched for. */
export interface Needles {
  readonly usage: readonly Buffer[]
  readonly text: readonly Buffer[]
  readonly model: Buffer
  /** Position in `text` of `delta`, whose events are repeated in full later on. */
  readonly delta: number
}

const needlesOf = new WeakMap<Dialect, Needles>()

export function needlesFor(dialect: Dialect): Needles {
  let needles = needlesOf.get(dialect)
  if (!needles) {
    // a name that begins like a shorter one is found with it
    const usage = dialect.usageMembers.filter(name => !dialect.usageMembers.some(other => other !== name && name.startsWith(other)))
    needles = {
      usage: usage.map(name => Buffer.from(`"${name}`)),
      text: dialect.textMembers.map(name => Buffer.from(`"${name}":`)),
      model: Buffer.from(`"${dialect.modelMember}":`),
      delta: dialect.textMembers.indexOf('delta'),
    }
    needlesOf.set(dialect, needles)
  }
  return needles
}

export const quote = 0x22
export const backslash = 0x5c

/** Bytes of the string at `at` (spaces before it allowed), its quotes left out; -1 where none begins there. What a chunk cuts counts as far as it goes. */
export function stringBytes(bytes: Buffer, at: number): number {
  let start = at
  while (bytes[start] === 0x20) start++
  if (bytes[start] !== quote) return -1
  start++
  let end = start
  while (end < bytes.length && bytes[end] !== quote) end += bytes[end] === backslash ? 2 : 1
  return Math.min(end, bytes.length) - start
}

/** Whether some `usage` in the bytes is not plainly `null`, as every chunk but the last has it. */
export function announcesUsage(bytes: Buffer, needles: readonly Buffer[]): boolean {
  for (const needle of needles) {
    for (let at = bytes.indexOf(needle); at >= 0; at = bytes.indexOf(needle, at + 1)) {
      let next = at + needle.length
      if (bytes[next] === quote) {
        next++
        while (bytes[next] === 0x20 || bytes[next] === 0x3a) next++
        if (bytes[next] === 0x6e) continue
      }
      return true
    }
  }
  return false
}

const choicesName = Buffer.from('"choices"')

/** Whether `choices` is an empty list (`[]`), one with something in it, or not told by the bytes. */
export function choicesIn(bytes: Buffer): 'some' | 'none' | 'unknown' {
  const at = bytes.indexOf(choicesName)
  if (at < 0) return 'unknown'
  let next = at + choicesName.length
  while (bytes[next] === 0x20 || bytes[next] === 0x3a) next++
  if (bytes[next] !== 0x5b) return 'unknown'
  next++
  while (bytes[next] === 0x20) next++
  if (bytes[next] === 0x7b) return 'some'
  return bytes[next] === 0x5d ? 'none' : 'unknown'
}

const base64Begins = [';base64,', '"data":"', '"data": "'].map(text => Buffer.from(text))
// about what a picture costs, whatever its size in bytes
const attachmentBytes = 4096

/** Bytes of a JSON request that can be taken for prompt: an attachment in base64 counts as a picture does, not by its length. */
export function promptBytes(body: Buffer): number {
  if (body.length < 2 * attachmentBytes) return body.length
  let bytes = body.length
  for (const begin of base64Begins) {
    for (let at = body.indexOf(begin); at >= 0; ) {
      const start = at + begin.length
      const end = body.indexOf(quote, start)
      const stop = end < 0 ? body.length : end
      // a data URL was counted where its base64 begins
      const isUrl = body.toString('latin1', start, start + 5) === 'data:'
      if (!isUrl && stop - start > attachmentBytes) bytes -= stop - start - attachmentBytes
      at = body.indexOf(begin, stop)
    }
  }
  return bytes
}
