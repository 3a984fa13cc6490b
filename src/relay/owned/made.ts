import { compilePointers, type Found, type Pointers, scanJson } from '../../lib/json-scan.js'
import type { Made, Way } from '../../providers/resources/resource.js'
import type { OwnedRecord } from '../../stores/records.js'
import type { Exchange } from '../exchange.js'

const dayMs = 86_400_000

interface Compiled {
  readonly pointers: Pointers
  readonly byPointer: ReadonlyMap<string, Made>
  /** One of these stands in an event that says of something new. */
  readonly needles: readonly Buffer[]
}

const compiled = new WeakMap<Way, Compiled>()

function compiledFor(way: Way): Compiled {
  let known = compiled.get(way)
  if (!known) {
    const places = (way.makes ?? []).filter(({ at }) => at.startsWith('/'))
    known = {
      pointers: compilePointers([...new Set(places.map(({ at }) => at))]),
      byPointer: new Map(places.map(made => [made.at, made])),
      needles: [...new Set(places.map(needleOf))].map(text => Buffer.from(text)),
    }
    compiled.set(way, known)
  }
  return known
}

/** The innermost object's name, or that of the id where it stands at the top. */
function needleOf({ at }: Made): string {
  const names = at.split('/').filter(name => name !== '' && name !== '*')
  return `"${names.at(-2) ?? names.at(-1)}":`
}

/** The line of something that was made by this call. */
export function ownedBy(exchange: Exchange, { kind, take, days }: Made, text: unknown, now: number): OwnedRecord | undefined {
  const { grant, key, call } = exchange
  if (typeof text !== 'string' || !grant || !key) return undefined
  const id = take ? take.exec(text)?.[1] : text
  if (id === undefined || id === '' || id.length > 1024) return undefined
  const endsAtMs = days === undefined ? null : now + days * dayMs
  return {
    tenant: grant.record.tenant,
    provider: call.provider,
    kind,
    id,
    keyId: key.id,
    grantId: grant.record.id,
    createdAtMs: now,
    endsAtMs,
    facts: null,
  }
}

function recordsOf(exchange: Exchange, { byPointer }: Compiled, found: readonly Found[], now: number): OwnedRecord[] {
  return found.flatMap(({ pointer, value }) => {
    const made = byPointer.get(pointer)
    return (made && ownedBy(exchange, made, value, now)) ?? []
  })
}

/** What a whole reply says was made. */
export function madeIn(exchange: Exchange, way: Way, headers: readonly string[], body: Buffer, now: number): OwnedRecord[] {
  const plan = compiledFor(way)
  const records: OwnedRecord[] = []
  for (const made of way.makes ?? []) {
    if (!made.at.startsWith('header ')) continue
    const at = headers.indexOf(made.at.slice('header '.length))
    const record = at < 0 ? undefined : ownedBy(exchange, made, headers[at + 1], now)
    if (record) records.push(record)
  }
  if (body.length === 0 || plan.byPointer.size === 0) return records
  const scan = scanJson(body, plan.pointers)
  return scan.ok ? [...records, ...recordsOf(exchange, plan, scan.found, now)] : records
}

/** Reads a stream's events along for what they say was made. */
export interface StreamLearner {
  event(data: Buffer): void
  /** What is new since it was asked last. */
  take(): OwnedRecord[] | undefined
}

export function createStreamLearner(exchange: Exchange, way: Way, now: () => number): StreamLearner {
  const plan = compiledFor(way)
  const known = new Set<string>()
  let fresh: OwnedRecord[] | undefined
  return {
    event(data) {
      if (!plan.needles.some(needle => data.includes(needle))) return
      const scan = scanJson(data, plan.pointers)
      if (!scan.ok) return
      for (const record of recordsOf(exchange, plan, scan.found, now())) {
        const name = `${record.kind} ${record.id}`
        if (known.has(name)) continue
        known.add(name)
        fresh ??= []
        fresh.push(record)
      }
    },
    take() {
      const taken = fresh
      fresh = undefined
      return taken
    },
  }
}
