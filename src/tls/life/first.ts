import { isDeepStrictEqual } from 'node:util'
import { SoakpError } from '../../errors.js'
import { accountFiles } from '../acme/account-files.js'
import { type Authority, authorityOf } from '../acme/authorities.js'
import { newKey } from '../acme/keys.js'
import { openSession } from '../acme/session.js'
import { checkLineageName } from '../lineage.js'
import { afterFailure } from './backoff.js'
import { dueOf } from './due.js'
import { type HookFailure, hasHooks, runHooks } from './hooks.js'
import { checkProof, issue, type KeeperDeps } from './keeper.js'
import { type LiveCertificate, liveCertificate } from './live.js'
import { withCertificatesLock } from './lock.js'
import { type CertificateRecord, type CertificateWishes, freshState, readRecord, removeRecord, writeRecord } from './record.js'
import { cleanUpDns, deploy } from './renew.js'
import { simulate } from './simulate.js'

export interface FirstOptions {
  readonly name: string
  readonly wishes: CertificateWishes
  readonly dryRun?: boolean | undefined
  /** Also where the one that is there is still good. */
  readonly force?: boolean | undefined
  /** A certificate that nobody believes may take the place of one that is believed. */
  readonly replaceValid?: boolean | undefined
}

export interface First {
  readonly record: CertificateRecord
  /** `kept`: the one that is there is for the same and good; only the settings of its renewal were changed. */
  readonly outcome: 'issued' | 'kept' | 'simulated'
  readonly hookFailures: readonly HookFailure[]
}

/**
 * Gets a certificate for the first time, or with other wishes, and remembers how it is renewed. What fails leaves a certificate that is there, and how it is renewed, as
 * they were. Where there is none yet, what may work later (the CA is down, or asks to wait) is remembered, and the next run tries again.
 */
export function issueFirst(deps: KeeperDeps, options: FirstOptions): Promise<First> {
  checkLineageName(options.name)
  return withCertificatesLock(deps.certsDir, () => first(deps, options))
}

async function first(deps: KeeperDeps, { name, wishes, dryRun, force, replaceValid }: FirstOptions): Promise<First> {
  const { certsDir, run } = deps
  await cleanUpDns(deps)
  const existing = readRecord(certsDir, name)
  const live = liveCertificate(certsDir, name)
  const record: CertificateRecord = {
    name,
    createdAtMs: existing?.createdAtMs ?? run.now(),
    wishes,
    state: existing?.state ?? freshState,
  }
  if (dryRun) {
    await simulate(deps, record)
    return { record, outcome: 'simulated', hookFailures: [] }
  }
  checkProof(deps, wishes)
  if (!replaceValid) refuseStaging(record, live, run.now())
  if (!force && existing !== undefined && sameCertificate(existing.wishes, wishes) && !dueOf(certsDir, record, run.now()).due) {
    await writeRecord(certsDir, record)
    return { record, outcome: 'kept', hookFailures: [] }
  }
  await writeRecord(certsDir, record)
  return obtainFirst(deps, record, existing)
}

async function obtainFirst(deps: KeeperDeps, record: CertificateRecord, existing: CertificateRecord | undefined): Promise<First> {
  const { certsDir, run } = deps
  const { pre, post } = record.wishes.hooks
  const hookFailures: HookFailure[] = []
  if (hasHooks(certsDir, 'pre', pre))
    hookFailures.push(...(await runHooks(certsDir, 'pre', pre === undefined ? [] : [pre], { renewedDomains: [] }, run)))
  let done: CertificateRecord | undefined
  try {
    done = await issue(deps, record)
    await deploy(deps, done, { due: true, reason: 'missing', atMs: run.now(), alarming: false }, 'renewed', hookFailures)
    return { record: readRecord(certsDir, record.name) ?? done, outcome: 'issued', hookFailures }
  } catch (error) {
    throw await settle(deps, record, existing, error)
  } finally {
    const facts =
      done === undefined
        ? { renewedDomains: [], failedDomains: record.wishes.names }
        : { renewedDomains: record.wishes.names, failedDomains: [] }
    const context = { signal: new AbortController().signal, tell: run.tell }
    if (hasHooks(certsDir, 'post', post))
      hookFailures.push(...(await runHooks(certsDir, 'post', post === undefined ? [] : [post], facts, context)))
  }
}

