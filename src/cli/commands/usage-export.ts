import { Command, Option } from 'commander'
import { SoakpError } from '../../errors.js'
import { formatDollars } from '../../lib/money.js'
import type { Entry } from '../../stores/records.js'
import type { Cli } from '../cli.js'
import { csv } from '../format.js'
import { type Moment, momentMs, momentOption } from '../input/options.js'
import { entryColumns, entryView } from '../view/entry.js'

interface Options {
  readonly since?: Moment
  readonly until?: Moment
  readonly code?: string
  readonly format: 'jsonl' | 'csv'
}

const pageSize = 1000

/** `soakp usage export`: every line of the ledger, piece by piece, however many there are. */
export function usageExport(cli: Cli): Command {
  return new Command('export')
    .description('every line of the ledger, one for each attempt of each call')
    .addOption(momentOption('--since <when>', 'from when on: a duration such as 24h or 30d, a date, a time; in UTC (default: all)'))
    .addOption(momentOption('--until <when>', 'up to when, written likewise (default: now)'))
    .option('--code <code>', 'only lines with this code: why a call was refused, or what it was marked with, such as budget_overrun')
    .addOption(
      new Option('--format <format>', 'one JSON document a line, or comma-separated values').choices(['jsonl', 'csv']).default('jsonl'),
    )
    .action(async (_: unknown, command: Command) => {
      // an option that is called like one of `usage` is taken by that
      const { since, until, code, format } = command.optsWithGlobals<Options>()
      refuseStrangers(command.parent)
      if (cli.json)
        throw new SoakpError('usage', 'An export is no single JSON document.', {
          hint: 'leave --json away; --format jsonl is one document a line',
        })
      const { store } = await cli.open()
      const filter = {
        limit: pageSize,
        ...(since ? { sinceMs: momentMs(since, cli.now()) } : {}),
        ...(until ? { untilMs: momentMs(until, cli.now()) } : {}),
      }
      const lines = format === 'csv' ? csvLines : jsonLines
      if (format === 'csv' && !(await cli.write(csv([[...entryColumns]])))) return
      for (let after: number | undefined, isFirst = true; isFirst || after !== undefined; isFirst = false) {
        const page = await store.pageEntries({ ...filter, ...(after === undefined ? {} : { after }) })
        const entries = code === undefined ? page.entries : page.entries.filter(({ errorCode }) => errorCode === code)
        if (entries.length > 0 && !(await cli.write(lines(entries)))) return
        after = page.next
      }
    })
}

/** What sums up or filters belongs to `usage` itself, which takes it for its own wherever it stands; here it would be passed over in silence. */
function refuseStrangers(usage: Command | null): void {
  const given = usage?.options.find(option => {
    const name = option.attributeName()
    return name !== 'since' && name !== 'until' && usage.getOptionValueSource(name) === 'cli'
  })
  if (!given) return
  const hint = given.long === '--csv' ? 'say --format csv' : 'it has --since, --until, --code and --format; filter what it writes'
  throw new SoakpError('usage', `${given.long} does not go with an export.`, { hint })
}

function jsonLines(entries: readonly Entry[]): string {
  return entries.map(entry => `${JSON.stringify(entryView(entry))}\n`).join('')
}

function csvLines(entries: readonly Entry[]): string {
  return csv(
    entries.map(entry => {
      const view = entryView(entry)
      const { costMicroDollars: cost } = entry
      return entryColumns.map(name => (name === 'costUsd' ? (cost === null ? null : formatDollars(cost)) : cell(view[name])))
    }),
  )
}

function cell(value: unknown): string | number | null {
  return typeof value === 'number' || value === null ? value : String(value)
}
