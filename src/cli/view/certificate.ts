import type { Renewal, RenewalReport } from '../../tls/life/renew.js'
import type { CertificateStatus } from '../../tls/life/status.js'
import { facts, minute, table, time } from '../format.js'

/** Why, as the end of a sentence. */
const reasons: Readonly<Record<string, string>> = {
  window: 'the moment drawn from the window that the CA gives',
  overdue: 'the window that the CA gives is over',
  lifetime: 'its share of the lifetime is over',
  emergency: 'too little of its lifetime is left',
  expired: 'it has ended',
  missing: 'there is none yet',
  names: 'it is for other names than are wished',
  revoked: 'it was revoked',
  unusable: 'the key beside it is not its own',
}

export function statusJson(status: CertificateStatus): object {
  const { name, names, renewedBy, live, trouble, record, due, issuer, isStaging } = status
  const { state, wishes } = record ?? {}
  return {
    name,
    names,
    renewedBy,
    issuer: issuer ?? null,
    isStaging,
    validFrom: live === undefined ? null : time(live.notBeforeMs),
    validUntil: live === undefined ? null : time(live.notAfterMs),
    fingerprint: live?.fingerprint ?? null,
    serial: live?.serial ?? null,
    folder: live?.lineage.folder ?? null,
    version: live?.lineage.version ?? null,
    trouble: trouble ?? null,
    renewal:
      state === undefined || wishes === undefined
        ? null
        : {
            due: due?.due ?? false,
            reason: due?.reason ?? null,
            at: due === undefined ? null : time(due.atMs),
            window:
              state.ari === undefined
                ? null
                : { start: time(state.ari.window.startMs), end: time(state.ari.window.endMs), chosen: time(state.ari.chosenMs) },
            explanationUrl: state.ari?.explanationUrl ?? null,
            nextQuestion: state.ari === undefined ? null : time(state.ari.nextCheckMs),
            attempts: state.attempts,
            notBefore: time(state.notBeforeMs ?? null),
            lastError:
              state.lastError === undefined
                ? null
                : { type: state.lastError.type, detail: state.lastError.detail, at: time(state.lastError.atMs) },
            lastRenewal: time(state.lastRenewalMs ?? null),
            deployed: state.deployed,
            ...wishes,
          },
  }
}

export function statusTable(rows: readonly CertificateStatus[]): string {
  if (rows.length === 0) return 'there are none but that of the local CA; `soakp cert issue` gets one for a public name'
  return table(rows, [
    { title: 'NAME', value: row => row.name },
    { title: 'NAMES', value: row => row.names.join(' ') },
    { title: 'ISSUER', value: row => row.issuer },
    { title: 'ENDS', value: row => minute(row.live?.notAfterMs ?? null) },
    { title: 'RENEWAL', value: renewalOf },
    { title: 'REMARK', value: remarkOf },
  ])
}

function renewalOf({ due, renewedBy }: CertificateStatus): string {
  if (due === undefined) return renewedBy === 'other' ? 'by another program' : 'by nobody'
  return due.due ? 'now' : (minute(due.atMs) ?? '')
}

function remarkOf({ record, due, isStaging, live, trouble }: CertificateStatus): string {
  const { state } = record ?? {}
  return [
    ...(isStaging ? ['staging'] : []),
    ...(trouble !== undefined ? ['cannot be served'] : live === undefined ? ['not issued yet'] : []),
    ...(due?.reason === 'revoked' ? ['revoked'] : []),
    ...(state?.ari?.explanationUrl === undefined ? [] : [`incident: ${state.ari.explanationUrl}`]),
    ...(state?.lastError === undefined ? [] : [`failed ${state.attempts}×`]),
    ...(state?.deployed === false ? ['deploy hook failed'] : []),
  ].join(', ')
}

