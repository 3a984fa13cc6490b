import { Command } from 'commander'
import { SoakpError } from '../../errors.js'
import type { Cli } from '../cli.js'
import { isSame, modelOption, readTarget, targetHelp } from '../input/limit.js'
import { limitView, targetText } from '../view/limit.js'

/** `soakp limit remove`: the counters stay, so that the same limit set again goes on from where they are. */
export function limitRemove(cli: Cli): Command {
  return new Command('remove')
    .description('take a limit away, from the next call on')
    .argument('<on>', targetHelp)
    .addOption(modelOption())
    .action(async (text: string, { model = '' }: { readonly model?: string }) => {
      const { store } = await cli.open()
      const target = readTarget(text)
      const limit = (await store.listLimits('default')).find(one => isSame(one, target, model))
      if (!limit || !(await store.removeLimit('default', target.kind, target.subject, model)))
        throw new SoakpError('limit_not_found', undefined, { hint: '`soakp limit list` shows what there is' })
      cli.result(
        { ...limitView(limit), removed: true },
        `${targetText(limit)}${model === '' ? '' : `, models ${model}`}: no limit any more`,
      )
    })
}
