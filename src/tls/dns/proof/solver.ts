import { join } from 'node:path'
import { SoakpError } from '../../../errors.js'
import type { Challenge, Solver, SolverContext } from '../../acme/challenge.js'
import { type OpenAccount, openDnsAccount } from '../account.js'
import { type DnsOptions, openView } from '../options.js'
import type { DnsAccount, DnsProvider, TxtRecord, Zone } from '../provider.js'
import { type DnsView, locate, locateByResolvers, type Place } from '../query/authority.js'
import { type Expected, untilSeen } from '../query/propagation.js'
import { inZone } from '../records/values.js'
import { cleanLeftovers, type Journal, type JournalWrite, openJournal } from './journal.js'

/** A solver that lives as long as a run. */
export interface DnsSolver extends Solver {
  /** Lets go of the run's journal. Values that could not be removed stay in it, for the next start. */
  close(): Promise<void>
}

/** Where the answer to a challenge goes. */
interface Placed {
  readonly challenge: Challenge
  readonly place: Place
  readonly record: TxtRecord
}

/** Proves names by TXT records at `provider` (RFC 8555 section 8.4): CNAMEs followed, one write a zone, noted before it is written, seen before the CA is told. */
export function dnsSolver(provider: DnsProvider, options: DnsOptions): DnsSolver {
  let journal: Promise<Journal> | undefined
  const written: JournalWrite[] = []
  const openAccount = ({ now, delay, signal, tell }: SolverContext) =>
    openDnsAccount(provider, { sources: options.sources, dnsBaseUrl: options.dnsBaseUrl, now, delay, signal, tell })

  return {
    type: 'dns-01',

    async plan(challenges, context) {
      if (provider.capacity === 'set' || challenges.length < 2) return challenges.length === 0 ? [] : [challenges]
      const view = await openView(options, context.signal)
      const opened = openAccount(context)
      try {
        const zones = await Promise.all((await placeAll(challenges, view, options)).map(({ place }) => opened.account.zoneOf(place.name)))
        return grouped(challenges, zones, provider.capacity === 'two' ? 2 : 1)
      } finally {
        opened.close()
      }
    },

    async prepare(challenges, context) {
      const view = await openView(options, context.signal)
      const opened = openAccount(context)
      try {
        const placed = await placeAll(challenges, view, options)
        const writes = await writesOf(placed, opened, context.tell)
        journal ??= openJournal(options.journalFolder, provider.id)
        const notes = await journal
        for (const write of writes) {
          notes.add(write)
          written.push(write)
        }
        await all(writes.map(({ zone, records }) => opened.account.add(zone, records)))
        const { settings } = opened
        await untilSeen(expectedOf(placed), view, {
          mode: options.dnsPropagation,
          settleMs: options.dnsSettleMs,
          timeoutMs: settings.propagationTimeoutMs,
          intervalMs: settings.pollingIntervalMs,
          now: context.now,
          delay: context.delay,
          tell: context.tell,
        })
      } finally {
        opened.close()
      }
    },

    async cleanUp(challenges, context) {
      const values = new Set(challenges.map(({ txtValue }) => txtValue))
      const ours = written.filter(({ records }) => records.some(({ value }) => values.has(value)))
      if (ours.length === 0) return
      const opened = openAccount(context)
      try {
        const notes = await journal
        await all(
          ours.map(async write => {
            await opened.account.remove(write.zone, write.records)
            written.splice(written.indexOf(write), 1)
            notes?.remove(write)
          }),
        )
      } finally {
        opened.close()
      }
    },

    async close() {
      await journal?.then(
        open => open.close(),
        () => undefined,
      )
    },
  }
}

/** Removes what interrupted runs have left, with whatever provider and credentials there are. Live runs of other processes are left alone. */
export async function cleanDnsLeftovers(
  find: (provider: string) => DnsProvider,
  options: DnsOptions,
  context: SolverContext,
): Promise<{ removed: number; kept: number }> {
  const { now, delay, signal, tell } = context
  return cleanLeftovers(options.journalFolder, {
    tell,
    async remove(id, { zone, records }) {
      const opened = openDnsAccount(find(id), { sources: options.sources, dnsBaseUrl: options.dnsBaseUrl, now, delay, signal, tell })
      try {
        await opened.account.remove(zone, records)
      } finally {
        opened.close()
      }
    },
  })
}

