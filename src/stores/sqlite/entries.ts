import { modelTokenKinds } from '../../lib/model-tokens.js'
import type { Entry } from '../records.js'
import type { Store } from '../store.js'
import type { Connection } from './connection.js'
import { createContexts } from './contexts.js'
import { hourMs } from './rollups.js'
import type { SliceQueries } from './slices.js'
import type { Transactions } from './transactions.js'

/** What differs from call to call; the rest of an entry stands once in `contexts`, for all calls that share it. */
const columns = [
  'id',
  'startedAtMs',
  ...modelTokenKinds,
  'units',
  'unit',
  'costMicroDollars',
  'bytesIn',
  'bytesOut',
  'durationMs',
  'firstByteMs',
  'address',
  'upstreamRequestId',
] as const satisfies readonly (keyof Entry)[]

/** As the driver gives it: truth is a number. */
type EntryRow = Omit<Entry, 'final'> & { readonly final: number; readonly seq: number }
type EntryQueries = Pick<Store, 'appendEntries' | 'listEntries' | 'pageEntries'>

export interface EntryParts {
  readonly queries: EntryQueries
  /** Inside a transaction. */
  append(entries: readonly Entry[]): void
  /** The transaction was undone: contexts that were added in it are gone with it. */
  undo(): void
}

export function entryQueries(
  db: Connection,
  { read, write }: Transactions,
  { slices, committed, now }: { readonly slices: Pick<SliceQueries, 'put'>; readonly committed: () => void; readonly now: () => number },
): EntryParts {
  const insert = db.prepare(`INSERT INTO entries (context, ${columns.join(', ')}) VALUES (?, ${columns.map(() => '?').join(', ')})`)
  const list = db.prepare<[number, string | null, number], EntryRow>(
    'SELECT * FROM ledger WHERE startedAtMs >= ? AND id = ifnull(?, id) ORDER BY seq LIMIT ?',
  )
  const page = db.prepare<[number, number, number, number], EntryRow>(
    'SELECT * FROM ledger WHERE seq > ? AND startedAtMs >= ? AND startedAtMs < ? ORDER BY seq LIMIT ?',
  )
  // entries of earlier hours that were written later are among those of later ones
  const firstOf = db
    .prepare<[number], number | null>(
      'SELECT min(ifnull((SELECT min(firstSeq) FROM hourly WHERE hour >= ?), seq + 1), seq + 1) FROM rolled',
    )
    .pluck()
  const contexts = createContexts(db, now)

  function append(entries: readonly Entry[]): void {
    for (const e of entries) {
      // biome-ignore format: one line per kind of column
      insert.run(
        contexts.idOf(e), e.id, e.startedAtMs,
        e.inputTokens, e.outputTokens, e.cachedInputTokens, e.cacheWriteInputTokens, e.reasoningTokens, e.audioInputTokens, e.audioOutputTokens,
        e.units, e.unit, e.costMicroDollars,
        e.bytesIn, e.bytesOut, e.durationMs, e.firstByteMs, e.address, e.upstreamRequestId,
      )
    }
  }

  const queries: EntryQueries = {
    appendEntries: (entries, changed) => {
      if (entries.length === 0 && !changed) return
      try {
        write(() => {
          append(entries)
          if (changed) slices.put(changed.instance, changed.states)
        })
      } catch (error) {
        contexts.forget()
        throw error
      }
      committed()
    },
    listEntries: ({ sinceMs = 0, id, limit }) => read(() => list.all(sinceMs, id ?? null, limit ?? -1).map(entry)),
    pageEntries: ({ sinceMs = 0, untilMs = Number.MAX_SAFE_INTEGER, after, limit }) =>
      read(() => {
        const from = after ?? (firstOf.get(Math.floor(sinceMs / hourMs)) ?? 1) - 1
        const rows = page.all(from, sinceMs, untilMs, limit)
        return { entries: rows.map(entry), next: rows.length < limit ? undefined : rows.at(-1)?.seq }
      }),
  }
  return { queries, append, undo: () => contexts.forget() }
}

function entry({ seq, final, ...row }: EntryRow): Entry {
  return { ...row, final: final === 1 }
}
