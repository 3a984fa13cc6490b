import { type ErrorCode, errors } from '../errors.js'
import type { Entry, Outcome } from '../stores/records.js'

/**
 * What happened since the process began, in numbers that only grow: for whoever watches. By provider and by error code, which are few; never by user, grant, key or model. Every
 * call passes here, so there is nothing but additions.
 */
export interface Tally {
  /** With each line of the ledger, once. */
  count(entry: Entry): void
  /** A request was answered with an error of ours, or a reply broken off with one. */
  refuse(code: string | null): void
  /** A connection was closed before it was a request. */
  refuseConnection(): void
  failStore(during: StoreOperation): void
  /** Only those that had a call. */
  readonly providers: ReadonlyMap<string, ProviderTally>
  readonly refusals: Readonly<Record<ErrorCode, number>>
  readonly refusedConnections: number
  readonly storeFailures: Readonly<Record<StoreOperation, number>>
}

/** `entries`: a commit of entries; `upkeep`: their sums; `probe`: the check of `/readyz`. */
export type StoreOperation = 'entries' | 'upkeep' | 'probe'

export interface ProviderTally {
  readonly calls: Readonly<Record<Outcome, number>>
  /** By the hundreds of the status that the client was answered: `replies[2]` are 200 to 299. */
  readonly replies: Readonly<Float64Array>
  readonly inputTokens: number
  readonly outputTokens: number
  readonly microDollars: number
  /** Lines that consumed something and have no price, as reports count them. */
  readonly unpriced: number
  readonly estimated: number
  readonly durations: Histogram
  /** Until the first byte of the reply; of calls that had one. */
  readonly firstBytes: Histogram
}

/** Upper bounds in milliseconds: from a refusal to a long answer. */
const bounds = [10, 50, 100, 250, 500, 1000, 2500, 5000, 10_000, 30_000, 60_000, 300_000] as const

export class Histogram {
  readonly boundsMs: readonly number[] = bounds
  /** How many up to each bound and above the one before it; the last: above all bounds. */
  readonly buckets = new Float64Array(bounds.length + 1)
  sumMs = 0

  add(ms: number): void {
    let at = 0
    while (at < bounds.length && ms > (bounds[at] as number)) at++
    this.buckets[at] = (this.buckets[at] as number) + 1
    this.sumMs += ms
  }
}

class Counts implements ProviderTally {
  readonly calls: Record<Outcome, number> = { ok: 0, refused: 0, failed: 0, client_gone: 0, cut: 0 }
  readonly replies = new Float64Array(6)
  inputTokens = 0
  outputTokens = 0
  microDollars = 0
  unpriced = 0
  estimated = 0
  readonly durations = new Histogram()
  readonly firstBytes = new Histogram()

  add(entry: Entry): void {
    this.inputTokens += entry.inputTokens
    this.outputTokens += entry.outputTokens
    if (entry.costMicroDollars !== null) this.microDollars += entry.costMicroDollars
    else if (entry.usageSource !== 'none') this.unpriced++
    if (entry.usageSource === 'estimated') this.estimated++
    if (!entry.final) return
    this.calls[entry.outcome]++
    // what a provider answers beyond 599 is an error too
    const hundreds = Math.min(5, Math.floor(entry.status / 100))
    this.replies[hundreds] = (this.replies[hundreds] as number) + 1
    this.durations.add(entry.durationMs)
    if (entry.firstByteMs !== null) this.firstBytes.add(entry.firstByteMs)
  }
}

function isCode(code: string | null): code is ErrorCode {
  return code !== null && Object.hasOwn(errors, code)
}

/** Clients choose the first segment of a path: what is no provider is counted together. */
const otherProvider = 'other'

/** Services of the operator's own, by the names of their keys. */
const mostOwn = 200

/** `known`: providers that are counted by name. So are those for which a call had a key. */
export function createTally(known: Iterable<string>): Tally {
  const names = new Set(known)
  const providers = new Map<string, Counts>()
  const others = new Counts()
  const refusals = Object.fromEntries(Object.keys(errors).map(code => [code, 0])) as Record<ErrorCode, number>
  const storeFailures: Record<StoreOperation, number> = { entries: 0, upkeep: 0, probe: 0 }
  let refusedConnections = 0
  let own = 0

  function begin({ provider, keyId }: Entry): Counts {
    if (!names.has(provider)) {
      if (keyId === null || own >= mostOwn) {
        providers.set(otherProvider, others)
        return others
      }
      own++
    }
    const counts = new Counts()
    providers.set(provider, counts)
    return counts
  }

  return {
    count: entry => (providers.get(entry.provider) ?? begin(entry)).add(entry),
    refuse(code) {
      if (isCode(code)) refusals[code]++
    },
    refuseConnection() {
      refusedConnections++
    },
    failStore(during) {
      storeFailures[during]++
    },
    providers,
    refusals,
    get refusedConnections() {
      return refusedConnections
    },
    storeFailures,
  }
}
