import { X509Certificate } from 'node:crypto'
import { SoakpError } from '../../errors.js'
import type { AccountDeps } from './account.js'
import { isProblem } from './problem.js'
import { openSession, type Session } from './session.js'

/** RFC 5280 section 5.3.1, those that CAs take from their subscribers. */
export const revocationReasons = {
  unspecified: 0,
  'key-compromise': 1,
  'affiliation-changed': 3,
  superseded: 4,
  'cessation-of-operation': 5,
} as const
export type RevocationReason = keyof typeof revocationReasons

/** Revokes a certificate of this session's account. One that is revoked already is success: answers whether this call did it. */
export async function revoke(session: Session, pem: string, reason: RevocationReason): Promise<boolean> {
  return post(session, pem, reason, false)
}

/** Revokes with the certificate's own key, where the account is lost or the key was found by somebody who should not have it. */
export async function revokeByKey(
  { transport, run }: Pick<AccountDeps, 'transport' | 'run'>,
  directoryUrl: string,
  pem: string,
  certificateKey: Buffer,
  reason: RevocationReason,
): Promise<boolean> {
  return post(await openSession({ directoryUrl, accountKey: certificateKey, transport, run }), pem, reason, true)
}

async function post(session: Session, pem: string, reason: RevocationReason, byKey: boolean): Promise<boolean> {
  const { revokeCert } = await session.directory()
  const payload = { certificate: derOf(pem), reason: revocationReasons[reason] }
  try {
    await session.post('revocation', revokeCert, payload, { byKey })
    return true
  } catch (error) {
    if (isProblem(error, 'alreadyRevoked')) return false
    throw error
  }
}

/** The first certificate, base64url of DER. */
function derOf(pem: string): string {
  try {
    return new X509Certificate(pem).raw.toString('base64url')
  } catch (cause) {
    throw new SoakpError('certificate_invalid', 'This is no certificate in PEM.', { cause })
  }
}
