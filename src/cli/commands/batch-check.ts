import { Command } from 'commander'
import { SoakpError } from '../../errors.js'
import type { Cli } from '../cli.js'

/** `soakp batch check`: the daemon asks for it now, not when it would next. */
export function batchCheck(cli: Cli): Command {
  return new Command('check')
    .description('have the daemon ask at once how a batch stands, or all of them')
    .argument('[id]', 'the batch, as the provider names it')
    .action(async (id: string | undefined) => {
      const { store } = await cli.open()
      const batches = await store.hurryBatches(cli.now(), id)
      if (batches === 0 && id !== undefined)
        throw new SoakpError('batch_not_found', id, { hint: '`soakp batch list` shows what is under way' })
      cli.result({ batches }, `${batches} ${batches === 1 ? 'batch is' : 'batches are'} asked for within seconds, where soakp serve runs`)
    })
}
