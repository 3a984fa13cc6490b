import { fieldValue } from './http1-head.js'

/** The bytes are no reply that every reader would read the same way. */
export class BadReply extends Error {}

/** What the head of a reply says about where its body ends, and what comes then. */
export interface Framing {
  length: number | undefined
  chunked: boolean
  keepsOpen: boolean
  saysClose: boolean
  keepAlive: number | undefined
}

const tokenShape = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/
const notInValue = /[^\t\x20-\x7e\x80-\xff]/
const decimal = /^\d{1,15}$/

/** Reads one header field of a reply into `headers`, and what it says of the framing. Throws `BadReply`. */
export function readField(text: string, start: number, end: number, headers: string[], framing: Framing): void {
  const colon = text.indexOf(':', start)
  if (colon === -1 || colon >= end) throw new BadReply('a header has no name')
  const name = text.slice(start, colon)
  if (!tokenShape.test(name)) throw new BadReply('the name of a header is none')
  const value = fieldValue(text, colon + 1, end)
  if (notInValue.test(value)) throw new BadReply('a header holds what it cannot hold')
  headers.push(name, value)
  switch (name.length) {
    case 10:
      if (isNamed(name, 'connection')) readConnection(value, framing)
      else if (isNamed(name, 'keep-alive')) framing.keepAlive = secondsOf(value)
      break
    case 14:
      if (isNamed(name, 'content-length')) readLength(value, framing)
      break
    case 17:
      if (isNamed(name, 'transfer-encoding')) readCoding(value, framing)
      break
  }
}

function isNamed(name: string, lower: string): boolean {
  return name === lower || name.toLowerCase() === lower
}

function readLength(value: string, framing: Framing): void {
  if (framing.length !== undefined || !decimal.test(value)) throw new BadReply('the length is none, or stated twice')
  framing.length = Number(value)
}

function readCoding(value: string, framing: Framing): void {
  if (framing.chunked || value.toLowerCase() !== 'chunked') throw new BadReply('the transfer coding is not chunked')
  framing.chunked = true
}

function readConnection(value: string, framing: Framing): void {
  for (const option of value.toLowerCase().split(',')) {
    const word = option.trim()
    if (word === 'close') framing.saysClose = true
    else if (word === 'keep-alive') framing.keepsOpen = true
  }
}

function secondsOf(value: string): number | undefined {
  const [, seconds] = /timeout=(\d{1,9})/i.exec(value) ?? []
  return seconds === undefined ? undefined : Number(seconds)
}
