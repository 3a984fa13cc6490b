import { isIP } from 'node:net'
import ipaddr from 'ipaddr.js'

/** One element of DER (ITU-T X.690): tag, length, content. */
function element(tag: number, ...content: readonly Uint8Array[]): Buffer {
  const body = Buffer.concat(content)
  return Buffer.concat([Buffer.from([tag]), lengthOf(body.length), body])
}

function lengthOf(length: number): Buffer {
  if (length < 0x80) return Buffer.from([length])
  if (length < 0x100) return Buffer.from([0x81, length])
  return Buffer.from([0x82, length >> 8, length & 0xff])
}

const sequence = 0x30
const permittedSubtrees = 0xa0
const dnsName = 0x82
const ipAddress = 0x87

/** A name and everything below it, or exactly one address. */
function subtree(name: string): Buffer {
  if (isIP(name) === 0) return element(sequence, element(dnsName, Buffer.from(name.replace(/^\*\./, ''), 'latin1')))
  const bytes = Buffer.from(ipaddr.parse(name).toByteArray())
  return element(sequence, element(ipAddress, bytes, Buffer.alloc(bytes.length, 0xff)))
}

const loopback = [
  element(sequence, element(ipAddress, Buffer.from([127, 0, 0, 0, 255, 0, 0, 0]))),
  element(sequence, element(ipAddress, Buffer.concat([Buffer.alloc(15), Buffer.from([1]), Buffer.alloc(16, 0xff)]))),
]

/**
 * Value of the name constraints extension (RFC 5280, section 4.2.1.10) that permits these names, everything below them, these addresses, loopback, and no other name or
 * address.
 */
export function nameConstraints(names: readonly string[]): Buffer {
  return element(sequence, element(permittedSubtrees, ...names.map(subtree), ...loopback))
}

/** Whether constraints written by `nameConstraints` permit this name. */
export function permits(constraints: Buffer, name: string): boolean {
  if (isIP(name) !== 0) return constraints.includes(subtree(name))
  const labels = name.replace(/^\*\./, '').split('.')
  return labels.some((_label, index) => constraints.includes(subtree(labels.slice(index).join('.'))))
}
