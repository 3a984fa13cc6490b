import { SoakpError } from '../errors.js'
import { parseCsv } from '../lib/csv.js'
import type { UsageRow } from '../stores/records.js'

/** What one side says of a day and a model. Undefined: it says nothing of that. */
export interface Side {
  readonly calls?: number
  readonly inputTokens?: number
  readonly outputTokens?: number
  readonly microDollars?: number
}

/** A provider's export, by day and model. */
export interface Bill {
  /** `cost`: what was billed; `activity`: what was counted. */
  readonly kind: 'cost' | 'activity'
  /** `YYYY-MM-DD`, UTC; both inclusive. */
  readonly firstDay: string
  readonly lastDay: string
  readonly sides: ReadonlyMap<string, Side>
}

export interface Reconciled {
  readonly day: string
  /** Without the date of a snapshot; where the provider names no model, its words. */
  readonly model: string
  readonly ours: Side | undefined
  readonly theirs: Side | undefined
}

const maxRows = 1_000_000

/**
 * OpenAI's exports from the usage page (help.openai.com/en/articles/8554956). The columns of the cost export: start_time, end_time, start_time_iso, end_time_iso, amount_value,
 * amount_currency, line_item, project_id, organization_id and names; of the activity export: start_time…, project_id, num_model_requests, user_id, api_key_id, model, batch,
 * service_tier, input_tokens, output_tokens, input_cached_tokens and more. Seen in exports that others published in 2025 and 2026; only those named here are read, in
 * any order. Days are UTC.
 */
export function readOpenaiBill(text: string): Bill {
  const [head, ...rows] = parseCsv(text)
  if (rows.length > maxRows) throw new SoakpError('usage', `The file has more than ${maxRows} rows.`)
  const names = head?.map(name => name.trim().toLowerCase()) ?? []
  const kind = names.includes('amount_value') ? 'cost' : names.includes('num_model_requests') ? 'activity' : undefined
  if (kind === undefined || !(names.includes('start_time') || names.includes('start_time_iso')))
    throw new SoakpError('usage', 'This is no export of cost or activity that is known.', {
      hint: "export it on OpenAI's usage page as CSV: cost data by line item, or activity data by model, a day each; leave its first line as it is",
    })
  const sides = new Map<string, Side>()
  const days: string[] = []
  for (const [index, values] of rows.entries()) {
    const row = Object.fromEntries(names.map((name, column) => [name, values[column] ?? '']))
    const day = dayOf(row, index)
    days.push(day)
    const found = kind === 'cost' ? costRow(row, index) : activityRow(row, index)
    if (!found) continue
    const name = keyOf(day, found.model)
    sides.set(name, sum(sides.get(name), found.side))
  }
  days.sort()
  if (days[0] === undefined) throw new SoakpError('usage', 'The file has no rows.')
  return { kind, firstDay: days[0], lastDay: days.at(-1) ?? days[0], sides }
}

type Row = Readonly<Record<string, string>>

function dayOf(row: Row, index: number): string {
  const seconds = Number(row.start_time)
  const atMs = row.start_time && Number.isFinite(seconds) ? seconds * 1000 : Date.parse(row.start_time_iso ?? '')
  if (!Number.isFinite(atMs) || Math.abs(atMs) > 8.64e15) throw badRow(index, 'start_time')
  return new Date(atMs).toISOString().slice(0, 10)
}

/** Days without any cost come with empty fields. */
function costRow(row: Row, index: number): { readonly model: string; readonly side: Side } | undefined {
  if (!row.amount_value) return undefined
  const dollars = Number(row.amount_value)
  if (!Number.isFinite(dollars)) throw badRow(index, 'amount_value')
  if (row.amount_currency && row.amount_currency.toLowerCase() !== 'usd')
    throw new SoakpError('usage', `Row ${index + 2} is in ${row.amount_currency.slice(0, 10)}, not in dollars.`)
  // `gpt-4o-2024-08-06, input`
  const [model = ''] = (row.line_item ?? '').split(',', 1)
  return { model: model.trim() || '(no line item)', side: { microDollars: Math.round(dollars * 1e6) } }
}

function activityRow(row: Row, index: number): { readonly model: string; readonly side: Side } | undefined {
  if (!row.num_model_requests) return undefined
  const read = (name: string): number => {
    const value = Number(row[name] || 0)
    if (!Number.isFinite(value)) throw badRow(index, name)
    return value
  }
  const side = { calls: read('num_model_requests'), inputTokens: read('input_tokens'), outputTokens: read('output_tokens') }
  return { model: row.model?.trim() || '(no model)', side }
}

function badRow(index: number, column: string): SoakpError {
  return new SoakpError('usage', `Row ${index + 2} has no ${column} that can be read.`)
}

function sum(a: Side | undefined, b: Side): Side {
  const added = (name: keyof Side) =>
    a?.[name] === undefined && b[name] === undefined ? {} : { [name]: (a?.[name] ?? 0) + (b[name] ?? 0) }
  return { ...added('calls'), ...added('inputTokens'), ...added('outputTokens'), ...added('microDollars') }
}

/** The snapshot that answered is not always the name that was asked for. */
function bare(model: string): string {
  return model.toLowerCase().replace(/-20\d\d-\d\d-\d\d$/, '')
}

function keyOf(day: string, model: string): string {
  return `${day} ${bare(model)}`
}

/** `usage`: by day and model, of that provider and the bill's days. Rows that only one side has are there too; by day, then model. */
export function reconcile(bill: Bill, usage: readonly UsageRow[]): Reconciled[] {
  const ours = new Map<string, Side>()
  for (const { values, calls, inputTokens, outputTokens, costMicroDollars } of usage) {
    const [day = '', model = ''] = values
    if (calls === 0 && inputTokens === 0 && outputTokens === 0) continue
    const name = keyOf(day, model || '(no model)')
    ours.set(
      name,
      sum(ours.get(name), { calls, inputTokens, outputTokens, ...(costMicroDollars === null ? {} : { microDollars: costMicroDollars }) }),
    )
  }
  return [...new Set([...bill.sides.keys(), ...ours.keys()])].sort().map(name => ({
    day: name.slice(0, 10),
    model: name.slice(11),
    ours: ours.get(name),
    theirs: bill.sides.get(name),
  }))
}
