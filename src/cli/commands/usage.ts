import { Command, Option } from 'commander'
import { SoakpError } from '../../errors.js'
import { formatDollars, toDollars } from '../../lib/money.js'
import { type UsageDimension, type UsageRow, usageDimensions } from '../../stores/records.js'
import type { Cli } from '../cli.js'
import { csv, table } from '../format.js'
import { durationOption } from '../options.js'

interface Options {
  readonly by: UsageDimension
  readonly since?: number
  readonly csv?: boolean
}

const defaultSinceMs = 7 * 86_400_000

/** `soakp usage`: calls, model tokens and money, summed up by one thing. */
export function usage(cli: Cli): Command {
  return new Command('usage')
    .description('what was used: calls, model tokens, and money where prices are known')
    .addOption(new Option('--by <dimension>', 'what to sum up by').choices([...usageDimensions]).default('key'))
    .addOption(durationOption('--since <duration>', 'how far back: 30s, 15m, 24h, 30d (default: 7d)'))
    .option('--csv', 'comma-separated values, for spreadsheets')
    .action(async (options: Options) => {
      if (options.csv && cli.json) throw new SoakpError('usage', '--csv and --json exclude each other.')
      const { store } = await cli.open()
      const rows = await store.usageBy(options.by, cli.now() - (options.since ?? defaultSinceMs))
      if (options.csv) return cli.result(undefined, usageCsv(options.by, rows))
      if (rows.length === 0) cli.note('no calls in this time')
      cli.result(
        rows.map(row => usageView(options.by, row)),
        rows.length === 0 ? '' : usageTable(options.by, rows),
      )
    })
}

function usageView(by: UsageDimension, row: UsageRow): Record<string, unknown> {
  const { value, estimated, costMicroDollars, units, ...counts } = row
  const costUsd = costMicroDollars === null ? {} : { costUsd: toDollars(costMicroDollars) }
  const otherUnits = Object.keys(units).length === 0 ? {} : { units }
  return { [by]: value, ...counts, ...otherUnits, estimatedCalls: estimated, ...costUsd }
}

/** `1200 characters, 90 audioSeconds`. */
function unitsText({ units }: UsageRow): string {
  return Object.entries(units)
    .map(([unit, sum]) => `${sum} ${unit}`)
    .join(', ')
}

function usageTable(by: UsageDimension, rows: readonly UsageRow[]): string {
  return table(rows, [
    { title: by.toUpperCase(), value: row => row.value },
    { title: 'CALLS', value: row => row.calls, right: true },
    { title: 'INPUT', value: row => row.inputTokens, right: true },
    { title: 'CACHED', value: row => row.cachedInputTokens, right: true },
    { title: 'OUTPUT', value: row => row.outputTokens, right: true },
    { title: 'REASONING', value: row => row.reasoningTokens, right: true },
    ...(rows.some(row => unitsText(row) !== '') ? [{ title: 'OTHER', value: unitsText, right: true }] : []),
    { title: 'ESTIMATED', value: row => row.estimated, right: true },
    { title: 'USD', value: row => (row.costMicroDollars === null ? null : formatDollars(row.costMicroDollars)), right: true },
  ])
}

function usageCsv(by: UsageDimension, rows: readonly UsageRow[]): string {
  const head = [by, 'calls', 'inputTokens', 'cachedInputTokens', 'outputTokens', 'reasoningTokens', 'units', 'estimatedCalls', 'costUsd']
  return csv([
    head,
    ...rows.map(row => [
      row.value,
      row.calls,
      row.inputTokens,
      row.cachedInputTokens,
      row.outputTokens,
      row.reasoningTokens,
      unitsText(row),
      row.estimated,
      row.costMicroDollars === null ? null : formatDollars(row.costMicroDollars),
    ]),
  ])
}
