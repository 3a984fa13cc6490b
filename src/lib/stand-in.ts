import { randomBytes } from 'node:crypto'
import type { Socket } from 'node:net'
import { SoakpError } from '../errors.js'
import type { Secret } from './secret.js'

/**
 * A text that stands for a secret in the head of a request. The HTTP client composes heads as strings, and keeps them while it waits for a connection and while
 * a body streams; a secret in there would lie in the heap as long. So the head is given this text, and the socket puts the secret's bytes in its place as the head is
 * written: the plaintext is never a string.
 */
export interface StandIn {
  /** Letters, digits, `.` and `~`: may stand in a header's value and in a query. */
  readonly text: string
  /** The request is not going to be written, or has been: wipes the secret. Harmless when repeated. */
  withdraw(): void
}

/** Nobody outside can write it by chance or guess it. */
const mark = `~${randomBytes(16).toString('hex')}~`
let made = 0

/** Places for secrets that wait to be written, used again and again: a map whose entries come and go with every call would keep dead calls in memory. */
const places: (Waiting | undefined)[] = []
const free: number[] = []

class Waiting implements StandIn {
  readonly text: string
  readonly #place: number
  #bytes: Buffer | undefined

  constructor(bytes: Buffer) {
    this.#bytes = bytes
    this.#place = free.pop() ?? places.length
    // the number tells a stand-in from an earlier one in the same place
    this.text = `${mark}${this.#place}.${(made++).toString(36)}~`
    places[this.#place] = this
  }

  /** The secret, once. */
  take(): Buffer | undefined {
    const bytes = this.#bytes
    if (bytes === undefined) return undefined
    this.#bytes = undefined
    places[this.#place] = undefined
    free.push(this.#place)
    return bytes
  }

  withdraw(): void {
    this.take()?.fill(0)
  }
}

/** How a secret is written in its place: as it is, percent-encoded (RFC 3986), or in base64 (RFC 7617). */
export type Place = 'header' | 'query' | 'basic'

/** Takes the secret's bytes over; the caller may wipe its own. Throws `key_unreadable` for one that would break out of its place. */
export function standIn(secret: Secret, place: Place): StandIn {
  const bytes =
    place === 'header' ? Buffer.from(secret.bytes()) : place === 'query' ? percentEncode(secret.bytes()) : base64(secret.bytes())
  if (bytes.some(byte => byte < 0x20 || byte === 0x7f)) throw new SoakpError('key_unreadable', 'It holds control characters.')
  return new Waiting(bytes)
}

/** Makes the socket write secrets where their stand-ins are. Strings only: bodies are bytes and pass untouched. */
export function fillIn(socket: Socket): void {
  const write = socket.write
  socket.write = function (this: Socket, ...given: unknown[]): boolean {
    const [data] = given
    if (typeof data === 'string' && data.length > mark.length) {
      const at = data.indexOf(mark)
      if (at !== -1) return writeFilled(this, write, data, at)
    }
    return Reflect.apply(write, this, given)
  } as Socket['write']
}

function writeFilled(socket: Socket, write: Socket['write'], head: string, at: number): boolean {
  const bytes = filled(head, at, none)
  if (bytes === undefined) {
    // a stand-in that went out would look like a wrong key to the provider
    socket.destroy(new Error('the request was withdrawn'))
    return false
  }
  return Reflect.apply(write, socket, [bytes, () => bytes.fill(0)])
}

const none = Buffer.alloc(0)

/**
 * The bytes of a head, with the secret in the place of its stand-in, and of the body behind it. Whoever writes them wipes them then. Undefined: the request
 * was withdrawn.
 */
export function fillHead(head: string, body: Buffer = none): Buffer | undefined {
  const at = head.indexOf(mark)
  if (at !== -1) return filled(head, at, body)
  const bytes = Buffer.allocUnsafe(head.length + body.length)
  bytes.write(head, 'latin1')
  bytes.set(body, head.length)
  return bytes
}

function filled(head: string, at: number, body: Buffer): Buffer | undefined {
  const end = head.indexOf('~', at + mark.length)
  const waiting = places[Number.parseInt(head.slice(at + mark.length, end), 10)]
  const secret = waiting?.text === head.slice(at, end + 1) ? waiting.take() : undefined
  if (secret === undefined) return undefined
  const restAt = at + secret.length
  const bodyAt = restAt + head.length - end - 1
  // of the shared pool, which lies outside the heap too; wiped as soon as the kernel has it
  const bytes = Buffer.allocUnsafe(bodyAt + body.length)
  bytes.write(head.slice(0, at), 'latin1')
  bytes.set(secret, at)
  bytes.write(head.slice(end + 1), restAt, 'latin1')
  bytes.set(body, bodyAt)
  secret.fill(0)
  return bytes
}

const alphabet = Buffer.from('ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/')

/** By hand, because `toString('base64')` would make a string of it. */
function base64(bytes: Buffer): Buffer {
  const out = Buffer.alloc(Math.ceil(bytes.length / 3) * 4, '=')
  for (let at = 0, to = 0; at < bytes.length; at += 3, to += 4) {
    const group = ((bytes[at] as number) << 16) | ((bytes[at + 1] ?? 0) << 8) | (bytes[at + 2] ?? 0)
    const letters = Math.min(3, bytes.length - at) + 1
    for (let i = 0; i < letters; i++) out[to + i] = alphabet[(group >> (18 - 6 * i)) & 63] as number
  }
  return out
}

function percentEncode(bytes: Buffer): Buffer {
  const out: number[] = []
  for (const byte of bytes) {
    if (/[A-Za-z0-9_.~-]/.test(String.fromCharCode(byte))) out.push(byte)
    else out.push(...Buffer.from(`%${byte.toString(16).toUpperCase().padStart(2, '0')}`))
  }
  return Buffer.from(out)
}
