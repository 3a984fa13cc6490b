import { Command } from 'commander'
import { SoakpError } from '../../errors.js'
import type { Soakp } from '../../soakp.js'
import type { Cli } from '../cli.js'
import { minute, table } from '../format.js'
import { findTarget, type Target, targetHelp } from '../input/limit.js'
import { amountText, type CountedLimit, countedLimits, countedView, standing, targetText } from '../view/limit.js'

/** `soakp limit show`: how much of each quota and budget is used and held at this moment. */
export function limitShow(cli: Cli): Command {
  return new Command('show')
    .description('show what of quotas and budgets is used, held by open calls, and left')
    .argument('[on]', `${targetHelp}; without it, everything that has a quota or a budget`)
    .action((text: string | undefined) => show(cli, text))
}

async function show(cli: Cli, text: string | undefined): Promise<void> {
  const soakp = await cli.open()
  const target = text === undefined ? undefined : await findTarget(soakp, text)
  const limits = await countedOn(soakp, target)
  const totals = await soakp.store.counterTotals(limits.map(({ counter }) => counter.counter))
  const now = cli.now()
  const rows = limits.map(limit => ({ limit, total: standing(limit, totals, now) }))
  if (rows.length === 0) cli.note('nothing of this has a quota or a budget')
  const lines = table(rows, [
    { title: 'ON', value: ({ limit }) => targetText(limit) },
    { title: 'MODELS', value: ({ limit }) => limit.model },
    { title: 'LIMIT', value: ({ limit }) => limit.counter.text },
    { title: 'USED', value: ({ limit, total }) => amountText(limit, total?.used ?? 0), right: true },
    { title: 'HELD', value: ({ limit, total }) => amountText(limit, total?.held ?? 0), right: true },
    {
      title: 'LEFT',
      value: ({ limit, total }) => amountText(limit, Math.max(0, limit.counter.limit - (total?.used ?? 0) - (total?.held ?? 0))),
      right: true,
    },
    { title: 'LOST', value: ({ limit, total }) => (total?.lost ? amountText(limit, total.lost) : null), right: true },
    { title: 'OPENS AGAIN', value: ({ limit, total }) => (limit.counter.window === 'total' || !total ? null : minute(total.windowEndMs)) },
    { title: 'ONLY WATCHED', value: ({ limit }) => (limit.shadow ? 'yes' : null) },
  ])
  cli.result(
    rows.map(({ limit, total }) => countedView(limit, total)),
    rows.length === 0 ? '' : lines,
  )
}

/** The quotas and budgets on one thing, or on everything. */
async function countedOn({ store, access, apps }: Soakp, target: Target | undefined): Promise<CountedLimit[]> {
  const isWanted = ({ kind, subject }: Target) => target === undefined || (kind === target.kind && subject === target.subject)
  const grants = target?.kind === 'grant' ? [(await access.show(target.subject)).grant] : target ? [] : await access.list()
  const all = [
    ...grants.map(grant => ({ ...grant, kind: 'grant' as const, subject: grant.id, model: '' })),
    ...(await apps.list()).map(app => ({ ...app, kind: 'app' as const, subject: app.id, model: '' })),
    ...(await store.listLimits('default')),
  ]
  const found = all.filter(isWanted)
  if (found.length === 0 && target?.kind === 'user') throw new SoakpError('limit_not_found', targetText(target))
  return found.flatMap(countedLimits)
}