/** Where journals lie in a folder of certificates. */
export const journalFolderIn = (certificates: string): string => join(certificates, 'dns-journal')

async function placeAll(challenges: readonly Challenge[], view: DnsView, { dnsPropagation }: DnsOptions): Promise<Placed[]> {
  const places = new Map<string, Promise<Place>>()
  return Promise.all(
    challenges.map(async challenge => {
      const { identifier, txtValue: value, token, keyAuthorization } = challenge
      const name = `_acme-challenge.${identifier}`
      const place = await getOrMake(places, name, () => placeOf(name, view, dnsPropagation))
      return { challenge, place, record: { name: place.name, value, challenge: { domain: identifier, token, keyAuthorization } } }
    }),
  )
}

/** Where name servers need not or cannot be asked whether a record is there, they need not be found either. */
export async function placeOf(name: string, view: DnsView, mode: DnsOptions['dnsPropagation']): Promise<Place> {
  try {
    return await locate(name, view)
  } catch (error) {
    if (!(error instanceof SoakpError && error.code === 'dns_not_published')) throw error
    if (mode === 'recursive') return locateByResolvers(name, view)
    if (mode === 'none' || mode === 'sleep') return { name, via: [], zone: '', servers: [], lost: [] }
    throw error
  }
}

/**
 * The zone of the account that holds a place: the one that the DNS knows, if the account has it. A deeper one, which nothing is delegated to, is one that somebody began and left, and what
 * is written there is never seen.
 */
export async function accountZone(account: Pick<DnsAccount, 'zoneOf'>, { name, zone: cut }: Place): Promise<Zone> {
  const zone = await account.zoneOf(name)
  if (cut === '' || zone.name === cut || zone.name === name || !inZone(zone.name, cut)) return zone
  const served = await account.zoneOf(cut).catch(() => undefined)
  return served?.name === cut ? served : zone
}

/** A zone of the account that ends where another one, served by others, begins: what is written there is never seen. */
export function warnOfCut({ name, zone: cut }: Place, { name: zone }: Zone, tell: (line: string) => void): void {
  if (zone === '' || cut === zone || !inZone(cut, zone)) return
  tell(`${name} lies in the zone ${cut}, but the account has ${zone} only: name servers of ${cut} will not show what is written there`)
}

function getOrMake<K, V>(map: Map<K, V>, key: K, make: () => V): V {
  const there = map.get(key)
  if (there !== undefined) return there
  const made = make()
  map.set(key, made)
  return made
}

/** One write for each zone of the account. */
async function writesOf(placed: readonly Placed[], { account }: OpenAccount, tell: (line: string) => void): Promise<JournalWrite[]> {
  const zones = new Map<string, Promise<Zone>>()
  const writes = new Map<string, { zone: Zone; records: TxtRecord[] }>()
  for (const { record, place } of placed) {
    const zone = await getOrMake(zones, record.name, () => accountZone(account, place))
    warnOfCut(place, zone, tell)
    const { records } = getOrMake(writes, zone.id, () => ({ zone, records: [] }))
    if (!records.some(({ name, value }) => name === record.name && value === record.value)) records.push(record)
  }
  return [...writes.values()]
}

function expectedOf(placed: readonly Placed[]): Expected[] {
  const byName = new Map<string, { place: Place; values: string[] }>()
  for (const { place, record } of placed) getOrMake(byName, place.name, () => ({ place, values: [] })).values.push(record.value)
  return [...byName.values()]
}

/** Groups in which no zone has more than `most` values at once. */
function grouped(challenges: readonly Challenge[], zones: readonly Zone[], most: number): Challenge[][] {
  const groups: { members: Challenge[]; taken: Map<string, number> }[] = []
  challenges.forEach((challenge, index) => {
    const id = zones[index]?.id ?? ''
    let group = groups.find(({ taken }) => (taken.get(id) ?? 0) < most)
    if (group === undefined) {
      group = { members: [], taken: new Map() }
      groups.push(group)
    }
    group.members.push(challenge)
    group.taken.set(id, (group.taken.get(id) ?? 0) + 1)
  })
  return groups.map(({ members }) => members)
}

/** Waits for all of them, also where one fails; then throws what the first one threw. */
async function all(works: readonly Promise<void>[]): Promise<void> {
  for (const outcome of await Promise.allSettled(works)) if (outcome.status === 'rejected') throw outcome.reason
}
