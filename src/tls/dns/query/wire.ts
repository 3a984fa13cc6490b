import { randomInt } from 'node:crypto'
import { createSocket } from 'node:dgram'
import { connect, isIPv6 } from 'node:net'
import { type Answer, type DecodedPacket, decode, encode, type RecordType } from 'dns-packet'
import { SoakpError } from '../../../errors.js'

/** One address that DNS is spoken at. `host` is an IP address. */
export interface ServerAddress {
  readonly host: string
  readonly port: number
}

export interface DnsQuestion {
  /** Without a trailing dot; empty for the root. */
  readonly name: string
  readonly type: RecordType
  /** Ask on our behalf (RD): for resolvers, never for authoritative servers. */
  readonly recursion?: boolean
}

/** A reply that belongs to the question, whatever it says. */
export interface DnsReply {
  /** RFC 1035 section 4.1.1, as a word: `NOERROR`, `NXDOMAIN`, `REFUSED` … */
  readonly rcode: string
  /** The server speaks for the zone itself (AA). */
  readonly authoritative: boolean
  readonly answers: readonly Answer[]
  readonly authorities: readonly Answer[]
  readonly additionals: readonly Answer[]
}

/** No usable reply came; the message is the end of a sentence that begins with the server. */
export class DnsSilence extends Error {}

export interface AskOptions {
  readonly signal: AbortSignal
  /** For each try. Default: 2 seconds. */
  readonly timeoutMs?: number
}

const rcodes = ['NOERROR', 'FORMERR', 'SERVFAIL', 'NXDOMAIN', 'NOTIMP', 'REFUSED', 'YXDOMAIN', 'YXRRSET', 'NXRRSET', 'NOTAUTH', 'NOTZONE']

export const rcodeName = (code: number): string => rcodes[code] ?? `rcode ${code}`

/** The largest datagram that passes everywhere without being cut (DNS flag day 2020). */
const udpPayloadSize = 1232

/**
 * Asks one server: twice over UDP, with EDNS, then over TCP; at once over TCP where the reply was cut short; without EDNS where the server does not know it. Every try has
 * a random id and port, and what does not fit the question is not taken for its reply. Throws `DnsSilence`, or `cancelled` when the run is stopped.
 */
export async function ask(server: ServerAddress, question: DnsQuestion, { signal, timeoutMs = 2000 }: AskOptions): Promise<DnsReply> {
  let edns = true
  let trouble: unknown
  for (let attempt = 0; attempt < 4; attempt++) {
    if (signal.aborted) throw new SoakpError('cancelled')
    const exchange = attempt < 2 ? overUdp : overTcp
    try {
      const packet = await exchange(server, question, edns, timeoutMs, signal)
      if (packet.flag_tc && exchange === overUdp) {
        attempt = 1
        continue
      }
      const rcode = rcodeName((packet.flags ?? 0) & 15)
      if (edns && (rcode === 'FORMERR' || rcode === 'NOTIMP')) {
        edns = false
        continue
      }
      return {
        rcode,
        authoritative: packet.flag_aa,
        answers: packet.answers ?? [],
        authorities: packet.authorities ?? [],
        additionals: packet.additionals ?? [],
      }
    } catch (error) {
      trouble = error
      if (error instanceof DnsSilence && attempt >= 2) break
    }
  }
  if (signal.aborted) throw new SoakpError('cancelled')
  throw trouble instanceof DnsSilence ? trouble : new DnsSilence('does not answer')
}

function packetOf({ name, type, recursion }: DnsQuestion, id: number, edns: boolean): Buffer {
  return encode({
    type: 'query',
    id,
    flags: recursion ? 1 << 8 : 0,
    questions: [{ name: name === '' ? '.' : name, type, class: 'IN' }],
    ...(edns
      ? {
          additionals: [
            { type: 'OPT', name: '.', udpPayloadSize, flags: 0, flag_do: false, extendedRcode: 0, ednsVersion: 0, options: [] },
          ],
        }
      : {}),
  })
}

/** The reply in `bytes`; undefined where they are none to this question. */
function replyTo(question: DnsQuestion, id: number, bytes: Buffer): DecodedPacket | undefined {
  if (bytes.length < 12 || bytes.readUInt16BE(0) !== id) return undefined
  try {
    const packet = decode(bytes)
    const [asked, ...more] = packet.questions ?? []
    // some leave the question out of an error; nobody can use such a reply for anything else
    const fits = asked === undefined ? (packet.flags ?? 0) & 15 : asked.type === question.type && plain(asked.name) === plain(question.name)
    return packet.type === 'response' && more.length === 0 && fits ? packet : undefined
  } catch {
    return undefined
  }
}

