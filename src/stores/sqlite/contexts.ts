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

export function createContexts(db: Connection): Contexts {
  const insert = db.prepare(`INSERT INTO contexts (${columns.join(', ')}) VALUES (${columns.map(() => '?').join(', ')})`)
  const held = new Map<string, { readonly id: number; readonly of: Entry }>()

  return {
    idOf(e) {
      const name = `${e.tokenId} ${e.keyId} ${e.status} ${e.endpoint} ${e.model}`
      const found = held.get(name)
      // the name is made from texts that clients choose, and does not hold every field
      if (found !== undefined && isSame(found.of, e)) return found.id
      // biome-ignore format: as the columns
      const { lastInsertRowid } = insert.run(
        e.attempt, Number(e.final), e.tenant, e.grantId, e.tokenId, e.subject, e.app, e.keyId, e.provider, e.method, e.endpoint, e.model, e.status, e.outcome, e.errorCode, e.usageSource, e.price,
      )
      const id = Number(lastInsertRowid)
      if (held.size >= maxHeld) held.clear()
      held.set(name, { id, of: e })
      return id
    },
    forget: () => held.clear(),
  }
}

function isSame(a: Entry, b: Entry): boolean {
  return (
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
    a.endpoint === b.endpoint &&
    a.model === b.model &&
    a.status === b.status &&
    a.outcome === b.outcome &&
    a.errorCode === b.errorCode &&
    a.usageSource === b.usageSource &&
    a.price === b.price
  )
}
