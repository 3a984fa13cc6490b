import { randomInt } from 'node:crypto'
import type { TxtRecord } from '../provider.js'
import { u16, u32, wireName } from './tsig.js'

const [typeSoa, typeTxt, classIn, classNone] = [6, 16, 1, 254]
const opcodeUpdate = 5 << 11

/** RFC 2136: add these single records to the zone, or (section 2.5.4) take exactly these away. */
export function updateMessage(zone: string, kind: 'add' | 'remove', records: readonly TxtRecord[], ttlSeconds: number): Buffer {
  const changes = records.map(({ name, value }) => {
    const data = txtData(value)
    const [class_, ttl] = kind === 'add' ? [classIn, ttlSeconds] : [classNone, 0]
    return Buffer.concat([wireName(name), u16(typeTxt), u16(class_), u32(ttl), u16(data.length), data])
  })
  const header = [u16(randomInt(0x10000)), u16(opcodeUpdate), u16(1), u16(0), u16(changes.length), u16(0)]
  return Buffer.concat([...header, wireName(zone), u16(typeSoa), u16(classIn), ...changes])
}

/** Which zone a name is in, asked of the server itself: recursion is not wished for. */
export function soaQuestion(name: string): Buffer {
  return Buffer.concat([u16(randomInt(0x10000)), u16(0), u16(1), u16(0), u16(0), u16(0), wireName(name), u16(typeSoa), u16(classIn)])
}

/** A value in pieces of at most 255 bytes, each behind its length. */
function txtData(value: string): Buffer {
  const bytes = Buffer.from(value)
  const pieces: Buffer[] = []
  for (let at = 0; at === 0 || at < bytes.length; at += 255) {
    const piece = bytes.subarray(at, at + 255)
    pieces.push(Buffer.of(piece.length), piece)
  }
  return Buffer.concat(pieces)
}
