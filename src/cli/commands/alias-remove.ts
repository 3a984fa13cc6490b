import { Command } from 'commander'
import type { Cli } from '../cli.js'
import { findAlias } from '../input/find.js'
import { aliasView } from '../view/alias.js'

/** `soakp alias remove`: the name stands for nothing from now on. */
export function aliasRemove(cli: Cli): Command {
  return new Command('remove')
    .description('take a name of your own away')
    .argument('<name>', 'the alias')
    .action(async (name: string) => {
      const { store } = await cli.open()
      const alias = await findAlias(store, name)
      await store.removeAlias('default', name)
      cli.result({ ...aliasView(alias), removed: true }, `${name} no longer stands for ${alias.target}`)
    })
}
