import { Command, InvalidArgumentError, Option } from 'commander'
import { SoakpError } from '../../errors.js'
import { formatDollars, toDollars } from '../../lib/money.js'
import { type UsageDimension, type UsageFilter, type UsageRow, usageDimensions, usageUnits } from '../../stores/records.js'
import type { Cli } from '../cli.js'
import { type Column, csv, table } from '../format.js'
import { type Moment, momentMs, momentOption } from '../input/options.js'
import { usageExport } from './usage-export.js'
import { usageShow } from './usage-show.js'

type Options = Readonly<Partial<Record<UsageFilter, string>>> & {
  readonly by: readonly UsageDimension[]
  readonly since?: Moment
  readonly until?: Moment
  readonly csv?: boolean
}

const defaultSinceMs = 7 * 86_400_000

const filters: readonly (readonly [UsageFilter, string])[] = [
  ['provider', 'only calls to this provider'],
  ['model', 'only calls of this model'],
  ['grant', 'only calls of this grant'],
  ['app', "only calls of this app's users"],
  ['user', 'only calls of this user'],
  ['key', 'only calls with this key'],
  ['tenant', 'only calls of this tenant'],
]

/** `soakp usage`: calls, model tokens and money, summed up by whatever is asked for. */
export function usage(cli: Cli): Command {
  const command = new Command('usage')
    .description('what was used: calls, model tokens, and money where prices are known')
    .addOption(byOption())
    .addOption(momentOption('--since <when>', 'from when on: a duration such as 24h or 30d, a date, a time; in UTC (default: 7d)'))
    .addOption(momentOption('--until <when>', 'up to when, written likewise (default: now)'))
    .option('--csv', 'comma-separated values, for spreadsheets')
    .action(async (options: Options) => {
      if (options.csv && cli.json) throw new SoakpError('usage', '--csv and --json exclude each other.')
      const { store } = await cli.open()
      const { by } = options
      const sinceMs = options.since ? momentMs(options.since, cli.now()) : cli.now() - defaultSinceMs
      const until = options.until && { untilMs: momentMs(options.until, cli.now()) }
      if (until && until.untilMs <= sinceMs) throw new SoakpError('usage', '--until is not after --since.')
      const where = Object.fromEntries(filters.flatMap(([name]) => (options[name] === undefined ? [] : [[name, options[name]]])))
      const rows = await store.usage({ by, sinceMs, ...until, where })
      if (options.csv) return cli.result(undefined, usageCsv(by, rows))
      if (rows.length === 0) cli.note('no calls in this time')
      cli.result(
        rows.map(row => usageView(by, row)),
        rows.length === 0 || cli.json ? '' : usageTable(by, rows),
      )
      noteUnpriced(cli, rows)
    })
  for (const [name, description] of filters) command.option(`--${name} <${name}>`, description)
  return command.addCommand(usageShow(cli)).addCommand(usageExport(cli))
}

function byOption(): Option {
  const names = usageDimensions.join(', ')
  return new Option('--by <what>', `what to sum up by, several with commas between: ${names}`)
    .argParser((text): readonly UsageDimension[] => {
      const asked = text.split(',').map(name => name.trim())
      const known = asked.filter((name): name is UsageDimension => (usageDimensions as readonly string[]).includes(name))
      if (known.length < asked.length || new Set(known).size < known.length) {
        throw new InvalidArgumentError(`It is one or several of ${names}, with commas between.`)
      }
      return known
    })
    .default(['key'], 'key')
}

/** A sum without what has no price looks like all there is. */
function noteUnpriced(cli: Cli, rows: readonly UsageRow[]): void {
  const count = rows.reduce((sum, row) => sum + row.unpriced, 0)
  if (count === 0) return
  cli.note(`${count} of these consumed what has no price, and are not in the sum: \`soakp price list --unpriced\` names them`)
}

type Count = readonly [name: string, value: (row: UsageRow) => number]

const tokenCounts = [
  'inputTokens',
  'cachedInputTokens',
  'cacheWriteInputTokens',
  'audioInputTokens',
  'outputTokens',
  'reasoningTokens',
  'audioOutputTokens',
] as const

/** What is counted, by the names that it has in JSON and in CSV. In a fixed order, which later versions only add to. */
const consumed: readonly Count[] = [
  ['calls', row => row.calls],
  ['refusedCalls', row => row.refused],
  ['failedCalls', row => row.failed],
  ...tokenCounts.map((name): Count => [name, row => row[name]]),
]
const marked: readonly Count[] = [
  ['estimatedCalls', row => row.estimated],
  ['unpricedCalls', row => row.unpriced],
  ['overQuotaCalls', row => row.overQuota],
  ['overBudgetCalls', row => row.overBudget],
  ['overrunCalls', row => row.overrun],
]

function usageView(by: readonly UsageDimension[], row: UsageRow): Record<string, unknown> {
  const { values, units, costMicroDollars } = row
  return {
    ...Object.fromEntries(by.map((name, index) => [name, values[index] ?? ''])),
    ...Object.fromEntries([...consumed, ...marked].map(([name, value]) => [name, value(row)])),
    ...(Object.keys(units).length === 0 ? {} : { units }),
    ...(costMicroDollars === null ? {} : { costUsd: toDollars(costMicroDollars) }),
  }
}

/** `1200 characters, 90 audioSeconds`. */
function unitsText({ units }: UsageRow): string {
  return Object.entries(units)
    .map(([unit, sum]) => `${sum} ${unit}`)
    .join(', ')
}

function usageTable(by: readonly UsageDimension[], rows: readonly UsageRow[]): string {
  const sometimes = (title: string, value: (row: UsageRow) => number | string): readonly Column<UsageRow>[] =>
    rows.some(row => value(row) !== 0 && value(row) !== '') ? [{ title, value, right: true }] : []
  return table(rows, [
    ...by.map((name, index) => ({ title: name.toUpperCase(), value: (row: UsageRow) => row.values[index] })),
    { title: 'CALLS', value: row => row.calls, right: true },
    ...sometimes('REFUSED', row => row.refused),
    ...sometimes('FAILED', row => row.failed),
    ...sometimes('OVER QUOTA', row => row.overQuota),
    ...sometimes('OVER BUDGET', row => row.overBudget),
    ...sometimes('OVERRUN', row => row.overrun),
    { title: 'INPUT', value: row => row.inputTokens, right: true },
    { title: 'CACHED', value: row => row.cachedInputTokens, right: true },
    { title: 'OUTPUT', value: row => row.outputTokens, right: true },
    { title: 'REASONING', value: row => row.reasoningTokens, right: true },
    ...sometimes('OTHER', unitsText),
    { title: 'ESTIMATED', value: row => row.estimated, right: true },
    { title: 'UNPRICED', value: row => row.unpriced, right: true },
    { title: 'USD', value: row => (row.costMicroDollars === null ? null : formatDollars(row.costMicroDollars)), right: true },
  ])
}

/** What JSON has within `units` has a column each: text could not be added up. */
function usageCsv(by: readonly UsageDimension[], rows: readonly UsageRow[]): string {
  const names = (counts: readonly Count[]) => counts.map(([name]) => name)
  return csv([
    [...by, ...names(consumed), ...usageUnits, ...names(marked), 'costUsd'],
    ...rows.map(row => [
      ...row.values,
      ...consumed.map(([, value]) => value(row)),
      ...usageUnits.map(unit => row.units[unit] ?? 0),
      ...marked.map(([, value]) => value(row)),
      row.costMicroDollars === null ? null : formatDollars(row.costMicroDollars),
    ]),
  ])
}
