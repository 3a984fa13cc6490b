import { isUtf8 } from 'node:buffer'
import { type Found, fold, type Name, type Node, type Pointers, type Scan, type ScanFault } from './json-pointers.js'

export { compilePointers, type Found, type Pointers, type Scan, type ScanFault } from './json-pointers.js'

const maxDepth = 512
const maxFound = 100_000

const quote = 0x22
const backslash = 0x5c
const openBrace = 0x7b
const closeBrace = 0x7d
const openBracket = 0x5b
const closeBracket = 0x5d
const comma = 0x2c
const colon = 0x3a
const minus = 0x2d
const zero = 0x30
const nine = 0x39

// one scan at a time, and it does not wait: its state can stand here, where no object has to be made for it
const nothing: Buffer = Buffer.alloc(0)
let bytes: Buffer = nothing
let length = 0
let depth = 0
let found: Found[] = []
let anywhere: Node | undefined
let fault: ScanFault = 'invalid'
let faultName: string | undefined
let faultAt = 0
let anyHigh = 0
let stringHigh = 0
let stringEscaped = false

/** Positions are passed on and come back; -1 is a fault. */
function fail(at: number, why: ScanFault = 'invalid', name?: string): -1 {
  fault = why
  faultAt = at
  faultName = name
  return -1
}

function skipSpace(at: number): number {
  const b = bytes
  while (at < length) {
    const c = b[at]
    if (c !== 0x20 && c !== 0x0a && c !== 0x0d && c !== 0x09) break
    at++
  }
  return at
}

function isHex(c: number | undefined): boolean {
  return c !== undefined && ((c >= zero && c <= nine) || (c >= 0x41 && c <= 0x46) || (c >= 0x61 && c <= 0x66))
}

/** `at` is behind a backslash. */
function skipEscape(at: number): number {
  switch (bytes[at]) {
    case quote:
    case backslash:
    case 0x2f:
    case 0x62:
    case 0x66:
    case 0x6e:
    case 0x72:
    case 0x74:
      return at + 1
    case 0x75:
      for (let i = 1; i <= 4; i++) if (at + i >= length || !isHex(bytes[at + i])) return fail(at)
      return at + 5
    default:
      return fail(at)
  }
}

/** `at` is behind the opening quote; comes back behind the closing one. */
function skipString(at: number): number {
  const b = bytes
  const end = length
  let high = 0
  stringEscaped = false
  while (at < end) {
    const c = b[at] as number
    if (c === quote) {
      stringHigh = high & 0x80
      anyHigh |= stringHigh
      return at + 1
    }
    if (c === backslash) {
      stringEscaped = true
      at = skipEscape(at + 1)
      if (at < 0) return at
    } else {
      if (c < 0x20) return fail(at)
      high |= c
      at++
    }
  }
  return fail(at)
}

function skipDigits(at: number): number {
  while (at < length) {
    const c = bytes[at] as number
    if (c < zero || c > nine) break
    at++
  }
  return at
}

function skipNumber(start: number): number {
  let at = bytes[start] === minus ? start + 1 : start
  const whole = at
  at = skipDigits(at)
  if (at === whole || (bytes[whole] === zero && at > whole + 1)) return fail(start)
  if (at < length && bytes[at] === 0x2e) {
    const fraction = at + 1
    at = skipDigits(fraction)
    if (at === fraction) return fail(start)
  }
  if (at < length && (bytes[at] === 0x65 || bytes[at] === 0x45)) {
    at++
    if (at < length && (bytes[at] === 0x2b || bytes[at] === minus)) at++
    const exponent = at
    at = skipDigits(exponent)
    if (at === exponent) return fail(start)
  }
  return at
}

const literals: Readonly<Record<number, Buffer>> = { 116: Buffer.from('true'), 102: Buffer.from('false'), 110: Buffer.from('null') }

function skipLiteral(at: number): number {
  const word = literals[bytes[at] as number]
  if (!word || at + word.length > length) return fail(at)
  for (let i = 1; i < word.length; i++) if (bytes[at + i] !== word[i]) return fail(at)
  return at + word.length
}

function decodeString(start: number, end: number): string {
  if (stringEscaped) return JSON.parse(bytes.toString('utf8', start, end)) as string
  return stringHigh ? bytes.toString('utf8', start + 1, end - 1) : bytes.toString('latin1', start + 1, end - 1)
}

function sameBytes(name: Buffer, start: number): boolean {
  for (let i = 0; i < name.length; i++) if (bytes[start + i] !== name[i]) return false
  return true
}

function sameLetters(name: Buffer, start: number): boolean {
  for (let i = 0; i < name.length; i++) {
    const a = name[i] as number
    const b = bytes[start + i] as number
    // the difference of the cases of an ASCII letter is one bit
    if (a !== b && ((a ^ b) !== 0x20 || (a | 0x20) < 0x61 || (a | 0x20) > 0x7a)) return false
  }
  return true
}

type Lookup = Name | 'other' | 'ambiguous'

