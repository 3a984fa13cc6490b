import 'reflect-metadata'
import { X509Certificate } from 'node:crypto'
import * as x509 from '@peculiar/x509'
import { AcmeError, clean, isRecord, protocolProblem, retryAfter } from './problem.js'
import type { Session } from './session.js'

/** Times within which the CA wishes a certificate to be renewed. */
export interface RenewalWindow {
  readonly startMs: number
  readonly endMs: number
}

export interface RenewalInfo {
  readonly window: RenewalWindow
  /** A page that says why, when something happened. */
  readonly explanationUrl: string | undefined
  /** When to ask again. */
  readonly retryAfterMs: number
}

const minuteMs = 60_000
const dayMs = 86_400_000
const usualMs = 6 * 60 * minuteMs

/**
 * How renewalInfo and `replaces` name a certificate: RFC 9773 section 4.1. The serial number keeps the zero byte that DER puts before a number whose top bit is set.
 * Undefined for a certificate without a key identifier of its issuer.
 */
export function certId(pem: string | Buffer): string | undefined {
  const leaf = new X509Certificate(pem)
  const issuerKey = new x509.X509Certificate(leaf.raw).getExtension(x509.AuthorityKeyIdentifierExtension)?.keyId
  return issuerKey === undefined ? undefined : certIdFrom(issuerKey, leaf.serialNumber)
}

/** Both in hex; the serial with or without zeros in front. */
export function certIdFrom(issuerKeyHex: string, serialHex: string): string {
  const digits = serialHex.replace(/^0+(?=.)/, '')
  const even = digits.length % 2 === 1 ? `0${digits}` : digits
  const serial = Number.parseInt(even.slice(0, 2), 16) >= 0x80 ? `00${even}` : even
  return `${Buffer.from(issuerKeyHex, 'hex').toString('base64url')}.${Buffer.from(serial, 'hex').toString('base64url')}`
}

/** What the CA says about a certificate of its own; undefined where it does not speak of renewal. Throws `AcmeError`: which never stops a renewal that is due. */
export async function fetchRenewalInfo(session: Session, id: string, nowMs: number): Promise<RenewalInfo | undefined> {
  const { renewalInfo } = await session.directory()
  if (renewalInfo === undefined) return undefined
  const reply = await session.get('renewal info', `${renewalInfo.replace(/\/$/, '')}/${id}`)
  const data = isRecord(reply.data) ? reply.data : {}
  const window = isRecord(data.suggestedWindow) ? data.suggestedWindow : {}
  const [startMs, endMs] = [Date.parse(String(window.start)), Date.parse(String(window.end))]
  if (!(endMs > startMs)) throw new AcmeError('renewal info', protocolProblem('the window does not end after it starts'))
  const asked = retryAfter(reply.headers['retry-after'], nowMs)
  return {
    window: { startMs, endMs },
    explanationUrl: typeof data.explanationURL === 'string' ? clean(data.explanationURL) : undefined,
    retryAfterMs: asked === undefined ? usualMs : Math.min(Math.max(asked * 1000, minuteMs), dayMs),
  }
}
