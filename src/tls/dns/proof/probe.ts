import { randomBytes } from 'node:crypto'
import { SoakpError } from '../../../errors.js'
import type { SolverContext } from '../../acme/challenge.js'
import { type OpenAccount, openDnsAccount } from '../account.js'
import { type DnsOptions, openView } from '../options.js'
import type { DnsProvider } from '../provider.js'
import type { DnsView, Place } from '../query/authority.js'
import { untilSeen } from '../query/propagation.js'
import { showServer } from '../query/wire.js'
import { type JournalWrite, openJournal } from './journal.js'
import { accountZone, placeOf, warnOfCut } from './solver.js'

/** What was tried, in order: the settings, the name, the zone, writing, being seen, removing. */
export type ProbeStep = 'settings' | 'name' | 'zone' | 'write' | 'seen' | 'remove'

/** How a step went, in a sentence for a person. Steps that were not come to are not there. */
export interface ProbeFinding {
  readonly step: ProbeStep
  readonly ok: boolean
  readonly text: string
  /** What can be done about it. */
  readonly hint?: string
}

/**
 * Writes a TXT record where a certificate for `name` would need one, looks whether every name server shows it, and removes it. Says of each step how it went; ends at the first that fails,
 * but never without removing what was written. Throws only what nobody foresaw.
 */
export async function probeDns(provider: DnsProvider, name: string, options: DnsOptions, context: SolverContext): Promise<ProbeFinding[]> {
  const findings: ProbeFinding[] = []
  const step = async <T>(at: ProbeStep, work: () => Promise<T>, say: (result: T) => string): Promise<T> => {
    try {
      const result = await work()
      findings.push({ step: at, ok: true, text: say(result) })
      return result
    } catch (error) {
      if (!(error instanceof SoakpError)) throw error
      findings.push({ step: at, ok: false, text: error.message, ...(error.hint === undefined ? {} : { hint: error.hint }) })
      throw new Ended()
    }
  }
  try {
    const opened = await step(
      'settings',
      async () => openAt(provider, options, context),
      () => `the settings of ${provider.title} are complete`,
    )
    try {
      await probeWith(opened, name, options, context, step)
    } finally {
      opened.close()
    }
  } catch (error) {
    if (!(error instanceof Ended)) throw error
  }
  return findings
}

/** A step has failed, and it is written down. */
class Ended extends Error {}

type Step = <T>(at: ProbeStep, work: () => Promise<T>, say: (result: T) => string) => Promise<T>

async function probeWith(opened: OpenAccount, name: string, options: DnsOptions, context: SolverContext, step: Step): Promise<void> {
  const { account } = opened
  const view = await openView(options, context.signal)
  const place = await step(
    'name',
    () => placeOf(`_acme-challenge.${name.replace(/^\*\./, '')}`, view, options.dnsPropagation),
    describePlace,
  )
  const zone = await step(
    'zone',
    () => accountZone(account, place),
    ({ name }) => `the account holds it in the zone ${name || 'of its own'}`,
  )
  warnOfCut(place, zone, context.tell)
  // of the form and length of a real one: some providers take no other
  const record = { name: place.name, value: randomBytes(32).toString('base64url') }
  const write: JournalWrite = { zone, records: [record] }
  const journal = await openJournal(options.journalFolder, opened.provider.id)
  try {
    journal.add(write)
    try {
      await step(
        'write',
        () => account.add(zone, [record]),
        () => `a TXT record was written at ${record.name}`,
      )
      await step(
        'seen',
        () => waitFor(place, record.value, view, opened, options, context),
        seconds => seen(place, options, seconds),
      )
    } finally {
      await step(
        'remove',
        () => account.remove(zone, [record]),
        () => 'and removed again',
      )
      journal.remove(write)
    }
  } finally {
    await journal.close()
  }
}

function openAt(provider: DnsProvider, { sources, dnsBaseUrl }: DnsOptions, { now, delay, signal, tell }: SolverContext): OpenAccount {
  return openDnsAccount(provider, { sources, dnsBaseUrl, now, delay, signal, tell })
}

async function waitFor(
  place: Place,
  value: string,
  view: DnsView,
  { settings }: OpenAccount,
  options: DnsOptions,
  context: SolverContext,
): Promise<number> {
  const from = context.now()
  await untilSeen([{ place, values: [value] }], view, {
    mode: options.dnsPropagation,
    settleMs: 0,
    timeoutMs: settings.propagationTimeoutMs,
    intervalMs: settings.pollingIntervalMs,
    now: context.now,
    delay: context.delay,
    tell: context.tell,
  })
  return (context.now() - from) / 1000
}

function describePlace({ name, via, zone, servers, lost }: Place): string {
  const leads = via.length === 0 ? name : `${via.join(' → ')} → ${name} (CNAME)`
  if (servers.length === 0) return `${leads}; its name servers are not looked for`
  const without = lost.length === 0 ? '' : `; without an address: ${lost.join(', ')}`
  return `${leads} lies in ${zone}, served by ${servers.map(server => `${server.name} (${showServer(server)})`).join(', ')}${without}`
}

function seen({ servers }: Place, { dnsPropagation: mode }: DnsOptions, seconds: number): string {
  if (mode === 'none' || mode === 'sleep') return 'nobody was asked whether it can be seen'
  const by = mode === 'recursive' ? 'the resolvers' : `every name server that answers (of ${servers.length})`
  return `${by} showed it after ${seconds.toFixed(1)} s`
}
