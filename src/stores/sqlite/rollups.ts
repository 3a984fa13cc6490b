import { modelTokenKinds } from '../../lib/model-tokens.js'
import type { Store } from '../store.js'
import type { Connection } from './connection.js'
import { mostAgeMs } from './contexts.js'
import type { Transactions } from './transactions.js'

export const hourMs = 3_600_000
export const hoursADay = 24

/** What is summed up, as columns of `hourly` and `daily`. */
export const sums = [
  'calls',
  'refused',
  'failed',
  'estimated',
  'unpriced',
  'priced',
  'overQuota',
  'overBudget',
  'overrun',
  ...modelTokenKinds,
  'units',
  'costMicroDollars',
] as const
type Sum = (typeof sums)[number]

/** Adds up without end: a sum that passes what a whole number of the driver's can be stays there, where SQLite's `sum` would fail, and with it everybody's report. */
const mostSum = Number.MAX_SAFE_INTEGER
const summed = (name: string) => `CAST(min(total(${name}), ${mostSum}) AS INTEGER)`

/** Of an entry, what marks it, where it was neither refused nor cut: see `UsageRow`. */
export const marks = [
  ['overQuota', 'quota_exhausted'],
  ['overBudget', 'budget_exhausted', 'cost_unbounded'],
  ['overrun', 'budget_overrun'],
].map(
  ([name, ...codes]) =>
    [
      name,
      `(final AND outcome NOT IN ('refused', 'cut') AND ifnull(errorCode, '') IN (${codes.map(code => `'${code}'`).join(', ')}))`,
    ] as const,
)

const counted = sums.slice(sums.indexOf('inputTokens'), sums.indexOf('costMicroDollars'))

/** What entries of one context, hour and unit add up to. */
type Group = Readonly<Record<Sum, number>> & {
  readonly context: number
  readonly hour: number
  readonly unit: string
  readonly firstSeq: number
  readonly lastSeq: number
}

/** Some 100 bytes each. */
const maxHeld = 10_000

