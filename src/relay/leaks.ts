import { SoakpError } from '../errors.js'
import type { Secret } from '../lib/secret.js'
import type { Provider } from '../providers/provider.js'
import type { ReplyHead } from './headers.js'

/** So many bytes of a key in a row are a leak. */
const tellingBytes = 12

/** Says so where an error reply, body or headers, holds a part of the key, or of what was issued for it. Wipes the secret. */
export function echoes(provider: Pick<Provider, 'issued'>, secret: Secret, head: ReplyHead, body: Buffer): SoakpError | undefined {
  const issued = provider.issued?.(secret)
  const texts = [body, Buffer.from(head.headers.join('\n'), 'latin1')]
  const keys = [secretPart(secret.bytes()), ...(issued ? [issued.bytes()] : [])]
  const found = keys.some(key => texts.some(text => holdsKey(text, key)))
  secret.wipe()
  issued?.wipe()
  return found ? new SoakpError('provider_reply_withheld') : undefined
}

/** Of a key file (JSON) the private key: its other members, such as a project's name, stand in many an error. */
function secretPart(key: Buffer): Buffer {
  if (key[0] !== openBrace) return key
  const name = key.indexOf('"private_key"')
  const start = name < 0 ? -1 : key.indexOf(armour, name)
  return start < 0 ? key : key.subarray(start + armour.length, Math.max(key.indexOf('"', start), start + armour.length))
}

const openBrace = 0x7b
const armour = Buffer.from('PRIVATE KEY-----')

/** A way to write a key, and how many bytes of it in a row are telling. */
interface Form {
  readonly bytes: Buffer
  readonly size: number
}

/**
 * Whether `text` holds a telling part of the key, as it is or in base64, hex or percent encoding. Takes one pass over the text, however long the key is: who answers may be anybody,
 * and says as much as is read of an error reply, which is some ten kilobytes.
 */
export function holdsKey(text: Buffer, key: Buffer): boolean {
  if (key.length === 0 || text.length === 0) return false
  const plain: Form = { bytes: key, size: tellingBytes }
  if (holdsPart(text, [plain, ...encodings(key)])) return true
  const unescaped = text.includes('%') || text.includes('\\u') ? Buffer.from(unescapeAll(text.toString('latin1')), 'latin1') : undefined
  return unescaped !== undefined && holdsPart(unescaped, [plain])
}

function encodings(key: Buffer): Form[] {
  const hex = key.toString('hex')
  const forms: Form[] = [hex, hex.toUpperCase()].map(text => ({ bytes: Buffer.from(text), size: 2 * tellingBytes }))
  for (const shift of [0, 1, 2]) {
    const whole = key.subarray(shift, shift + Math.floor((key.length - shift) / 3) * 3)
    if (whole.length < tellingBytes) continue
    for (const encoding of ['base64', 'base64url'] as const) forms.push({ bytes: Buffer.from(whole.toString(encoding)), size: 16 })
  }
  return forms
}

/** Where in which form a part begins. */
interface Part {
  readonly form: Form
  readonly at: number
}

function holdsPart(text: Buffer, forms: readonly Form[]): boolean {
  const parts = new Map<number, Part[]>()
  for (const form of forms) {
    const { bytes, size } = form
    if (bytes.length <= size) {
      if (text.includes(bytes)) return true
      continue
    }
    for (let at = 0; at + size <= bytes.length; at++) {
      const name = nameOf(bytes, at)
      const alike = parts.get(name)
      if (alike === undefined) parts.set(name, [{ form, at }])
      else if (!alike.some(part => isPartAt(bytes, at, part, size))) alike.push({ form, at })
    }
  }
  if (parts.size === 0) return false
  for (let at = 0; at + tellingBytes <= text.length; at++) {
    const alike = parts.get(nameOf(text, at))
    if (alike?.some(part => isPartAt(text, at, part, part.form.size))) return true
  }
  return false
}

/** Of the twelve bytes at `at`; others may have the same. */
function nameOf(bytes: Buffer, at: number): number {
  return (
    Math.imul(wordAt(bytes, at), 0x9e3779b1) ^ Math.imul(wordAt(bytes, at + 4), 0x85ebca77) ^ Math.imul(wordAt(bytes, at + 8), 0xc2b2ae3d)
  )
}

function wordAt(bytes: Buffer, at: number): number {
  return (bytes[at] as number) | ((bytes[at + 1] as number) << 8) | ((bytes[at + 2] as number) << 16) | ((bytes[at + 3] as number) << 24)
}

function isPartAt(bytes: Buffer, at: number, { form, at: start }: Part, size: number): boolean {
  return form.size === size && at + size <= bytes.length && form.bytes.compare(bytes, at, at + size, start, start + size) === 0
}

function unescapeAll(text: string): string {
  return text.replace(/%([0-9a-fA-F]{2})|\\u00([0-9a-fA-F]{2})|\\\//g, (_, percent?: string, unicode?: string) => {
    const code = percent ?? unicode
    return code === undefined ? '/' : String.fromCharCode(Number.parseInt(code, 16))
  })
}
