import { type UsageDimension, type UsageFilter, type UsageQuery, type UsageRow, usageUnits } from '../records.js'
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
  const groups = [...by.map((_, index) => `d${index}`), 'unit']
  const sql = `SELECT ${[...groups, ...sums.map(name => `total(${name})`)].join(', ')} FROM (${parts.join(' UNION ALL ')})
    GROUP BY ${groups.join(', ')} ORDER BY ${groups.join(', ')}`
  const values = sources.flatMap(source => [...source.values, ...filters.map(([, value]) => value)])
  const found = db
    .prepare<unknown[], SummedRow>(sql)
    .raw()
    .all(...values)
  return mergeUnits(by.length, found)
    .sort((a, b) => byTimeOrSize(by, a, b))
    .map(row => usageRow(by, row))
}

/** What it is by, the unit, and the sums in their order. Arrays, and put in order here: hundreds of thousands of wide rows take SQLite and its binding several times as long. */
type SummedRow = (number | string)[]

/** Where each sum stands among them. */
const place = Object.fromEntries(sums.map((name, index) => [name, index])) as Readonly<Record<(typeof sums)[number], number>>

interface Summed {
  readonly of: SummedRow
  /** Position of the first sum. */
  readonly at: number
  readonly units: UsageRow['units']
}

/** Rows that differ by their unit alone, which lie side by side, are one. */
function mergeUnits(dimensions: number, rows: readonly SummedRow[]): Summed[] {
  const merged: Summed[] = []
  const at = dimensions + 1
  for (const row of rows) {
    const last = merged.at(-1)
    const units = unitsOf(row[dimensions] as string, row[at + place.units] as number)
    if (last === undefined || row.findIndex((value, index) => index >= dimensions || value !== last.of[index]) < dimensions) {
      merged.push({ of: row, at, units })
      continue
    }
    for (let index = at; index < row.length; index++) last.of[index] = (last.of[index] as number) + (row[index] as number)
    merged[merged.length - 1] = { ...last, units: { ...last.units, ...units } }
  }
  return merged
}

const noUnits: UsageRow['units'] = {}

function unitsOf(unit: string, sum: number): UsageRow['units'] {
  return (usageUnits as readonly string[]).includes(unit) ? { [unit]: sum } : noUnits
}

/** By time where that stands first; else, and then, the largest cost first, then the most calls, then by name. */
function byTimeOrSize(by: readonly UsageDimension[], a: Summed, b: Summed): number {
  const n = (row: Summed, index: number) => row.of[row.at + index] as number
  const time = by[0] === 'day' || by[0] === 'hour' ? (a.of[0] as number) - (b.of[0] as number) : 0
  const size = time || n(b, place.costMicroDollars) - n(a, place.costMicroDollars) || n(b, place.calls) - n(a, place.calls)
  if (size !== 0) return size
  for (let index = 0; index < by.length; index++) {
    const [first, second] = [a.of[index] as number | string, b.of[index] as number | string]
    if (first !== second) return first < second ? -1 : 1
  }
  return 0
}

/** As a number where it is a time: SQLite need not format each row. */
function expression(name: UsageDimension): string {
  return name === 'day' || name === 'hour' ? name : columns[name]
}

/** `hourly` has no day, `daily` is not asked for hours. */
function hourOrDay(dimension: string, from: string): string {
  return from.startsWith('hourly') ? dimension.replace(/^day AS/, `hour / ${hoursADay} AS`) : dimension
}

function usageRow(by: readonly UsageDimension[], { of, at, units }: Summed): UsageRow {
  const n = (name: (typeof sums)[number]) => of[at + place[name]] as number
  const values = by.map((name, index) => {
    const value = of[index]
    if (name === 'day') return new Date(Number(value) * hourMs * hoursADay).toISOString().slice(0, 10)
    return name === 'hour' ? new Date(Number(value) * hourMs).toISOString().slice(0, 13) : String(value)
  })
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