/** Adds entries to the sums of their hour and day: once each, by the number of the last one that is in them, which stands in the same commit. */
export function rollupQueries(db: Connection, { write }: Transactions, committed: () => void): Pick<Store, 'rollUp' | 'pruneEntries'> {
  const rolled = db.prepare<[], number>('SELECT seq FROM rolled').pluck()
  const setRolled = db.prepare('UPDATE rolled SET seq = ?')
  const last = db.prepare<[number, number], { seq: number | null; entries: number }>(
    'SELECT max(seq) AS seq, count(*) AS entries FROM (SELECT seq FROM entries WHERE seq > ? ORDER BY seq LIMIT ?)',
  )
  const group = db.prepare<[number, number], Group>(
    `SELECT context, hour, unit, firstSeq, lastSeq, priced, ${counted.join(', ')}, costMicroDollars,
       entries * final AS calls, entries * (final AND outcome = 'refused') AS refused, entries * (final AND outcome IN ('failed', 'cut')) AS failed,
       entries * (usageSource = 'estimated') AS estimated, (entries - priced) * (usageSource <> 'none') AS unpriced,
       ${marks.map(([name, isSo]) => `entries * ${isSo} AS ${name}`).join(', ')}
     FROM (
       SELECT context, startedAtMs / ${hourMs} AS hour, ifnull(unit, '') AS unit, count(*) AS entries, min(seq) AS firstSeq, max(seq) AS lastSeq,
         count(costMicroDollars) AS priced, ${[...counted, 'costMicroDollars'].map(name => `${summed(name)} AS ${name}`).join(', ')}
       FROM entries WHERE seq > ? AND seq <= ? GROUP BY 1, 2, 3
     ) CROSS JOIN contexts USING (context)`,
  )
  const dimNames = 'tenant, app, grantId, subject, keyId, provider, model'
  const dimValues =
    "tenant, ifnull(app, '') AS app, grantId, ifnull(subject, '') AS subject, ifnull(keyId, '') AS keyId, provider, ifnull(model, '') AS model"
  const addDim = db.prepare(`INSERT OR IGNORE INTO dims (${dimNames}) SELECT ${dimValues} FROM contexts WHERE context = ?`)
  const findDim = db
    .prepare<[number], number>(`SELECT dim FROM dims JOIN (SELECT ${dimValues} FROM contexts WHERE context = ?) USING (${dimNames})`)
    .pluck()
  const add = (table: 'hourly' | 'daily', time: string, extra: string, onExtra: string) =>
    db.prepare(
      `INSERT INTO ${table} (${time}, dim, unit, ${sums.join(', ')}${extra && `, ${extra}`})
       VALUES (?, ?, ?, ${[...sums, ...(extra ? extra.split(', ') : [])].map(() => '?').join(', ')})
       ON CONFLICT (${time}, dim, unit) DO UPDATE SET ${sums.map(name => `${name} = min(${name} + excluded.${name}, ${mostSum})`).join(', ')}${onExtra}`,
    )
  const addHour = add(
    'hourly',
    'hour',
    'firstSeq, lastSeq',
    ', firstSeq = min(firstSeq, excluded.firstSeq), lastSeq = max(lastSeq, excluded.lastSeq)',
  )
  const addDay = add('daily', 'day', '', '')
  // the last entry stays: the numbers of new ones go on from it
  const prune = db.prepare(
    `DELETE FROM entries WHERE startedAtMs < ? AND seq IN (
       SELECT seq FROM entries WHERE seq <= (SELECT seq FROM rolled) AND seq < (SELECT max(seq) FROM entries) ORDER BY seq LIMIT ?)`,
  )
  // what is left of earlier days: the last entry, or what is in no sum yet
  const oldOnes = db
    .prepare<[number], number>('SELECT count(*) FROM (SELECT startedAtMs FROM entries ORDER BY seq LIMIT 2) WHERE startedAtMs < ?')
    .pluck()
  // the newest stays, so that no number is given twice
  const pruneContexts = db.prepare(
    `DELETE FROM contexts WHERE context IN (SELECT context FROM contexts WHERE createdAtMs IS NOT NULL ORDER BY context LIMIT ?)
       AND createdAtMs < ? AND context < (SELECT max(context) FROM contexts) AND context NOT IN (SELECT context FROM entries ORDER BY seq LIMIT 1)`,
  )
  const dims = new Map<number, number>()

  function dimOf(context: number): number {
    const held = dims.get(context)
    if (held !== undefined) return held
    addDim.run(context)
    const dim = findDim.get(context) as number
    if (dims.size >= maxHeld) dims.clear()
    dims.set(context, dim)
    return dim
  }

  function rollUp(limit: number): number {
    const from = rolled.get() as number
    const { seq, entries } = last.get(from, limit) ?? { seq: null, entries: 0 }
    if (seq === null) return 0
    for (const found of group.all(from, seq)) {
      const dim = dimOf(found.context)
      const values = sums.map(name => found[name])
      addHour.run(found.hour, dim, found.unit, ...values, found.firstSeq, found.lastSeq)
      addDay.run(Math.floor(found.hour / hoursADay), dim, found.unit, ...values)
    }
    setRolled.run(seq)
    return entries
  }

  return {
    rollUp: limit => {
      try {
        const entries = write(() => rollUp(limit))
        if (entries > 0) committed()
        return entries
      } catch (error) {
        // dimensions that were added in this transaction are gone with it
        dims.clear()
        throw error
      }
    },
    pruneEntries: (beforeMs, limit) => {
      const gone = write(() => {
        const { changes } = prune.run(beforeMs, limit)
        // an entry names a row that was made at most so long before it was written, and it was written after it began
        if (changes < limit && (oldOnes.get(beforeMs) as number) < 2) pruneContexts.run(limit, beforeMs - 2 * mostAgeMs)
        return changes
      })
      if (gone > 0) committed()
      return gone
    },
  }
}
