import { type UsageDimension, type UsageFilter, type UsageQuery, type UsageRow, type UsageUnit, usageUnits } from '../records.js'
import type { Store } from '../store.js'
import type { Connection } from './connection.js'
import { hourMs, hoursADay, marks, sums } from './rollups.js'
import type { Transactions } from './transactions.js'

const columns: Readonly<Record<UsageFilter, string>> = {
  tenant: 'tenant',
  app: 'app',
  grant: 'grantId',
  user: 'subject',
  key: 'keyId',
  provider: 'provider',
  model: 'model',
}

/** A part of the sums: a table or the entries themselves, with what of it counts. Every source gives the columns of `dims`, `hour`, `day`, `unit` and the sums. */
interface Source {
  readonly from: string
  readonly where: string
  readonly values: readonly number[]
}

const rollup = (table: string) => `${table} CROSS JOIN dims USING (dim)`
const text = (name: string) => `ifnull(${name}, '')`

const fromEntries = `(SELECT seq, startedAtMs, startedAtMs / ${hourMs} AS hour, startedAtMs / ${hourMs * hoursADay} AS day, ${text('unit')} AS unit,
  tenant, ${text('app')} AS app, grantId, ${text('subject')} AS subject, ${text('keyId')} AS keyId, provider, ${text('model')} AS model,
  final AS calls, final AND outcome = 'refused' AS refused, final AND outcome IN ('failed', 'cut') AS failed, usageSource = 'estimated' AS estimated,
  costMicroDollars IS NULL AND usageSource <> 'none' AS unpriced, costMicroDollars IS NOT NULL AS priced,
  ${marks.map(([name, isSo]) => `${isSo} AS ${name}`).join(', ')},
  inputTokens, outputTokens, cachedInputTokens, cacheWriteInputTokens, reasoningTokens, audioInputTokens, audioOutputTokens, units,
  ifnull(costMicroDollars, 0) AS costMicroDollars FROM ledger)`

/** An hour of which only a part is asked for. */
interface Edge {
  readonly hour: number
  readonly firstSeq: number
  readonly lastSeq: number
}

/** Reports: whole days and hours from the roll-ups, what is left at either end from entries, and entries that are in no roll-up yet. */
export function usageQueries(db: Connection, { read }: Transactions): Pick<Store, 'usage'> {
  const begin = db.prepare('BEGIN')
  const end = db.prepare('COMMIT')
  const rolled = db.prepare<[], number>('SELECT seq FROM rolled').pluck()
  const oldest = db.prepare<[], number | null>('SELECT min(seq) FROM entries').pluck()
  const edge = db.prepare<[number], { firstSeq: number | null; lastSeq: number | null }>(
    'SELECT min(firstSeq) AS firstSeq, max(lastSeq) AS lastSeq FROM hourly WHERE hour = ?',
  )

  /** Undefined: its entries are not all there any more, so that only the whole hour is known. */
  function edgeOf(hour: number, kept: number): Edge | undefined {
    const { firstSeq = null, lastSeq = null } = edge.get(hour) ?? {}
    if (firstSeq === null || lastSeq === null) return { hour, firstSeq: 0, lastSeq: -1 }
    return firstSeq >= kept ? { hour, firstSeq, lastSeq } : undefined
  }

  function sources({ by, sinceMs, untilMs = Number.MAX_SAFE_INTEGER }: UsageQuery): Source[] {
    const upTo = rolled.get() as number
    const kept = oldest.get() ?? Number.MAX_SAFE_INTEGER
    let from = Math.ceil(sinceMs / hourMs)
    let to = Math.floor(untilMs / hourMs)
    const edges: Edge[] = []
    const cut = new Set<number>()
    if (sinceMs % hourMs !== 0) cut.add(from - 1)
    if (untilMs % hourMs !== 0 && untilMs !== Number.MAX_SAFE_INTEGER) cut.add(to)
    for (const hour of cut) {
      const found = edgeOf(hour, kept)
      if (found) edges.push(found)
      else {
        from = Math.min(from, hour)
        to = Math.max(to, hour + 1)
      }
    }
    const tail = { from: fromEntries, where: 'seq > ? AND startedAtMs >= ? AND startedAtMs < ?', values: [upTo, sinceMs, untilMs] }
    const atEdges = edges.map(({ firstSeq, lastSeq, hour }) => ({
      from: fromEntries,
      where: 'seq >= ? AND seq <= ? AND startedAtMs >= ? AND startedAtMs < ?',
      values: [firstSeq, Math.min(lastSeq, upTo), Math.max(sinceMs, hour * hourMs), Math.min(untilMs, (hour + 1) * hourMs)],
    }))
    return [tail, ...atEdges, ...whole(from, to, by.includes('hour'))]
  }

  return {
    usage: query =>
      read(() => {
        // the parts have to fit together: all from the same moment
        begin.run()
        try {
          return run(db, query, sources(query))
        } finally {
          end.run()
        }
      }),
  }
}

