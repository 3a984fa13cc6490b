/*
 * Text of keys, decoded and encoded between buffers only: a JavaScript string of a key stays on the heap until it is collected, and cannot be wiped.
 */

const keyBytes = 32
const hexDigits = Buffer.from('0123456789abcdef')
const base64urlAlphabet = Buffer.from('ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_')

/** 32 bytes from 64 hex digits, 43 base64url characters (one `=` allowed) or the bytes themselves; white space around text does not count. A copy. */
export function decodeKeyText(text: Uint8Array): Buffer | undefined {
  if (text.length === keyBytes) return copyOf(text)
  const trimmed = trim(text)
  if (trimmed.length === 2 * keyBytes) return decodeHex(trimmed)
  if (trimmed.length === 43 || (trimmed.length === 44 && trimmed[43] === 0x3d)) return decodeBase64url(trimmed.subarray(0, 43))
  return undefined
}

/** Lower-case hex and a line end. */
export function encodeHex(bytes: Uint8Array): Buffer {
  const text = Buffer.alloc(2 * bytes.length + 1)
  bytes.forEach((byte, index) => {
    text[2 * index] = hexDigits[byte >> 4] as number
    text[2 * index + 1] = hexDigits[byte & 15] as number
  })
  text[2 * bytes.length] = 0x0a
  return text
}

function decodeHex(text: Uint8Array): Buffer | undefined {
  const bytes = Buffer.alloc(keyBytes)
  for (let index = 0; index < keyBytes; index++) {
    const high = hexDigits.indexOf(lower(text[2 * index] as number))
    const low = hexDigits.indexOf(lower(text[2 * index + 1] as number))
    if (high < 0 || low < 0) return wiped(bytes)
    bytes[index] = (high << 4) | low
  }
  return bytes
}

function decodeBase64url(text: Uint8Array): Buffer | undefined {
  const bytes = Buffer.alloc(keyBytes)
  let bits = 0
  let held = 0
  let written = 0
  for (const character of text) {
    // base64 as openssl prints it differs in two characters
    const value = base64urlAlphabet.indexOf(character === 0x2b ? 0x2d : character === 0x2f ? 0x5f : character)
    if (value < 0) return wiped(bytes)
    held = ((held << 6) | value) & 0xffff
    bits += 6
    if (bits >= 8 && written < keyBytes) {
      bits -= 8
      bytes[written++] = (held >> bits) & 0xff
    }
  }
  return bytes
}

function lower(character: number): number {
  return character >= 0x41 && character <= 0x46 ? character + 0x20 : character
}

function trim(text: Uint8Array): Uint8Array {
  let start = 0
  let end = text.length
  while (start < end && isSpace(text[start] as number)) start++
  while (end > start && isSpace(text[end - 1] as number)) end--
  return text.subarray(start, end)
}

function isSpace(character: number): boolean {
  return character === 0x20 || (character >= 0x09 && character <= 0x0d)
}

function copyOf(bytes: Uint8Array): Buffer {
  const copy = Buffer.alloc(bytes.length)
  copy.set(bytes)
  return copy
}

function wiped(bytes: Buffer): undefined {
  bytes.fill(0)
  return undefined
}