/** What is left behind by a failure, and what the user is told of it. */
async function settle(
  deps: KeeperDeps,
  record: CertificateRecord,
  existing: CertificateRecord | undefined,
  error: unknown,
): Promise<unknown> {
  const { certsDir, run } = deps
  if (!(error instanceof SoakpError)) return error
  // stopped: the order is on disk, and whoever runs next goes on with it
  if (error.code === 'cancelled') return error
  const passes = error.code === 'acme_rate_limited' || error.code === 'acme_unreachable'
  if (passes && liveCertificate(certsDir, record.name) === undefined) {
    const state = afterFailure(record.state, error, run.now())
    await writeRecord(certsDir, { ...record, state })
    const at = new Date(state.notBeforeMs ?? run.now()).toISOString()
    const later = `It is remembered: soakp serve, or soakp cert renew, tries again after ${at}. To give it up: soakp cert delete ${record.name}`
    return withHint(error, later)
  }
  if (existing === undefined) removeRecord(certsDir, record.name)
  else if (!passes || !sameCertificate(existing.wishes, record.wishes)) await writeRecord(certsDir, existing)
  // a renewal by another name: whoever renews next waits as long as after any other
  else await writeRecord(certsDir, { ...existing, state: afterFailure(existing.state, error, run.now()) })
  if (!passes) return error
  const stays = 'The certificate that is there, and how it is renewed, stay as they were. To try again, give the same command.'
  return withHint(error, stays)
}

function withHint(error: SoakpError, more: string): SoakpError {
  return new SoakpError(error.code, error.detail, {
    cause: error,
    hint: error.hint === undefined ? more : `${error.hint}\n${more}`,
    ...(error.retryAfterSeconds === undefined ? {} : { retryAfterSeconds: error.retryAfterSeconds }),
  })
}

/** What decides what is in the certificate and who signed it; hooks and contact do not. */
function sameCertificate(a: CertificateWishes, b: CertificateWishes): boolean {
  const essence = ({ names, authorities, keyType, profile, preferredChain }: CertificateWishes) => ({
    names: [...names].sort(),
    authorities,
    keyType,
    profile,
    preferredChain,
  })
  return isDeepStrictEqual(essence(a), essence(b))
}

function refuseStaging({ name, wishes, state }: CertificateRecord, live: LiveCertificate | undefined, nowMs: number): void {
  if (live === undefined || live.notAfterMs <= nowMs) return
  const staging = wishes.authorities.map(authorityOf).find(({ isStaging }) => isStaging)
  const { issuedBy } = state
  const wasStaging = issuedBy?.fingerprint === live.fingerprint && authorityOf(issuedBy.directoryUrl).isStaging === true
  if (staging === undefined || wasStaging) return
  throw new SoakpError(
    'usage',
    `${name} has a certificate that is valid until ${new Date(live.notAfterMs).toISOString()}, and nobody believes one of ${staging.title}.`,
    {
      hint: 'To rehearse, use --dry-run or another --cert-name; to replace it all the same, add --replace-valid.',
    },
  )
}

export interface Terms {
  readonly authority: Authority
  readonly url: string
}

/** Terms of the CAs at which there is no account yet: a person can agree to them before anything is ordered. */
export async function termsToAgree({ certsDir, transport, run }: KeeperDeps, authorities: readonly Authority[]): Promise<Terms[]> {
  const terms: Terms[] = []
  for (const authority of authorities) {
    const { directoryUrl } = authority
    if (accountFiles(certsDir, directoryUrl).account() !== undefined) continue
    try {
      const session = await openSession({ directoryUrl, accountKey: await newKey('p256'), transport, run })
      const { termsOfService } = await session.directory()
      if (termsOfService !== undefined) terms.push({ authority, url: termsOfService })
    } catch (error) {
      // another CA may be up; where none is, the order says so
      if (!(error instanceof SoakpError && error.code === 'acme_unreachable')) throw error
    }
  }
  return terms
}
