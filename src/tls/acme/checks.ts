import { createPrivateKey, X509Certificate } from 'node:crypto'
import { SoakpError } from '../../errors.js'
import { namesOf } from '../names.js'
import { certificatesIn } from '../pem.js'
import type { Identifier } from './wire.js'

/** The certificates of a PEM chain, in its order. Throws `certificate_invalid`. */
export function readChain(pem: string): X509Certificate[] {
  const parts = certificatesIn(pem)
  if (parts.length === 0) throw invalid('There is no certificate in it.')
  try {
    return parts.map(part => new X509Certificate(part))
  } catch (cause) {
    throw invalid('A certificate in it cannot be read.', cause)
  }
}

export interface Issued {
  /** PEM, leaf first. */
  readonly fullchain: string
  /** PEM. */
  readonly key: Buffer
}

/** A CA's clock and ours may differ by this much. */
const toleranceMs = 3_600_000

/** What is wrong with what a CA issued: for good, or by what our clock says. */
export function faultsOf(
  { fullchain, key }: Issued,
  identifiers: readonly Identifier[],
  nowMs: number,
): { lasting: string[]; dates: string[] } {
  const chain = readChain(fullchain)
  const lasting = [...namesFault(chain, identifiers), ...keyFault(chain, key), ...chainFaults(chain)]
  return { lasting, dates: dateFaults(chain, nowMs) }
}

/**
 * Whether what a CA issued can be served: the names that were asked for, our key, each certificate signed by the one that follows, valid now. Throws
 * `certificate_invalid` with everything that is wrong.
 */
export function checkIssued(issued: Issued, identifiers: readonly Identifier[], nowMs: number): void {
  const { lasting, dates } = faultsOf(issued, identifiers, nowMs)
  const faults = [...lasting, ...dates]
  if (faults.length > 0) throw invalid(`What the CA issued cannot be used: ${faults.join('; ')}.`)
}

function namesFault([leaf]: readonly X509Certificate[], identifiers: readonly Identifier[]): string[] {
  const there = leaf === undefined ? [] : namesOf(leaf)
  const missing = identifiers.map(({ value }) => value).filter(value => !there.includes(value))
  const extra = there.filter(name => !identifiers.some(({ value }) => value === name))
  return [
    ...(missing.length > 0 ? [`it is not for ${missing.join(', ')}`] : []),
    ...(extra.length > 0 ? [`it is also for ${extra.join(', ')}, which nobody asked for`] : []),
  ]
}

function keyFault([leaf]: readonly X509Certificate[], key: Buffer): string[] {
  return leaf?.checkPrivateKey(createPrivateKey(key)) === true ? [] : ['it belongs to another key']
}

function chainFaults(chain: readonly X509Certificate[]): string[] {
  const faults = chain.slice(0, -1).flatMap((certificate, at) => {
    const issuer = chain[at + 1] as X509Certificate
    const signed = certificate.checkIssued(issuer) && issuer.ca && certificate.verify(issuer.publicKey)
    return signed ? [] : [`certificate ${at + 1} of the chain was not issued by certificate ${at + 2}`]
  })
  const [leaf] = chain
  if (chain.length === 1 && leaf !== undefined && leaf.issuer !== leaf.subject) return ['the certificate of its issuer is missing']
  return faults
}

function dateFaults(chain: readonly X509Certificate[], nowMs: number): string[] {
  return chain.flatMap((certificate, at) => {
    if (Date.parse(certificate.validTo) < nowMs) return [`certificate ${at + 1} ended on ${certificate.validTo}. Is the clock right?`]
    const early = Date.parse(certificate.validFrom) > nowMs + toleranceMs
    return early ? [`certificate ${at + 1} is valid only from ${certificate.validFrom}. Is the clock right?`] : []
  })
}

/**
 * The chain that ends at, or passes through, an issuer of this name (its common name or its whole subject; the root itself need not be in it): the one that names it
 * nearest to the root. Undefined where none does.
 */
export function preferredChain(chains: readonly string[], issuer: string): string | undefined {
  const wanted = issuer.trim().toLowerCase()
  const ranked = chains.flatMap(chain => {
    const certificates = readChain(chain)
    const at = certificates.findLastIndex(certificate => namesOfSubject(certificate.issuer).includes(wanted))
    return at === -1 ? [] : [{ chain, distance: certificates.length - at }]
  })
  return ranked.sort((a, b) => a.distance - b.distance)[0]?.chain
}

/** Roots and intermediates that a chain leads to: for telling what there is to choose from. */
export function issuersOf(chain: string): string[] {
  return readChain(chain).map(({ issuer }) => /^CN=(.*)$/m.exec(issuer)?.[1] ?? issuer.replaceAll('\n', ', '))
}

/** Node writes one attribute a line. */
function namesOfSubject(subject: string): string[] {
  const common = /^CN=(.*)$/m.exec(subject)?.[1]
  return [subject, subject.replaceAll('\n', ', '), ...(common === undefined ? [] : [common])].map(name => name.toLowerCase())
}

function invalid(detail: string, cause?: unknown): SoakpError {
  return new SoakpError('certificate_invalid', detail, cause === undefined ? {} : { cause })
}
