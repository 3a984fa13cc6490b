import { fieldValue } from '../../lib/http1-head.js'

/** A request whose head no two readers could take for different ones. */
export interface PlainHead {
  readonly method: string
  readonly url: string
  /** Names and values in turn, as they came, without blanks around them. */
  readonly rawHeaders: string[]
  readonly contentLength: number
  readonly keepsOpen: boolean
  /** How many bytes it takes, the empty line included. */
  readonly size: number
}

const headEnd = Buffer.from('\r\n\r\n')
const maxHeadBytes = 16 * 1024
/** A larger body streams. */
const maxBodyBytes = 64 * 1024
const maxFields = 64

const requestLine = /^(GET|POST) (\/[\x21-\x7e]*) HTTP\/1\.1$/
const tokenShape = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/
const notInValue = /[^\t\x20-\x7e\x80-\xff]/
const lengthShape = /^(?:0|[1-9]\d{0,5})$/

/**
 * Reads the head of a request if all of it is here and it is of the plainest kind (RFC 9112): `GET` or `POST`, an absolute path, CR LF line ends, one host, no transfer coding, at
 * most one length, no upgrade, no expectation, no form. Undefined for everything else, good or bad: that is for Node's own parser to read, or to refuse.
 */
export function readPlainHead(bytes: Buffer): PlainHead | undefined {
  const end = bytes.indexOf(headEnd)
  if (end === -1 || end > maxHeadBytes) return undefined
  const text = bytes.toString('latin1', 0, end)
  const firstEnd = text.indexOf('\r\n')
  if (firstEnd === -1) return undefined
  const line = requestLine.exec(text.slice(0, firstEnd))
  if (!line) return undefined
  const rawHeaders: string[] = []
  const framing: Framing = { length: undefined, keepsOpen: true, hosts: 0 }
  for (let start = firstEnd + 2; start <= text.length; ) {
    const found = text.indexOf('\r\n', start)
    const fieldEnd = found === -1 ? text.length : found
    if (rawHeaders.length >= 2 * maxFields || !readField(text, start, fieldEnd, rawHeaders, framing)) return undefined
    start = fieldEnd + 2
  }
  if (framing.hosts !== 1) return undefined
  return {
    method: line[1] as string,
    url: line[2] as string,
    rawHeaders,
    contentLength: framing.length ?? 0,
    keepsOpen: framing.keepsOpen,
    size: end + headEnd.length,
  }
}

interface Framing {
  length: number | undefined
  keepsOpen: boolean
  hosts: number
}

/** False: this request is not plain. */
function readField(text: string, start: number, end: number, rawHeaders: string[], framing: Framing): boolean {
  const colon = text.indexOf(':', start)
  if (colon === -1 || colon >= end) return false
  const name = text.slice(start, colon)
  const value = fieldValue(text, colon + 1, end)
  if (!tokenShape.test(name) || notInValue.test(value)) return false
  rawHeaders.push(name, value)
  switch (name.length) {
    case 2:
      return name.toLowerCase() !== 'te'
    case 4:
      if (name.toLowerCase() === 'host') framing.hosts++
      return true
    case 6:
      return name.toLowerCase() !== 'expect'
    case 7:
      return !isOneOf(name.toLowerCase(), 'upgrade', 'trailer')
    case 10:
      return name.toLowerCase() !== 'connection' || readConnection(value, framing)
    case 12:
      return name.toLowerCase() !== 'content-type' || !value.toLowerCase().startsWith('multipart/')
    case 14:
      return name.toLowerCase() !== 'content-length' || readLength(value, framing)
    case 16:
      return name.toLowerCase() !== 'proxy-connection'
    case 17:
      return name.toLowerCase() !== 'transfer-encoding'
    default:
      return true
  }
}

function isOneOf(name: string, ...names: readonly string[]): boolean {
  return names.includes(name)
}

function readConnection(value: string, framing: Framing): boolean {
  const option = value.toLowerCase()
  if (option === 'close') framing.keepsOpen = false
  return option === 'close' || option === 'keep-alive'
}

function readLength(value: string, framing: Framing): boolean {
  if (framing.length !== undefined || !lengthShape.test(value)) return false
  framing.length = Number(value)
  return framing.length <= maxBodyBytes
}
