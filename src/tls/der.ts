/** As much of DER (X.690) as a PKCS #12 file needs. */

const encode = (tag: number, content: Uint8Array): Buffer => Buffer.concat([Buffer.from([tag]), length(content.length), content])

function length(size: number): Buffer {
  if (size < 0x80) return Buffer.from([size])
  const bytes: number[] = []
  for (let rest = size; rest > 0; rest = Math.floor(rest / 256)) bytes.unshift(rest % 256)
  return Buffer.from([0x80 | bytes.length, ...bytes])
}

export const sequence = (...parts: readonly Uint8Array[]): Buffer => encode(0x30, Buffer.concat(parts))
export const set = (...parts: readonly Uint8Array[]): Buffer => encode(0x31, Buffer.concat(parts))
export const octets = (bytes: Uint8Array): Buffer => encode(0x04, bytes)
export const nothing = (): Buffer => encode(0x05, Buffer.alloc(0))
/** UTF-16, as names are written in PKCS #12. */
export const bmpString = (text: string): Buffer => encode(0x1e, Buffer.from(text, 'utf16le').swap16())
/** `[n]`, constructed. */
export const tagged = (number: number, content: Uint8Array): Buffer => encode(0xa0 | number, content)
/** `[n] IMPLICIT OCTET STRING`. */
export const taggedOctets = (number: number, bytes: Uint8Array): Buffer => encode(0x80 | number, bytes)

export function integer(value: number): Buffer {
  const bytes: number[] = []
  for (let rest = value; rest > 0; rest = Math.floor(rest / 256)) bytes.unshift(rest % 256)
  if (bytes.length === 0 || (bytes[0] as number) >= 0x80) bytes.unshift(0)
  return encode(0x02, Buffer.from(bytes))
}

export function oid(dotted: string): Buffer {
  const [first = 0, second = 0, ...rest] = dotted.split('.').map(Number)
  return encode(0x06, Buffer.from([first * 40 + second, ...rest.flatMap(base128)]))
}

function base128(value: number): number[] {
  const bytes = [value % 128]
  for (let rest = Math.floor(value / 128); rest > 0; rest = Math.floor(rest / 128)) bytes.unshift((rest % 128) | 0x80)
  return bytes
}