function whole(from: number, to: number, byHour: boolean): Source[] {
  const hours = (a: number, b: number) => (a < b ? [{ from: rollup('hourly'), where: 'hour >= ? AND hour < ?', values: [a, b] }] : [])
  const firstDay = Math.ceil(from / hoursADay)
  const lastDay = Math.floor(to / hoursADay)
  if (byHour || firstDay >= lastDay) return hours(from, to)
  const days = { from: rollup('daily'), where: 'day >= ? AND day < ?', values: [firstDay, lastDay] }
  return [...hours(from, firstDay * hoursADay), days, ...hours(lastDay * hoursADay, to)]
}

function run(db: Connection, { by, where = {} }: UsageQuery, sources: readonly Source[]): UsageRow[] {
  const filters = Object.entries(where).filter((pair): pair is [UsageFilter, string] => pair[1] !== undefined)
  const picked = filters.map(([name]) => ` AND ${columns[name]} = ?`).join('')
  const dimensions = by.map((name, index) => `${expression(name)} AS d${index}`)
  const parts = sources.map(
    ({ from, where }) =>
      `SELECT ${[...dimensions.map(d => hourOrDay(d, from)), 'unit', ...sums].join(', ')} FROM ${from} WHERE ${where}${picked}`,
  )
  const groups = by.map((_, index) => `d${index}`)
  const sql = `SELECT ${[...groups, ...sums.map(name => `total(${name}) AS ${name}`)].join(', ')},
      ${usageUnits.map(unit => `total(units) FILTER (WHERE unit = '${unit}') AS "${unit}", count(*) FILTER (WHERE unit = '${unit}') AS "${unit}?"`).join(', ')}
    FROM (${parts.join(' UNION ALL ')})
    ${groups.length === 0 ? '' : `GROUP BY ${groups.join(', ')}`} HAVING count(*) > 0
    ORDER BY ${by[0] === 'day' || by[0] === 'hour' ? 'd0, ' : ''}total(costMicroDollars) DESC, total(calls) DESC${groups.map(name => `, ${name}`).join('')}`
  const values = sources.flatMap(source => [...source.values, ...filters.map(([, value]) => value)])
  return db
    .prepare<unknown[], SummedRow>(sql)
    .all(...values)
    .map(row => usageRow(by, row))
}

/** As a number where it is a time: SQLite need not format each row. */
function expression(name: UsageDimension): string {
  return name === 'day' || name === 'hour' ? name : columns[name]
}

/** `hourly` has no day, `daily` is not asked for hours. */
function hourOrDay(dimension: string, from: string): string {
  return from.startsWith('hourly') ? dimension.replace(/^day AS/, `hour / ${hoursADay} AS`) : dimension
}

type SummedRow = Readonly<Record<string, number | string | null>>

function usageRow(by: readonly UsageDimension[], row: SummedRow): UsageRow {
  const n = (name: string) => Number(row[name] ?? 0)
  const values = by.map((name, index) => {
    const value = row[`d${index}`]
    if (name === 'day') return new Date(Number(value) * hourMs * hoursADay).toISOString().slice(0, 10)
    return name === 'hour' ? new Date(Number(value) * hourMs).toISOString().slice(0, 13) : String(value)
  })
  const units = Object.fromEntries(usageUnits.flatMap((unit: UsageUnit) => (row[`${unit}?`] === 0 ? [] : [[unit, n(unit)]])))
  return {
    values,
    calls: n('calls'),
    refused: n('refused'),
    failed: n('failed'),
    estimated: n('estimated'),
    unpriced: n('unpriced'),
    overQuota: n('overQuota'),
    overBudget: n('overBudget'),
    overrun: n('overrun'),
    inputTokens: n('inputTokens'),
    outputTokens: n('outputTokens'),
    cachedInputTokens: n('cachedInputTokens'),
    cacheWriteInputTokens: n('cacheWriteInputTokens'),
    reasoningTokens: n('reasoningTokens'),
    audioInputTokens: n('audioInputTokens'),
    audioOutputTokens: n('audioOutputTokens'),
    units,
    costMicroDollars: n('priced') === 0 ? null : n('costMicroDollars'),
  }
}
