import { join } from 'node:path'
import type { Certificates } from '../../tls/certificates.js'
import { endsSoon } from '../../tls/ending.js'
import { type Concern, concernsOf, statuses } from '../../tls/life/status.js'
import { localName } from '../../tls/local-ca.js'
import type { Family, Sample } from './text.js'

/** What a watcher needs to know of a certificate. Nothing here is in the words of a CA or a DNS provider, which may quote anything. */
export interface CertificateView {
  /** Its folder below `live/`; `localhost`, the local CA's; or the setting that names its file. */
  readonly name: string
  /** Undefined: it has not been issued. */
  readonly expiresAtMs: number | undefined
  /** When soakp is to renew it; undefined: it is not soakp that does. */
  readonly dueAtMs: number | undefined
  /** Attempts in a row that failed. */
  readonly failures: number
  readonly lastFailureAtMs: number | undefined
  readonly concerns: readonly Pick<Concern, 'level' | 'kind'>[]
}

export interface CertificateSources {
  /** The home. */
  readonly home: string
  /** Those in service; undefined: plain HTTP. */
  readonly served: Pick<Certificates, 'all'> | undefined
}

/** Files are read anew no more often than this. */
const freshMs = 5_000

/** A reader of all certificates of a home, and of those that are served besides. */
export function certificateViews({ home, served }: CertificateSources, now: () => number): () => readonly CertificateView[] {
  let read: readonly CertificateView[] = []
  let readAtMs = Number.NEGATIVE_INFINITY
  return () => {
    const at = now()
    if (Math.abs(at - readAtMs) < freshMs) return read
    const issued = statuses(join(home, 'certs'), at).map(status => ({ ...viewOf(status, at), fingerprint: status.live?.fingerprint }))
    const known = new Set(issued.flatMap(({ name, fingerprint }) => [name, fingerprint]))
    const others = (served?.all ?? [])
      .filter(({ fingerprint }) => !known.has(fingerprint))
      .map(pair => ({ ...pair, name: pair.isLocal ? localName : 'SOAKP_TLS_CERT_FILE' }))
      .filter(({ name }, at, all) => !known.has(name) && all.findIndex(other => other.name === name) === at)
      .map(({ name, isLocal, validFromMs, validUntilMs }): CertificateView => {
        const soon = !isLocal && endsSoon({ notBeforeMs: validFromMs, notAfterMs: validUntilMs }, at)
        const concerns = soon ? [{ level: 'warn', kind: 'ends_soon' } as const] : []
        return { name, expiresAtMs: validUntilMs, dueAtMs: undefined, failures: 0, lastFailureAtMs: undefined, concerns }
      })
    read = [...issued.map(({ fingerprint, ...view }) => view), ...others]
    readAtMs = at
    return read
  }
}

function viewOf(status: ReturnType<typeof statuses>[number], nowMs: number): CertificateView {
  const { name, live, record, due } = status
  return {
    name,
    expiresAtMs: live?.notAfterMs,
    dueAtMs: due === undefined ? undefined : Math.max(due.atMs, record?.state.notBeforeMs ?? 0),
    failures: record?.state.attempts ?? 0,
    lastFailureAtMs: record?.state.lastError?.atMs,
    concerns: concernsOf(status, nowMs).map(({ level, kind }) => ({ level, kind })),
  }
}

export function certificateFamilies(views: readonly CertificateView[], nowMs: number): Family[] {
  const family = (name: string, help: string, value: (view: CertificateView) => number | undefined): Family => ({
    name: `soakp_certificate_${name}`,
    type: 'gauge',
    help,
    samples: views.flatMap((view): Sample[] => {
      const number = value(view)
      return number === undefined ? [] : [{ labels: { certificate: view.name }, value: number }]
    }),
  })
  const seconds = (ms: number | undefined) => (ms === undefined ? undefined : ms / 1000)
  return [
    family('remaining_seconds', 'Until it ends; below zero when it has.', ({ expiresAtMs }) => seconds(expiresAtMs && expiresAtMs - nowMs)),
    family('renewal_due_timestamp_seconds', 'When soakp is to try to renew it next.', ({ dueAtMs }) => seconds(dueAtMs)),
    family('renewal_failures', 'Attempts to renew it that failed, in a row.', ({ failures }) => failures),
    family('renewal_last_failure_timestamp_seconds', 'When an attempt to renew it last failed, if none has gone well since.', view =>
      seconds(view.lastFailureAtMs),
    ),
    {
      name: 'soakp_certificate_concerns',
      type: 'gauge',
      help: 'What `soakp doctor` has to say about it: warnings and faults.',
      samples: views.flatMap(({ name, concerns }) =>
        (['warn', 'fail'] as const).map(level => ({
          labels: { certificate: name, level },
          value: concerns.filter(concern => concern.level === level).length,
        })),
      ),
    },
  ]
}
