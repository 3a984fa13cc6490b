import type { Dialect, Usage } from '../../providers/provider.js'
import { type Needles, quote, stringBytes } from './sniff.js'

const modelTries = 8

export function parse(text: Buffer | string): unknown {
  try {
    return JSON.parse(typeof text === 'string' ? text : text.toString('utf8'))
  } catch {
    return undefined
  }
}

/** What was read so far. */
export interface Reading {
  usage: Usage | undefined
  model: string | undefined
  modelTries: number
  /** Text that came after the last usage. */
  textBytes: number
  /** Which of the dialect's text members was found last. */
  textMember: number
}

export function countText(reading: Reading, bytes: Buffer, { text, delta }: Needles): void {
  for (let i = 0; i < text.length; i++) {
    // the member that had the last text likely has the next
    const member = (reading.textMember + i) % text.length
    const needle = text[member] as Buffer
    let found = 0
    for (let at = bytes.indexOf(needle); at >= 0; at = bytes.indexOf(needle, at + needle.length)) {
      found += Math.max(0, stringBytes(bytes, at + needle.length))
    }
    if (found > 0) {
      reading.textBytes += found
      reading.textMember = member
      return
    }
    // where text comes as `delta`, events that repeat it whole follow
    if (i === 0 && member === delta && reading.textBytes > 0) return
  }
}

export function findModel(reading: Reading, bytes: Buffer, needle: Buffer): void {
  if (reading.model !== undefined || reading.modelTries >= modelTries) return
  reading.modelTries++
  const at = bytes.indexOf(needle)
  if (at < 0) return
  const size = stringBytes(bytes, at + needle.length)
  if (size <= 0 || size > 200) return
  const start = bytes.indexOf(quote, at + needle.length) + 1
  reading.model = bytes.toString('utf8', start, start + size)
}

export function readValue(reading: Reading, value: unknown, dialect: Dialect): void {
  const after = dialect.readUsage(value, reading.usage)
  if (after === reading.usage) return
  reading.usage = after
  reading.textBytes = 0
}

export const newReading = (stated: Usage | undefined): Reading => ({
  usage: stated,
  model: undefined,
  modelTries: 0,
  textBytes: 0,
  textMember: 0,
})
