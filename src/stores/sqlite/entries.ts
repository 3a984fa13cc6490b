import { type Entry, type UsageDimension, type UsageRow, type UsageUnit, usageUnits } from '../records.js'
import type { Store } from '../store.js'
import type { Connection } from './connection.js'
import { createContexts } from './contexts.js'
import type { Transactions } from './transactions.js'

/** What differs from call to call; the rest of an entry stands once in `contexts`, for all calls that share it. */
const columns = [
  'id',
  'startedAtMs',
  'inputTokens',
  'outputTokens',
  'cachedInputTokens',
  'cacheWriteInputTokens',
  'reasoningTokens',
  'audioInputTokens',
  'audioOutputTokens',
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

const dimensions: Readonly<Record<UsageDimension, string>> = {
  key: "ifnull(keyId, '')",
  grant: 'grantId',
  user: "ifnull(subject, '')",
  tenant: 'tenant',
  model: "ifnull(model, '')",
  provider: 'provider',
  day: "strftime('%Y-%m-%d', startedAtMs / 1000, 'unixepoch')",
}

/** As the driver gives it: truth is a number. */
type EntryRow = Omit<Entry, 'final'> & { readonly final: number; readonly seq?: number }
type EntryQueries = Pick<Store, 'appendEntries' | 'listEntries' | 'usageBy'>

export function entryQueries(db: Connection, { read, write }: Transactions, committed: () => void): EntryQueries {
  const insert = db.prepare(`INSERT INTO entries (context, ${columns.join(', ')}) VALUES (?, ${columns.map(() => '?').join(', ')})`)
  const list = db.prepare<[number, string | null, number], EntryRow>(
    'SELECT * FROM ledger WHERE startedAtMs >= ? AND id = ifnull(?, id) ORDER BY seq LIMIT ?',
  )
  const contexts = createContexts(db)

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

  return {
    appendEntries: entries => {
      if (entries.length === 0) return
      try {
        write(() => append(entries))
      } catch (error) {
        // contexts that were added in this transaction are gone with it
        contexts.forget()
        throw error
      }
      committed()
    },
    listEntries: ({ sinceMs = 0, id, limit }) =>
      read(() => list.all(sinceMs, id ?? null, limit ?? -1).map(({ seq, ...row }) => ({ ...row, final: row.final === 1 }))),
    usageBy: (dimension, sinceMs) =>
      read(() =>
        db
          .prepare<[number], SummedRow>(
            `SELECT ${dimensions[dimension]} AS value, sum(final) AS calls, sum(usageSource = 'estimated') AS estimated,
               sum(inputTokens) AS inputTokens, sum(outputTokens) AS outputTokens, sum(cachedInputTokens) AS cachedInputTokens,
               sum(reasoningTokens) AS reasoningTokens, sum(costMicroDollars) AS costMicroDollars,
               ${usageUnits.map(unit => `sum(units) FILTER (WHERE unit = '${unit}') AS ${unit}`).join(', ')}
             FROM ledger WHERE startedAtMs >= ? GROUP BY 1 ORDER BY ${dimension === 'day' ? '1' : '2 DESC, 1'}`,
          )
          .all(sinceMs)
          .map(usageRow),
      ),
  }
}

type SummedRow = Omit<UsageRow, 'units'> & Readonly<Record<UsageUnit, number | null>>

function usageRow(summed: SummedRow): UsageRow {
  const { value, calls, estimated, inputTokens, outputTokens, cachedInputTokens, reasoningTokens, costMicroDollars } = summed
  const units = Object.fromEntries(usageUnits.flatMap(unit => (summed[unit] === null ? [] : [[unit, summed[unit]]])))
  return { value, calls, estimated, inputTokens, outputTokens, cachedInputTokens, reasoningTokens, units, costMicroDollars }
}
