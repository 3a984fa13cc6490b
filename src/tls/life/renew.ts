import { isDeepStrictEqual } from 'node:util'
import { SoakpError } from '../../errors.js'
import { pause } from '../acme/patience.js'
import { cleanDnsLeftovers, dnsProvider } from '../dns/index.js'
import { afterFailure } from './backoff.js'
import { askWhen, type Due, dueOf } from './due.js'
import { distinct, type HookFailure, hasHooks, runHooks } from './hooks.js'
import { issue, type KeeperDeps } from './keeper.js'
import { liveCertificate } from './live.js'
import { withCertificatesLock } from './lock.js'
import { type CertificateRecord, listRecords, readRecord, writeRecord } from './record.js'
import { simulate } from './simulate.js'

/** What became of one certificate in a run. */
export interface Renewal {
  readonly name: string
  readonly names: readonly string[]
  readonly outcome:
    | 'renewed'
    /** Renewed earlier; what had to be told of it is told now. */
    | 'deployed'
    | 'not_due'
    /** It is due, but an earlier failure or the CA asks to wait. */
    | 'waiting'
    /** A dry run went well. */
    | 'simulated'
    | 'failed'
  readonly reason: Due['reason'] | undefined
  /** When it is due; for one that waits, when it is tried again. */
  readonly atMs: number | undefined
  /** Of what is in service now. */
  readonly notAfterMs: number | undefined
  readonly alarming: boolean
  /** The page on which the CA explains why it wants it renewed early. */
  readonly explanationUrl: string | undefined
  readonly error: SoakpError | undefined
}

export interface RenewalReport {
  readonly renewals: readonly Renewal[]
  readonly hookFailures: readonly HookFailure[]
}

export interface RenewOptions {
  /** Only this one. */
  readonly name?: string | undefined
  /** Whatever is due or not, and however often it failed. */
  readonly force?: boolean | undefined
  readonly dryRun?: boolean | undefined
}

interface Item {
  readonly record: CertificateRecord
  readonly due: Due
}

/**
 * Renews what is due, in one go that shares nothing with another: throws `certificate_busy` where one is under way, `certificate_not_found` for a name that is not
 * kept here, `cancelled`. What fails for one certificate is in its result and does not stop the others.
 */
export function renew(deps: KeeperDeps, options: RenewOptions = {}): Promise<RenewalReport> {
  return withCertificatesLock(deps.certsDir, () => renewHeld(deps, options))
}

/** The same, by whoever holds the lock. */
async function renewHeld(deps: KeeperDeps, { name, force = false, dryRun = false }: RenewOptions): Promise<RenewalReport> {
  const { certsDir, run } = deps
  await cleanUpDns(deps)
  const broken: Renewal[] = []
  const records =
    name === undefined ? listRecords(certsDir, (error, bad) => broken.push(failed(certsDir, bad, [], error))) : [recordOf(certsDir, name)]
  const items: Item[] = []
  for (const record of records) items.push(await look(deps, record))
  const nowMs = run.now()
  const wanted = (item: Item) => dryRun || force || (item.due.due && (item.record.state.notBeforeMs ?? 0) <= nowMs)
  const todo = items.filter(wanted)
  const renewals = [
    ...broken,
    ...items.filter(item => !wanted(item) && (item.record.state.deployed || dryRun)).map(item => idle(certsDir, item)),
  ]
  const hookFailures = todo.length === 0 ? [] : await around(deps, 'pre', todo, [], [])
  const done: Renewal[] = []
  try {
    for (const item of items) {
      if (todo.includes(item)) done.push(await (dryRun ? rehearse(deps, item) : renewOne(deps, item, hookFailures)))
      else if (!item.record.state.deployed && !dryRun) done.push(await deploy(deps, item.record, item.due, 'deployed', hookFailures))
    }
  } finally {
    const of = (outcome: (each: Renewal) => boolean) => done.filter(outcome).flatMap(each => each.names)
    const failedOnes = of(each => each.outcome === 'failed')
    const renewed = of(each => each.outcome === 'renewed')
    if (todo.length > 0) hookFailures.push(...(await around(deps, 'post', todo, renewed, failedOnes)))
  }
  const position = new Map(records.map((record, at) => [record.name, at]))
  const inOrder = [...renewals, ...done].sort((a, b) => (position.get(a.name) ?? -1) - (position.get(b.name) ?? -1))
  return { renewals: inOrder, hookFailures }
}

/** Throws `certificate_not_found` for a name that is not renewed here. */
export function recordOf(certsDir: string, name: string): CertificateRecord {
  const record = readRecord(certsDir, name)
  if (record !== undefined) return record
  const hint =
    liveCertificate(certsDir, name) === undefined
      ? '`soakp cert list` shows what there is'
      : `it is served, but was not issued by soakp; to have it renewed here: soakp cert issue --cert-name ${name} …`
  throw new SoakpError('certificate_not_found', `None named ${name} is renewed by soakp.`, { hint })
}

