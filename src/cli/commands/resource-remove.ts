import { Command } from 'commander'
import { SoakpError } from '../../errors.js'
import { shown } from '../argv.js'
import type { Cli } from '../cli.js'
import { resourceView } from '../view/resource.js'

/** `soakp resource remove`: it stays at the provider, and is nobody's from the next call on. */
export function resourceRemove(cli: Cli): Command {
  return new Command('remove')
    .description('forget whose a thing is: it stays at the provider, and nobody reaches it any more')
    .argument('<provider>', 'as in paths: openai')
    .argument('<kind>', 'file, batch, response …')
    .argument('<id>', 'as the provider names it')
    .option('--key <id>', 'the key it was made with, where several know one of this id')
    .action(async (provider: string, kind: string, id: string, { key }: { readonly key?: string }) => {
      const { store } = await cli.open()
      const found = (await store.findOwned({ tenant: 'default', provider, kind, id })).filter(({ keyId }) => keyId === (key ?? keyId))
      const [record, other] = found
      if (!record) {
        const hint = '`soakp resource list` shows what there is'
        throw new SoakpError('resource_not_found', `There is no ${shown(kind)} ${shown(id)} of ${shown(provider)}.`, { hint })
      }
      if (other)
        throw new SoakpError('usage', 'Several keys know one of this id.', {
          hint: `say which: --key ${record.keyId} or --key ${other.keyId}`,
        })
      await store.forgetOwned(record)
      cli.result({ ...resourceView(record, new Map()), removed: true }, `${kind} ${id} of ${provider} is nobody's any more`)
    })
}
