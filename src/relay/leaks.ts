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

/**
 * Whether `text` holds a telling part of the key, as it is or in base64, hex or percent encoding. For error replies of at most some ten
 * kilobytes: providers echo what they were sent.
 */
export function holdsKey(text: Buffer, key: Buffer): boolean {
  if (key.length === 0 || text.length === 0) return false
  if (holdsPart(text, key, tellingBytes)) return true
  const hex = Buffer.from(key.toString('hex'))
  if (holdsPart(text, hex, 2 * tellingBytes) || holdsPart(text, Buffer.from(hex.toString().toUpperCase()), 2 * tellingBytes)) return true
  for (const shift of [0, 1, 2]) {
    const base64 = key.subarray(shift, shift + Math.floor((key.length - shift) / 3) * 3)
    if (base64.length < tellingBytes) continue
    if (holdsPart(text, Buffer.from(base64.toString('base64')), 16) || holdsPart(text, Buffer.from(base64.toString('base64url')), 16))
      return true
  }
  const plain = text.includes('%') || text.includes('\\u') ? Buffer.from(unescapeAll(text.toString('latin1')), 'latin1') : undefined
  return plain !== undefined && holdsPart(plain, key, tellingBytes)
}

function holdsPart(text: Buffer, key: Buffer, size: number): boolean {
  if (key.length <= size) return text.includes(key)
  for (let at = 0; at + size <= key.length; at++) if (text.includes(key.subarray(at, at + size))) return true
  return false
}

function unescapeAll(text: string): string {
  return text.replace(/%([0-9a-fA-F]{2})|\\u00([0-9a-fA-F]{2})|\\\//g, (_, percent?: string, unicode?: string) => {
    const code = percent ?? unicode
    return code === undefined ? '/' : String.fromCharCode(Number.parseInt(code, 16))
  })
}
