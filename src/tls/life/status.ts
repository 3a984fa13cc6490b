import type { SoakpError } from '../../errors.js'
import { authorityOf } from '../acme/authorities.js'
import { endsSoon } from '../ending.js'
import { findLineage, listLineages } from '../lineage.js'
import { type Due, dueOf } from './due.js'
import { type LiveCertificate, liveCertificate } from './live.js'
import { type CertificateRecord, listRecords } from './record.js'

/** A certificate as it stands: what is served of it, how it is renewed, what is wrong. */
export interface CertificateStatus {
  readonly name: string
  readonly names: readonly string[]
  /** Who renews it: soakp; `other`, a program that keeps its own folder, such as Certbot; `nobody`. */
  readonly renewedBy: 'soakp' | 'other' | 'nobody'
  readonly live: LiveCertificate | undefined
  /** Why its files cannot be served, though they are there, as a clause; undefined: nothing is wrong with them. */
  readonly trouble: string | undefined
  readonly record: CertificateRecord | undefined
  readonly due: Due | undefined
  /** Title of the CA that issued it, or what it calls itself. */
  readonly issuer: string | undefined
  /** A rehearsal: nobody believes it. */
  readonly isStaging: boolean
}

/** Every certificate but the local CA's, by name. `bad` is told of files that cannot be read. */
export function statuses(certsDir: string, nowMs: number, bad?: (error: SoakpError, name: string) => void): CertificateStatus[] {
  const records = new Map(listRecords(certsDir, bad).map(record => [record.name, record]))
  const names = new Set([...listLineages(certsDir).map(({ name }) => name), ...records.keys()])
  return [...names].sort().map(name => statusOf(certsDir, name, records.get(name), nowMs))
}

export function statusOf(certsDir: string, name: string, record: CertificateRecord | undefined, nowMs: number): CertificateStatus {
  const live = liveCertificate(certsDir, name)
  const by = record?.state.issuedBy
  const authority = by !== undefined && by.fingerprint === live?.fingerprint ? authorityOf(by.directoryUrl) : undefined
  return {
    name,
    names: live?.names ?? record?.wishes.names ?? [],
    renewedBy: record !== undefined ? 'soakp' : live?.lineage.keptBy === 'other' ? 'other' : 'nobody',
    live,
    trouble: live === undefined ? troubleOfFiles(certsDir, name) : troubleOf(live),
    record,
    due: record === undefined ? undefined : dueOf(certsDir, record, nowMs),
    issuer: authority?.title ?? live?.issuer,
    isStaging: authority?.isStaging === true,
  }
}

/** Of files in which no certificate is found. */
function troubleOfFiles(certsDir: string, name: string): string | undefined {
  return findLineage(certsDir, name) === undefined ? undefined : 'its fullchain.pem cannot be read, or holds no certificate'
}

function troubleOf({ keyFits }: LiveCertificate): string | undefined {
  if (keyFits === undefined) return 'its privkey.pem cannot be read'
  return keyFits ? undefined : 'its privkey.pem does not hold its key'
}

/** What of a certificate somebody should see to. */
export interface Concern {
  readonly name: string
  readonly level: 'warn' | 'fail'
  readonly kind: 'missing' | 'unusable' | 'ended' | 'ends_soon' | 'not_renewed' | 'renewal_failed' | 'hook_failed' | 'revoked'
  readonly text: string
  readonly todo: string
}

/** Expired, about to end, failing, not deployed. Never by a number of days: lifetimes differ. */
export function concernsOf({ name, live, trouble, record, due, renewedBy }: CertificateStatus, nowMs: number): Concern[] {
  const concerns: Concern[] = []
  const say = (level: Concern['level'], kind: Concern['kind'], text: string, todo: string) =>
    void concerns.push({ name, level, kind, text, todo })
  const renewNow = `soakp cert renew --force --cert-name ${name}`
  const error = record?.state.lastError
  if (trouble !== undefined) {
    // where the key alone cannot be read, another certificate would have the same owner and mode
    const replaced = record !== undefined && (live === undefined || live.keyFits === false)
    say('fail', 'unusable', `${name} cannot be served: ${trouble}`, replaced ? renewNow : mendFiles(name))
  } else if (live === undefined)
    say('fail', 'missing', `${name} has not been issued`, error === undefined ? `soakp cert renew --cert-name ${name}` : renewNow)
  if (live === undefined) {
    // nothing can be said of its dates
  } else if (live.notAfterMs <= nowMs)
    say('fail', 'ended', `${name} ended on ${day(live.notAfterMs)}`, record === undefined ? 'issue it again: soakp cert issue' : renewNow)
  else if (renewedBy !== 'soakp' && endsSoon(live, nowMs)) {
    say(
      'warn',
      'ends_soon',
      `${name} ends on ${day(live.notAfterMs)}, and soakp does not renew it`,
      renewedBy === 'other' ? 'see whether the program that keeps it runs' : 'issue it here: soakp cert issue',
    )
  } else if (due?.alarming || due?.reason === 'emergency') {
    if (due.due) say('fail', 'not_renewed', `${name} ends on ${day(live.notAfterMs)} and was not renewed`, renewNow)
  }
  if (record !== undefined && error !== undefined)
    say(
      'warn',
      'renewal_failed',
      `the last ${record.state.attempts === 1 ? 'attempt' : `${record.state.attempts} attempts`} to renew ${name} failed: ${error.detail}`,
      `mend that, then: ${renewNow}`,
    )
  if (record?.state.deployed === false)
    say('warn', 'hook_failed', `the deploy hook of ${name} has not ended well`, 'mend it; soakp cert renew runs it again')
  if (due?.due && due.reason === 'revoked') say('fail', 'revoked', `${name} was revoked`, renewNow)
  return concerns
}

const mendFiles = (name: string) =>
  `see that fullchain.pem and privkey.pem in certs/live/${name} are a pair that this user may read; soakp cert import puts one there`

const day = (atMs: number) => new Date(atMs).toISOString().slice(0, 10)
