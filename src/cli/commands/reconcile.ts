import { readFile, stat } from 'node:fs/promises'
import { Command, Option } from 'commander'
import { SoakpError } from '../../errors.js'
import { type Bill, reconcile as compare, type Reconciled, readOpenaiBill } from '../../ledger/reconcile.js'
import { formatDollars, toDollars } from '../../lib/money.js'
import type { Cli } from '../cli.js'
import { type Column, csv, table } from '../format.js'

interface Options {
  readonly provider: 'openai'
  readonly csv?: boolean
}

const maxBytes = 200 * 1024 * 1024
const dayMs = 86_400_000

/** `soakp reconcile`: what we saw beside what the provider says, day by day and model by model. */
export function reconcile(cli: Cli): Command {
  return new Command('reconcile')
    .description("compare the ledger with a provider's own export of usage or cost, by day and model")
    .argument('<file>', 'the CSV file as the provider made it')
    .addOption(new Option('--provider <provider>', 'whose export it is').choices(['openai']).default('openai'))
    .option('--csv', 'comma-separated values, for spreadsheets')
    .action(async (file: string, options: Options) => {
      if (options.csv && cli.json) throw new SoakpError('usage', '--csv and --json exclude each other.')
      const bill = readOpenaiBill(await textOf(file))
      const { store } = await cli.open()
      const days = { sinceMs: Date.parse(bill.firstDay), untilMs: Date.parse(bill.lastDay) + dayMs }
      const rows = compare(bill, await store.usage({ by: ['day', 'model'], ...days, where: { provider: options.provider } }))
      if (options.csv) return cli.result(undefined, csvOf(bill, rows))
      cli.result(rows.map(view), rows.length === 0 ? '' : table([...rows, total(rows)], columnsFor(bill)))
      cli.note(summary(rows))
    })
}

async function textOf(file: string): Promise<string> {
  if ((await stat(file)).size <= maxBytes) return readFile(file, 'utf8')
  throw new SoakpError('usage', `${file} is larger than 200 MB.`, { hint: 'export a shorter time' })
}

type Count = 'calls' | 'inputTokens' | 'outputTokens' | 'microDollars'

/** Undefined where one side says nothing at all of it; a side without the row says nought. */
function difference({ ours, theirs }: Reconciled, name: Count): number | undefined {
  if (ours && theirs) return ours[name] === undefined || theirs[name] === undefined ? undefined : ours[name] - theirs[name]
  const only = (ours ?? theirs)?.[name]
  return only === undefined ? undefined : ours ? only : -only
}

const counts: Readonly<Record<Bill['kind'], readonly Count[]>> = {
  cost: ['microDollars'],
  activity: ['calls', 'inputTokens', 'outputTokens'],
}
const titles: Readonly<Record<Count, string>> = { calls: 'CALLS', inputTokens: 'INPUT', outputTokens: 'OUTPUT', microDollars: 'USD' }

function shown(name: Count, value: number | undefined): number | string | null {
  return value === undefined ? null : name === 'microDollars' ? formatDollars(value) : value
}

function columnsFor({ kind }: Bill): readonly Column<Reconciled>[] {
  return [
    { title: 'DAY', value: row => row.day },
    { title: 'MODEL', value: row => row.model },
    ...counts[kind].flatMap(name => [
      { title: titles[name], value: (row: Reconciled) => shown(name, row.ours?.[name]), right: true },
      { title: 'THEIRS', value: (row: Reconciled) => shown(name, row.theirs?.[name]), right: true },
      { title: 'DIFFERENCE', value: (row: Reconciled) => shown(name, difference(row, name)), right: true },
    ]),
    { title: 'SEEN BY', value: seenBy },
  ]
}

function seenBy({ day, ours, theirs }: Reconciled): string {
  if (day === 'all') return ''
  return ours && theirs ? 'both' : ours ? 'us only' : 'them only'
}

function total(rows: readonly Reconciled[]): Reconciled {
  const add = (side: 'ours' | 'theirs') => {
    const sums = { calls: 0, inputTokens: 0, outputTokens: 0, microDollars: 0 }
    for (const row of rows) for (const name of Object.keys(sums) as Count[]) sums[name] += row[side]?.[name] ?? 0
    return sums
  }
  return { day: 'all', model: '', ours: add('ours'), theirs: add('theirs') }
}

function summary(rows: readonly Reconciled[]): string {
  const ours = rows.filter(row => !row.theirs).length
  const theirs = rows.filter(row => !row.ours).length
  return `${rows.length} days and models: ${rows.length - ours - theirs} seen by both, ${ours} by us only, ${theirs} by them only`
}

function view(row: Reconciled): Record<string, unknown> {
  const side = (of: Reconciled['ours']) => {
    if (!of) return null
    const { microDollars, ...rest } = of
    return { ...rest, ...(microDollars === undefined ? {} : { costUsd: toDollars(microDollars) }) }
  }
  const { day, model, ours, theirs } = row
  return { day, model, ours: side(ours), theirs: side(theirs), seenBy: seenBy(row) }
}

function csvOf({ kind }: Bill, rows: readonly Reconciled[]): string {
  const names = counts[kind].map(name => (name === 'microDollars' ? 'costUsd' : name))
  // as numbers: a text that begins with a minus sign is taken for a formula
  const number = (name: Count, value: number | undefined) =>
    value === undefined ? null : name === 'microDollars' ? toDollars(value) : value
  return csv([
    ['day', 'model', ...names.flatMap(name => [name, `${name}Theirs`, `${name}Difference`]), 'seenBy'],
    ...rows.map(row => [
      row.day,
      row.model,
      ...counts[kind].flatMap(name => [
        number(name, row.ours?.[name]),
        number(name, row.theirs?.[name]),
        number(name, difference(row, name)),
      ]),
      seenBy(row),
    ]),
  ])
}
