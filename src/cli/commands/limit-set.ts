import { Command } from 'commander'
import { checkCount, checkRate, checkTerms } from '../../access/check-grant.js'
import { SoakpError } from '../../errors.js'
import type { LimitRecord } from '../../stores/records.js'
import type { Cli } from '../cli.js'
import { addLimitOptions, findTarget, isSame, type LimitOptions, type Target, targetHelp } from '../input/limit.js'
import { limitView, targetText } from '../view/limit.js'

/** `soakp limit set`: what is given is replaced, the rest stays. Counters go on from where they are. */
export function limitSet(cli: Cli): Command {
  return addLimitOptions(new Command('set').argument('<on>', targetHelp))
    .description('limit a key, a user, all calls, or some models of a grant or an app, from the next call on')
    .addHelpText('after', '\nA grant as a whole is limited by soakp token set, an app by soakp app set.')
    .action((text: string, options: LimitOptions) => set(cli, text, options))
}

async function set(cli: Cli, text: string, options: LimitOptions): Promise<void> {
  const { model = '', rate, concurrency, quota, budget, shadow } = options
  if ([rate, concurrency, quota, budget, shadow].every(value => value === undefined))
    throw new SoakpError('usage', 'No limit was given.', { hint: '`soakp limit set --help` shows what can be' })
  const { store, ...soakp } = await cli.open()
  const target = await findTarget({ store, ...soakp }, text)
  checkPlace(target, model)
  const before = (await store.listLimits('default')).find(limit => isSame(limit, target, model))
  const limit: LimitRecord = {
    tenant: 'default',
    ...target,
    model,
    rate: rate === undefined ? (before?.rate ?? null) : rate || null,
    concurrency: concurrency === undefined ? (before?.concurrency ?? null) : concurrency || null,
    quotas: quota === undefined ? (before?.quotas ?? []) : quota || [],
    budgets: budget === undefined ? (before?.budgets ?? []) : budget || [],
    shadow: shadow ?? before?.shadow ?? false,
    createdAtMs: before?.createdAtMs ?? cli.now(),
  }
  checkRate(limit.rate)
  checkCount('concurrency', limit.concurrency)
  checkTerms(limit.quotas, limit.budgets)
  await store.putLimit(limit)
  const limits = [limit.rate, limit.concurrency && `${limit.concurrency} at once`, ...limit.quotas, ...limit.budgets].filter(Boolean)
  const what = limits.length === 0 ? 'no limit any more' : limits.join(', ')
  cli.result(
    limitView(limit),
    `${targetText(limit)}${model === '' ? '' : `, models ${model}`}: ${what}${limit.shadow ? ' (only watched)' : ''}`,
  )
}

/** Two limits on one thing would be counted by one counter. */
function checkPlace({ kind, subject }: Target, model: string): void {
  if (model.length > 200 || /\s/.test(model))
    throw new SoakpError('usage', '--model is the name of a model, in which * stands for anything.')
  if (model !== '' || (kind !== 'grant' && kind !== 'app')) return
  const command = kind === 'grant' ? 'token' : 'app'
  throw new SoakpError('usage', `Without --model this is a limit of the ${kind} itself.`, {
    hint: `soakp ${command} set ${subject} sets that`,
  })
}