/** Names as they are compared: lower case, without a trailing dot. */
export const plain = (name: string): string => name.toLowerCase().replace(/\.$/, '')

/** How one exchange with a server ends. What comes after the first end is of no use to anybody. */
interface Ending<T> {
  answer(value: T): void
  fail(why: string): void
}

/**
 * Resolves with the answer of one exchange, or throws `DnsSilence`: when it failed, when its time is up, when nobody waits any longer. `begin` opens the socket and says
 * how to close it.
 */
function oneExchange<T>(timeoutMs: number, signal: AbortSignal, begin: (ending: Ending<T>) => () => void): Promise<T> {
  return new Promise((resolve, reject) => {
    const end = (settle: () => void) => {
      clearTimeout(timer)
      signal.removeEventListener('abort', stop)
      close()
      settle()
    }
    const fail = (why: string) => end(() => reject(new DnsSilence(why)))
    const stop = () => fail('was not waited for')
    const close = begin({ answer: value => end(() => resolve(value)), fail })
    const timer = setTimeout(() => fail(`did not answer within ${timeoutMs / 1000} s`), timeoutMs)
    signal.addEventListener('abort', stop)
  })
}

function overUdp(
  { host, port }: ServerAddress,
  question: DnsQuestion,
  edns: boolean,
  timeoutMs: number,
  signal: AbortSignal,
): Promise<DecodedPacket> {
  return oneExchange<DecodedPacket>(timeoutMs, signal, ({ answer, fail }) => {
    const id = randomInt(0x10000)
    const socket = createSocket({ type: isIPv6(host) ? 'udp6' : 'udp4' })
    socket.on('message', bytes => {
      const packet = replyTo(question, id, bytes)
      if (packet !== undefined) answer(packet)
    })
    socket.once('error', error => fail(explain(error)))
    // a connected socket takes datagrams from that server alone, and learns that nobody listens there
    socket.connect(port, host, () => {
      socket.send(packetOf(question, id, edns), error => {
        if (error) fail(explain(error))
      })
    })
    return () => void socket.close()
  })
}

async function overTcp(
  server: ServerAddress,
  question: DnsQuestion,
  edns: boolean,
  timeoutMs: number,
  signal: AbortSignal,
): Promise<DecodedPacket> {
  const id = randomInt(0x10000)
  const packet = replyTo(question, id, await exchangeTcp(server, packetOf(question, id, edns), timeoutMs, signal))
  if (packet === undefined) throw new DnsSilence('answers with something that is no reply to the question')
  return packet
}

/** Sends one message over TCP and resolves with the one that comes back. Throws `DnsSilence`. */
export function exchangeTcp({ host, port }: ServerAddress, message: Buffer, timeoutMs: number, signal: AbortSignal): Promise<Buffer> {
  return oneExchange<Buffer>(timeoutMs, signal, ({ answer, fail }) => {
    const socket = connect({ host, port })
    const received: Buffer[] = []
    socket.on('connect', () => {
      const length = Buffer.alloc(2)
      length.writeUInt16BE(message.length)
      socket.write(Buffer.concat([length, message]))
    })
    socket.on('data', chunk => {
      received.push(chunk)
      const bytes = Buffer.concat(received)
      if (bytes.length >= 2 && bytes.length >= 2 + bytes.readUInt16BE(0)) answer(bytes.subarray(2, 2 + bytes.readUInt16BE(0)))
    })
    socket.once('error', error => fail(explain(error)))
    socket.once('close', () => fail('closed the connection without an answer'))
    return () => void socket.destroy()
  })
}

const reasons: Record<string, string> = {
  ECONNREFUSED: 'refuses the connection',
  ECONNRESET: 'dropped the connection',
  EHOSTUNREACH: 'cannot be reached from here',
  ENETUNREACH: 'cannot be reached from here',
  EADDRNOTAVAIL: 'cannot be reached from here',
}

function explain(error: Error): string {
  const code = 'code' in error && typeof error.code === 'string' ? error.code : ''
  return reasons[code] ?? `cannot be asked${code === '' ? '' : ` (${code})`}`
}

/** `host:port`, or the host alone where the port is the usual one. */
export function showServer({ host, port }: ServerAddress): string {
  return port === 53 ? host : isIPv6(host) ? `[${host}]:${port}` : `${host}:${port}`
}
