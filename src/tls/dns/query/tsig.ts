import { createHmac, timingSafeEqual } from 'node:crypto'
import { SoakpError } from '../../../errors.js'

/** A key that signs DNS messages (RFC 8945). */
export interface TsigKey {
  readonly name: string
  /** Base64. Asked for at each use, so that it lies nowhere in between. */
  readonly secret: () => string
  readonly algorithm: TsigAlgorithm
}

/** Names on the wire and of the hash. RFC 8945 section 6; MD5 for servers of old. */
const algorithms = {
  'hmac-md5': ['hmac-md5.sig-alg.reg.int', 'md5'],
  'hmac-sha1': ['hmac-sha1', 'sha1'],
  'hmac-sha224': ['hmac-sha224', 'sha224'],
  'hmac-sha256': ['hmac-sha256', 'sha256'],
  'hmac-sha384': ['hmac-sha384', 'sha384'],
  'hmac-sha512': ['hmac-sha512', 'sha512'],
} as const

export type TsigAlgorithm = keyof typeof algorithms

export const tsigAlgorithms = Object.keys(algorithms)

/** An algorithm as configurations write it: in any case, with a dot at the end, MD5 under its long name. */
export function tsigAlgorithm(text: string): TsigAlgorithm | undefined {
  const name = text.trim().toLowerCase().replace(/\.$/, '')
  for (const [id, [wire]] of Object.entries(algorithms)) if (name === id || name === wire) return isAlgorithm(id) ? id : undefined
  return undefined
}

const isAlgorithm = (id: string): id is TsigAlgorithm => id in algorithms

const typeTsig = 250
const classAny = 255
/** Seconds by which the clocks may differ. */
const fudge = 300

export const u16 = (value: number): Buffer => {
  const bytes = Buffer.alloc(2)
  bytes.writeUInt16BE(value)
  return bytes
}
export const u32 = (value: number): Buffer => {
  const bytes = Buffer.alloc(4)
  bytes.writeUInt32BE(value)
  return bytes
}
const u48 = (value: number): Buffer => {
  const bytes = Buffer.alloc(6)
  bytes.writeUIntBE(value, 0, 6)
  return bytes
}

/** A name as it stands on the wire, in lower case and without compression. Throws `dns_name_refused` for one that cannot. */
export function wireName(name: string): Buffer {
  const labels = name.toLowerCase().split('.').filter(Boolean)
  const parts = labels.map(label => Buffer.concat([Buffer.of(Buffer.byteLength(label)), Buffer.from(label)]))
  const bytes = Buffer.concat([...parts, Buffer.of(0)])
  if (bytes.length > 255 || parts.some(part => part.length > 64))
    throw new SoakpError('dns_name_refused', `${name} is longer than names can be.`)
  return bytes
}

export interface SignedMessage {
  readonly bytes: Buffer
  /** What the reply's signature covers too. */
  readonly mac: Buffer
}

/** Puts the signature behind a message that has no additional records yet. `seconds`: the time since the epoch. */
export function sign(message: Buffer, key: TsigKey, seconds: number): SignedMessage {
  const [wire, hash] = algorithms[key.algorithm]
  const variables = [wireName(key.name), u16(classAny), u32(0), wireName(wire), u48(seconds), u16(fudge), u16(0), u16(0)]
  const mac = createHmac(hash, Buffer.from(key.secret(), 'base64'))
    .update(Buffer.concat([message, ...variables]))
    .digest()
  const data = Buffer.concat([wireName(wire), u48(seconds), u16(fudge), u16(mac.length), mac, message.subarray(0, 2), u16(0), u16(0)])
  const record = Buffer.concat([wireName(key.name), u16(typeTsig), u16(classAny), u32(0), u16(data.length), data])
  const bytes = Buffer.concat([message, record])
  bytes.writeUInt16BE(1, 10)
  return { bytes, mac }
}

/** What the signature of a reply says. */
export interface Verdict {
  /** It was made with the key, over this reply to that request. */
  readonly verified: boolean
  /** RFC 8945 section 3: 16 BADSIG, 17 BADKEY, 18 BADTIME; 0 where nothing is wrong with ours. */
  readonly error: number
  /** The server's clock, seconds since the epoch; told with BADTIME. */
  readonly serverSeconds: number | undefined
}

/** Checks the signature at the end of a reply; undefined where there is none or the reply is garbled. */
export function verify(reply: Buffer, key: TsigKey, requestMac: Buffer): Verdict | undefined {
  try {
    return verifyLast(reply, key, requestMac)
  } catch (error) {
    // garbled lengths lead beyond the end
    if (error instanceof RangeError) return undefined
    throw error
  }
}

function verifyLast(reply: Buffer, key: TsigKey, requestMac: Buffer): Verdict | undefined {
  const start = lastAdditional(reply)
  if (start === undefined) return undefined
  const fields = skipName(reply, start)
  if (reply.readUInt16BE(fields) !== typeTsig) return undefined
  const data = fields + 10
  const times = skipName(reply, data)
  const macLength = reply.readUInt16BE(times + 8)
  const mac = reply.subarray(times + 10, times + 10 + macLength)
  const after = times + 10 + macLength
  const error = reply.readUInt16BE(after + 2)
  const other = reply.subarray(after + 4, after + 6 + reply.readUInt16BE(after + 4))
  const head = Buffer.from(reply.subarray(0, start))
  head.writeUInt16BE(reply.readUInt16BE(10) - 1, 10)
  head.writeUInt16BE(reply.readUInt16BE(after), 0)
  const [wire, hash] = algorithms[key.algorithm]
  const expected = createHmac(hash, Buffer.from(key.secret(), 'base64'))
    .update(Buffer.concat([u16(requestMac.length), requestMac, head, wireName(key.name), u16(classAny), u32(0), wireName(wire)]))
    .update(Buffer.concat([reply.subarray(times, times + 8), u16(error), other]))
    .digest()
  return {
    verified: mac.length === expected.length && timingSafeEqual(mac, expected),
    error,
    serverSeconds: other.length === 8 ? other.readUIntBE(2, 6) : undefined,
  }
}

/** Where the last record of a message begins, which alone may be a signature. */
function lastAdditional(message: Buffer): number | undefined {
  let at = 12
  for (let question = 0; question < message.readUInt16BE(4); question++) at = skipName(message, at) + 4
  const records = message.readUInt16BE(6) + message.readUInt16BE(8) + message.readUInt16BE(10)
  if (message.readUInt16BE(10) === 0) return undefined
  for (let record = 1; record < records; record++) {
    const fields = skipName(message, at)
    at = fields + 10 + message.readUInt16BE(fields + 8)
  }
  return at
}

function skipName(message: Buffer, start: number): number {
  for (let at = start; ; ) {
    const length = message.readUInt8(at)
    if (length === 0) return at + 1
    if (length >= 0xc0) return at + 2
    at += length + 1
  }
}