/** What interrupted runs have left in the DNS. It never keeps a renewal from being done. */
export async function cleanUpDns({ dns, run }: KeeperDeps): Promise<void> {
  const { now, signal, tell } = run
  try {
    const { removed } = await cleanDnsLeftovers(dnsProvider, dns, { now, signal, tell, delay: ms => pause(ms, signal) })
    if (removed > 0) tell(`removed ${removed} TXT value${removed === 1 ? '' : 's'} that an interrupted run had left`)
  } catch (error) {
    if (signal.aborted || !(error instanceof SoakpError)) throw error
    tell(`what an interrupted run has left in the DNS could not be removed: ${error.message}`)
  }
}

async function look(deps: KeeperDeps, before: CertificateRecord): Promise<Item> {
  const ari = await askWhen(deps, before)
  let record = before
  if (!isDeepStrictEqual(ari, before.state.ari)) {
    record = { ...before, state: { ...before.state, ari } }
    if (ari?.explanationUrl !== undefined && ari.explanationUrl !== before.state.ari?.explanationUrl)
      deps.run.tell(`${record.name}: the CA wants it renewed early, see ${ari.explanationUrl}`)
    await remember(deps, record)
  }
  return { record, due: dueOf(deps.certsDir, record, deps.run.now()) }
}

/** A disk that is full must not keep a certificate from being renewed. */
async function remember({ certsDir, run }: KeeperDeps, record: CertificateRecord): Promise<void> {
  try {
    await writeRecord(certsDir, record)
  } catch (error) {
    if (!(error instanceof SoakpError)) throw error
    run.tell(`${record.name}: what happened cannot be remembered: ${error.message}`)
  }
}

async function renewOne(deps: KeeperDeps, { record, due }: Item, hookFailures: HookFailure[]): Promise<Renewal> {
  deps.run.tell(`renewing ${record.name} (${record.wishes.names.join(', ')})`)
  let renewed: CertificateRecord
  try {
    renewed = await issue(deps, record)
  } catch (error) {
    if (!(error instanceof SoakpError) || error.code === 'cancelled') throw error
    const state = afterFailure(record.state, error, deps.run.now())
    await remember(deps, { ...record, state })
    return failed(deps.certsDir, record.name, record.wishes.names, error, due, state.notBeforeMs)
  }
  return deploy(deps, renewed, due, 'renewed', hookFailures)
}

/** Runs the hooks of one certificate; where one fails, all are run again by the next run. */
export async function deploy(
  deps: KeeperDeps,
  record: CertificateRecord,
  due: Due,
  outcome: 'renewed' | 'deployed',
  hookFailures: HookFailure[],
): Promise<Renewal> {
  const { certsDir, run } = deps
  const { deploy: command } = record.wishes.hooks
  const live = liveCertificate(certsDir, record.name)
  const facts = { name: record.name, renewedDomains: record.wishes.names, ...(live === undefined ? {} : { lineage: live.lineage.folder }) }
  const failures = await runHooks(certsDir, 'deploy', command === undefined ? [] : [command], facts, run)
  hookFailures.push(...failures)
  const deployed = failures.length === 0
  if (deployed) await remember(deps, { ...record, state: { ...record.state, deployed } })
  return { ...plain(certsDir, record.name, record.wishes.names), outcome, reason: due.reason, atMs: undefined }
}

async function around(
  { certsDir, run }: KeeperDeps,
  kind: 'pre' | 'post',
  items: readonly Item[],
  renewedDomains: readonly string[],
  failedDomains: readonly string[],
): Promise<HookFailure[]> {
  const commands = distinct(items.map(({ record }) => record.wishes.hooks[kind]))
  if (!hasHooks(certsDir, kind, commands[0])) return []
  // services that were stopped for the run are started again, also where the run was stopped
  const signal = kind === 'post' ? new AbortController().signal : run.signal
  return runHooks(certsDir, kind, commands, { renewedDomains, ...(kind === 'post' ? { failedDomains } : {}) }, { signal, tell: run.tell })
}

async function rehearse(deps: KeeperDeps, { record, due }: Item): Promise<Renewal> {
  try {
    await simulate(deps, record)
    return { ...plain(deps.certsDir, record.name, record.wishes.names), outcome: 'simulated', reason: due.reason, atMs: due.atMs }
  } catch (error) {
    if (!(error instanceof SoakpError) || error.code === 'cancelled') throw error
    return failed(deps.certsDir, record.name, record.wishes.names, error, due)
  }
}

function idle(certsDir: string, { record, due }: Item): Renewal {
  const waits = due.due
  return {
    ...plain(certsDir, record.name, record.wishes.names),
    outcome: waits ? 'waiting' : 'not_due',
    reason: due.reason,
    atMs: waits ? record.state.notBeforeMs : due.atMs,
    alarming: due.alarming,
    explanationUrl: record.state.ari?.explanationUrl,
  }
}

function failed(certsDir: string, name: string, names: readonly string[], error: SoakpError, due?: Due, atMs?: number): Renewal {
  return { ...plain(certsDir, name, names), outcome: 'failed', reason: due?.reason, atMs, alarming: due?.alarming ?? false, error }
}

function plain(certsDir: string, name: string, names: readonly string[]): Omit<Renewal, 'outcome' | 'reason' | 'atMs'> {
  const notAfterMs = liveCertificate(certsDir, name)?.notAfterMs
  return { name, names, notAfterMs, alarming: false, explanationUrl: undefined, error: undefined }
}
