import { isIP } from 'node:net'
import { domainToASCII } from 'node:url'
import { SoakpError } from '../../errors.js'
import { normalizeAddress } from '../../lib/ip.js'
import type { Identifier } from './wire.js'

/** As many as Let's Encrypt's largest profile allows; no CA is known to take more. */
const maxNames = 100

/** What a label of a name in a certificate may be; underscores are not (CA/Browser Forum, ballot SC 12). */
const label = /^(?!-)[a-z0-9-]{1,63}(?<!-)$/

/**
 * Names as a CA wants them: lower case, punycode, no dot at the end, each once, in the order given. Addresses pass where `allowAddresses`. Throws `usage`.
 */
export function identifiersOf(names: readonly string[], { allowAddresses = false } = {}): Identifier[] {
  const values = [...new Set(names.map(name => normalize(name)))]
  if (values.length === 0) throw new SoakpError('usage', 'No name was given.')
  if (values.length > maxNames) throw refused(`${values.length} names are more than the ${maxNames} that fit into one certificate.`)
  return values.map(value => {
    if (isIP(value) === 0) return { type: 'dns', value }
    if (allowAddresses) return { type: 'ip', value }
    throw refused(
      `${value} is an address.`,
      'A CA certifies addresses in some profiles only, and proves them over HTTP: --http --profile shortlived at Let’s Encrypt.',
    )
  })
}

function normalize(name: string): string {
  const text = name.trim()
  const address = text.replace(/^\[(.*)\]$/, '$1')
  if (isIP(address) !== 0) return normalizeAddress(address)
  const wildcard = text.startsWith('*.')
  const ascii = toAscii((wildcard ? text.slice(2) : text).replace(/\.$/, ''), name)
  const labels = ascii.split('.')
  if (ascii.includes('*')) throw refused(`${name}: an asterisk stands only as the whole first label, as in *.example.com.`)
  if (labels.some(each => !label.test(each)) || ascii.length > 253 || /^\d+$/.test(labels.at(-1) ?? '')) {
    throw refused(`${name} is no host name.`)
  }
  if (labels.length < 2) {
    throw refused(
      `${name} is no public name: a CA certifies names such as ai.example.com.`,
      'For this machine and its network there is soakp cert local.',
    )
  }
  return wildcard ? `*.${ascii}` : ascii
}

function toAscii(name: string, shown: string): string {
  // an asterisk or an underscore is judged later, in better words
  if (/^[\x21-\x7e]*$/.test(name) && !/(^|\.)xn--/i.test(name)) return name.toLowerCase()
  // what it would leave out of a URL is no part of a name
  const ascii = /[\p{Cc}\p{Z}]/u.test(name) ? '' : domainToASCII(name)
  if (ascii === '') throw refused(`${shown} cannot be written as a host name.`)
  return ascii
}

function refused(detail: string, hint?: string): SoakpError {
  return new SoakpError('usage', detail, hint === undefined ? {} : { hint })
}

/** The same names, in whatever order. */
export function sameIdentifiers(a: readonly Identifier[], b: readonly Identifier[]): boolean {
  const key = (list: readonly Identifier[]) =>
    list
      .map(({ type, value }) => `${type}:${value}`)
      .sort()
      .join()
  return key(a) === key(b)
}
