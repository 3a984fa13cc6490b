import { Command } from 'commander'
import { SoakpError } from '../../errors.js'
import { timeZoneName, windowIn } from '../../lib/zoned-calendar.js'
import type { Cli } from '../cli.js'
import { minute, time } from '../format.js'

const tenant = 'default'

/** `soakp limit timezone`: by whose midnight days and months of quotas and budgets begin. */
export function limitTimezone(cli: Cli): Command {
  return new Command('timezone')
    .description('show or set the time zone by which days and months of quotas and budgets begin')
    .argument('[zone]', 'as the IANA names it: Europe/Berlin, America/New_York, UTC')
    .addHelpText(
      'after',
      '\nWhat is open now runs to its end as it is; the next day and month go by the new zone. Nothing that is used up opens earlier.',
    )
    .action((text: string | undefined) => (text === undefined ? show(cli) : set(cli, text)))
}

async function show(cli: Cli): Promise<void> {
  const { store } = await cli.open()
  const now = cli.now()
  const zones = await store.listTimeZones(tenant)
  const timeZone = zones.at(-1)?.timeZone ?? 'UTC'
  const day = windowIn(zones, 'day', now)
  const month = windowIn(zones, 'month', now)
  cli.result(
    { timeZone, setAt: time(zones.at(-1)?.fromMs ?? null), dayEndsAt: time(day.endMs), monthEndsAt: time(month.endMs) },
    `${timeZone}: the day that is open ends at ${minute(day.endMs)}, the month at ${minute(month.endMs)}`,
  )
}

async function set(cli: Cli, text: string): Promise<void> {
  const timeZone = timeZoneName(text)
  if (timeZone === undefined)
    throw new SoakpError('usage', `There is no time zone ${JSON.stringify(text.slice(0, 80))}.`, {
      hint: 'name a place, as in Europe/Berlin, America/New_York or Asia/Kolkata; or UTC',
    })
  const { store } = await cli.open()
  const last = (await store.listTimeZones(tenant)).at(-1)
  if (timeZone !== (last?.timeZone ?? 'UTC'))
    await store.addTimeZone({ tenant, timeZone, fromMs: Math.max(cli.now(), (last?.fromMs ?? 0) + 1) })
  await show(cli)
}
