import { Command } from 'commander'
import type { Cli } from '../cli.js'
import { table } from '../format.js'
import { limitView, targetText } from '../view/limit.js'

/** `soakp limit list`: the limits beside those that grants and apps have of their own. */
export function limitList(cli: Cli): Command {
  return new Command('list').description('list the limits on keys, users, models and on all calls').action(async () => {
    const { store } = await cli.open()
    const limits = await store.listLimits('default')
    if (limits.length === 0) cli.note('no limits yet; make one with `soakp limit set`')
    const text = table(limits, [
      { title: 'ON', value: targetText },
      { title: 'MODELS', value: limit => limit.model },
      { title: 'RATE', value: limit => limit.rate },
      { title: 'AT ONCE', value: limit => limit.concurrency, right: true },
      { title: 'QUOTAS', value: limit => limit.quotas.join(', ') },
      { title: 'BUDGETS', value: limit => limit.budgets.join(', ') },
      { title: 'ONLY WATCHED', value: limit => (limit.shadow ? 'yes' : null) },
    ])
    cli.result(limits.map(limitView), limits.length === 0 ? '' : text)
  })
}