function lookUpUnusual(node: Node, start: number, end: number): Lookup {
  if (end - start > node.longestEscaped) return 'other'
  const text = decodeString(start - 1, end + 1)
  // some parsers end a name at its first NUL
  const folded = fold(text.split('\0', 1)[0] ?? '')
  for (const name of node.names) {
    if (name.text === text) return name
    if (name.folded === folded) return 'ambiguous'
  }
  return 'other'
}

/** Which of the level's names stands from `start` to `end`, quotes left out; the string's flags are those of this name. */
function lookUp(node: Node, start: number, end: number): Lookup {
  if (stringEscaped || stringHigh) return lookUpUnusual(node, start, end)
  const size = end - start
  for (const name of node.names) {
    if (name.bytes.length !== size || !sameLetters(name.bytes, start)) continue
    return sameBytes(name.bytes, start) ? name : 'ambiguous'
  }
  return 'other'
}

function scanObject(start: number, node: Node | undefined): number {
  const names = node && node.names.length > 0 ? node : undefined
  let seen = 0
  let seenAnywhere = 0
  let at = skipSpace(start + 1)
  if (bytes[at] === closeBrace && at < length) return at + 1
  for (;;) {
    if (at >= length || bytes[at] !== quote) return fail(at)
    const nameStart = at + 1
    at = skipString(nameStart)
    if (at < 0) return at
    let member = node?.star
    if (names) {
      const name = lookUp(names, nameStart, at - 1)
      if (name === 'ambiguous') return fail(nameStart, 'ambiguous', bytes.toString('utf8', nameStart, at - 1))
      if (name !== 'other') {
        if (seen & name.bit) return fail(nameStart, 'ambiguous', name.text)
        seen |= name.bit
        member = name.node
      }
    }
    if (anywhere && (member === undefined || member === node?.star)) {
      const name = lookUp(anywhere, nameStart, at - 1)
      if (name === 'ambiguous' || (name !== 'other' && seenAnywhere & name.bit)) return fail(nameStart, 'ambiguous')
      if (name !== 'other') {
        seenAnywhere |= name.bit
        member = name.node
      }
    }
    at = skipSpace(at)
    if (at >= length || bytes[at] !== colon) return fail(at)
    at = scanValue(skipSpace(at + 1), member)
    if (at < 0) return at
    at = skipSpace(at)
    if (at >= length) return fail(at)
    if (bytes[at] === closeBrace) return at + 1
    if (bytes[at] !== comma) return fail(at)
    at = skipSpace(at + 1)
  }
}

function scanArray(start: number, node: Node | undefined): number {
  let at = skipSpace(start + 1)
  if (bytes[at] === closeBracket && at < length) return at + 1
  for (;;) {
    at = scanValue(at, node?.star)
    if (at < 0) return at
    at = skipSpace(at)
    if (at >= length) return fail(at)
    if (bytes[at] === closeBracket) return at + 1
    if (bytes[at] !== comma) return fail(at)
    at = skipSpace(at + 1)
  }
}

function scalar(start: number, end: number): string | number | boolean | null {
  switch (bytes[start]) {
    case quote:
      return decodeString(start, end)
    case 0x74:
      return true
    case 0x66:
      return false
    case 0x6e:
      return null
    default:
      return Number(bytes.toString('latin1', start, end))
  }
}

function scanValue(start: number, node: Node | undefined): number {
  if (start >= length) return fail(start)
  const c = bytes[start] as number
  const nested = c === openBrace || c === openBracket
  // noted before what it holds, so that values come in the order they begin in
  const place = found.length
  if (nested && node?.wanted !== undefined) found.push({ pointer: node.wanted, start, end: start, value: undefined })
  let end: number
  if (c === quote) end = skipString(start + 1)
  else if (nested) {
    if (++depth > maxDepth) return fail(start, 'too_deep')
    end = c === openBrace ? scanObject(start, node) : scanArray(start, node)
    depth--
  } else if (c === minus || (c >= zero && c <= nine)) end = skipNumber(start)
  else end = skipLiteral(start)
  if (end < 0 || node?.wanted === undefined) return end
  if (found.length >= maxFound) return fail(start, 'too_many')
  found[place] = { pointer: node.wanted, start, end, value: nested ? undefined : scalar(start, end) }
  return end
}

/**
 * Checks a JSON document and picks out what stands at the pointers, without building it. One pass over the bytes, nothing kept of the body. What is
 * accepted reads the same for every parser as far as the pointers go: see `ScanFault`.
 */
export function scanJson(body: Buffer, pointers: Pointers): Scan {
  bytes = body
  length = body.length
  depth = 0
  anyHigh = 0
  found = []
  anywhere = pointers.anywhere
  const rootStart = skipSpace(0)
  let end = scanValue(rootStart, pointers.root)
  if (end >= 0) {
    end = skipSpace(end)
    if (end < length) end = fail(end)
    else if (anyHigh && !isUtf8(body)) end = fail(0)
  }
  const values = found
  found = []
  bytes = nothing
  if (end >= 0) return { ok: true, found: values, root: body[rootStart] === openBrace ? 'object' : 'other', rootStart }
  return faultName === undefined ? { ok: false, fault, at: faultAt } : { ok: false, fault, at: faultAt, name: faultName }
}
