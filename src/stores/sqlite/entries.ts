import type { Entry, UsageDimension, UsageRow } from '../records.js'
import type { Store } from '../store.js'
import type { Connection } from './connection.js'
import type { Transactions } from './transactions.js'

const columns = [
  'id',
  'attempt',
  'startedAtMs',
  'tenant',
  'grantId',
  'tokenId',
  'subject',
  'keyId',
  'provider',
  'method',
  'endpoint',
  'model',
  'status',
  'outcome',
  'errorCode',
  'usageSource',
  'inputTokens',
  'outputTokens',
  'cachedInputTokens',
  'cacheWriteInputTokens',
  'reasoningTokens',
  'audioInputTokens',
  'audioOutputTokens',
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

export function entryQueries(db: Connection, { read, write }: Transactions): Pick<Store, 'appendEntries' | 'listEntries' | 'usageBy'> {
  const insert = db.prepare(`INSERT INTO entries (${columns.join(', ')}) VALUES (${columns.map(() => '?').join(', ')})`)
  const list = db.prepare<[number, string | null, number], Entry>(
    `SELECT ${columns.join(', ')} FROM entries WHERE startedAtMs >= ? AND id = ifnull(?, id) ORDER BY seq LIMIT ?`,
  )

  return {
    appendEntries: entries =>
      write(() => {
        for (const e of entries) {
          // biome-ignore format: one line per kind of column
          insert.run(
            e.id, e.attempt, e.startedAtMs, e.tenant, e.grantId, e.tokenId, e.subject, e.keyId, e.provider, e.method, e.endpoint, e.model,
            e.status, e.outcome, e.errorCode, e.usageSource,
            e.inputTokens, e.outputTokens, e.cachedInputTokens, e.cacheWriteInputTokens, e.reasoningTokens, e.audioInputTokens, e.audioOutputTokens, e.costMicroDollars,
            e.bytesIn, e.bytesOut, e.durationMs, e.firstByteMs, e.address, e.upstreamRequestId,
          )
        }
      }),
    listEntries: ({ sinceMs = 0, id, limit }) => read(() => list.all(sinceMs, id ?? null, limit ?? -1)),
    usageBy: (dimension, sinceMs) =>
      read(() =>
        db
          .prepare<[number], UsageRow>(
            `SELECT ${dimensions[dimension]} AS value, count(*) AS calls, sum(usageSource = 'estimated') AS estimated,
               sum(inputTokens) AS inputTokens, sum(outputTokens) AS outputTokens, sum(cachedInputTokens) AS cachedInputTokens,
               sum(reasoningTokens) AS reasoningTokens, sum(costMicroDollars) AS costMicroDollars
             FROM entries WHERE startedAtMs >= ? GROUP BY 1 ORDER BY ${dimension === 'day' ? '1' : '2 DESC, 1'}`,
          )
          .all(sinceMs),
      ),
  }
}
