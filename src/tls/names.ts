import type { X509Certificate } from 'node:crypto'
import { normalizeAddress } from '../lib/ip.js'

/** The names and addresses a certificate is valid for. Those that Node writes in quotes hold characters that no host name has, and are left out. */
export function namesOf(certificate: X509Certificate): string[] {
  return (certificate.subjectAltName ?? '').split(', ').flatMap(part => {
    const [, kind, value] = /^(DNS|IP Address):([^"]+)$/.exec(part) ?? []
    if (kind === undefined || value === undefined) return []
    return kind === 'DNS' ? value.toLowerCase() : normalizeAddress(value)
  })
}