export function statusText(status: CertificateStatus): string {
  const { name, names, issuer, live, trouble, record, due, isStaging } = status
  const { wishes, state } = record ?? {}
  const rows: (readonly [string, string | undefined | null])[] = [
    ['name', name],
    ['names', names.join(', ')],
    ['issuer', isStaging ? `${issuer} (nobody believes it)` : issuer],
    ['trouble', trouble],
    [
      'valid',
      live === undefined
        ? trouble === undefined
          ? 'not issued yet'
          : undefined
        : `${minute(live.notBeforeMs)} to ${minute(live.notAfterMs)} UTC`,
    ],
    ['sha256', live?.fingerprint],
    ['serial', live?.serial],
    ['files', live?.lineage.folder],
    ['version', live?.lineage.version?.toString()],
    [
      'renewal',
      due === undefined ? renewalOf(status) : `${due.due ? 'now' : `${minute(due.atMs)} UTC`}: ${reasons[due.reason] ?? due.reason}`,
    ],
    [
      'proof',
      wishes === undefined
        ? undefined
        : wishes.proof.type === 'dns-01'
          ? `DNS, ${wishes.proof.provider}`
          : `HTTP, port ${wishes.proof.port}`,
    ],
    ['CAs', wishes?.authorities.join(', ')],
    ['key', wishes === undefined ? undefined : `${wishes.keyType}, ${wishes.reuseKey ? 'the same each time' : 'a new one each time'}`],
    ['profile', state?.issuedBy?.profile ?? wishes?.profile?.name],
    [
      'hooks',
      Object.entries(wishes?.hooks ?? {})
        .flatMap(([kind, argv]) => (argv === undefined ? [] : [`${kind}: ${argv.join(' ')}`]))
        .join('; '),
    ],
    ['window', state?.ari === undefined ? undefined : `${minute(state.ari.window.startMs)} to ${minute(state.ari.window.endMs)} UTC`],
    ['explained', state?.ari?.explanationUrl],
    ['last error', state?.lastError === undefined ? undefined : `${minute(state.lastError.atMs)} UTC: ${state.lastError.detail}`],
    ['next attempt', state?.notBeforeMs === undefined ? undefined : `not before ${minute(state.notBeforeMs)} UTC`],
    ['deployed', state === undefined ? undefined : state.deployed ? 'yes' : 'no: the next run tries again'],
  ]
  return facts(rows.filter(([, value]) => value !== undefined && value !== null && value !== ''))
}

export function renewalJson({ renewals, hookFailures }: RenewalReport): object {
  return {
    certificates: renewals.map(({ name, names, outcome, reason, atMs, notAfterMs, explanationUrl, error }) => ({
      name,
      names,
      outcome,
      reason: reason ?? null,
      at: time(atMs ?? null),
      validUntil: time(notAfterMs ?? null),
      explanationUrl: explanationUrl ?? null,
      error: error === undefined ? null : { code: error.code, detail: error.message },
    })),
    hookFailures,
  }
}

export function renewalText({ renewals }: RenewalReport): string {
  if (renewals.length === 0) return 'there are no certificates that soakp renews; `soakp cert issue` gets one'
  return renewals.map(line).join('\n')
}

function line({ name, outcome, reason, atMs, notAfterMs, explanationUrl, error }: Renewal): string {
  const until = notAfterMs === undefined ? '' : `, valid until ${minute(notAfterMs)} UTC`
  const why = reason === undefined ? '' : ` (${reasons[reason] ?? reason})`
  const at = atMs === undefined ? '' : ` ${minute(atMs)} UTC`
  const explained = explanationUrl === undefined ? '' : `; the CA explains: ${explanationUrl}`
  switch (outcome) {
    case 'renewed':
      return `${name}: renewed${until}`
    case 'deployed':
      return `${name}: was renewed before; its deploy hooks were run again`
    case 'simulated':
      return `${name}: the rehearsal went well; nothing was kept`
    case 'waiting':
      return `${name}: due${why}, but not tried again before${at}${until}; --force does not wait${explained}`
    case 'failed':
      return `${name}: failed: ${error?.message ?? ''}${at === '' ? '' : ` Tried again after${at}.`}`
    default:
      return `${name}: not due before${at}${until}${explained}`
  }
}
