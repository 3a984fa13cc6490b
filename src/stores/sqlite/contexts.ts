import type { Entry } from '../records.js'
import type { Connection } from './connection.js'

const columns = [
  'attempt',
  'final',
  'tenant',
  'grantId',
  'tokenId',
  'subject',
  'app',
  'keyId',
  'provider',
  'method',
  'endpoint',
  'model',
  'status',
  'outcome',
  'errorCode',
  'usageSource',
  'price',
] as const satisfies readonly (keyof Entry)[]

/** Some 600 bytes each. */
const maxHeld = 10_000
/** So long a row is used for new entries; then it is added anew, so that those of entries that are gone can be told by their age. */
export const mostAgeMs = 3_600_000
/** They are compared one by one, those that come often first. A token that is used in more ways than this begins anew. */
const mostOfToken = 256

interface Known {
  readonly id: number
  readonly of: Entry
}

/**
 * What many entries have in common, written once. It makes an entry less than half as large; what a commit costs is the pages it touches, each of which
 * is encrypted anew. Every process adds rows of its own, so that no index has to keep them unique.
 */
export interface Contexts {
  /** Adds the row if this process has not done so yet. To be called in the transaction that writes the entry. */
  idOf(entry: Entry): number
  /** To be called when that transaction failed. */
  forget(): void
}

export function createContexts(db: Connection, now: () => number): Contexts {
  const insert = db.prepare(`INSERT INTO contexts (createdAtMs, ${columns.join(', ')}) VALUES (?, ${columns.map(() => '?').join(', ')})`)
  const byToken = new Map<string, Known[]>()
  let size = 0
  let begunAtMs = 0

  function forget(): void {
    byToken.clear()
    size = 0
  }

  function add(e: Entry, known: Known[]): number {
    // biome-ignore format: as the columns
    const { lastInsertRowid } = insert.run(
      now(), e.attempt, Number(e.final), e.tenant, e.grantId, e.tokenId, e.subject, e.app, e.keyId, e.provider, e.method, e.endpoint, e.model, e.status, e.outcome, e.errorCode, e.usageSource, e.price,
    )
    const id = Number(lastInsertRowid)
    if (known.length >= mostOfToken) size -= known.splice(0).length
    known.push({ id, of: e })
    size++
    return id
  }

  return {
    idOf(e) {
      const at = now()
      // also where the clock was set back
      if (Math.abs(at - begunAtMs) > mostAgeMs) {
        forget()
        begunAtMs = at
      }
      let known = byToken.get(e.tokenId)
      if (known === undefined) {
        if (size >= maxHeld) forget()
        known = []
        byToken.set(e.tokenId, known)
      }
      for (let at = 0; at < known.length; at++) {
        const found = known[at] as Known
        if (!isSame(found.of, e)) continue
        if (at > 0) {
          known[at] = known[at - 1] as Known
          known[at - 1] = found
        }
        return found.id
      }
      return add(e, known)
    },
    forget,
  }
}

function isSame(a: Entry, b: Entry): boolean {
  return (
    a.model === b.model &&
    a.status === b.status &&
    a.endpoint === b.endpoint &&
    a.attempt === b.attempt &&
    a.final === b.final &&
    a.tenant === b.tenant &&
    a.grantId === b.grantId &&
    a.tokenId === b.tokenId &&
    a.subject === b.subject &&
    a.app === b.app &&
    a.keyId === b.keyId &&
    a.provider === b.provider &&
    a.method === b.method &&
    a.outcome === b.outcome &&
    a.errorCode === b.errorCode &&
    a.usageSource === b.usageSource &&
    a.price === b.price
  )
}
