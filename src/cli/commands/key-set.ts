import { Command } from 'commander'
import { SoakpError } from '../../errors.js'
import type { KeyPatch } from '../../stores/store.js'
import type { Cli } from '../cli.js'
import { findKey, missingKey } from '../input/find.js'
import { checkText } from '../input/key.js'
import { weightOption } from '../input/options.js'
import { keyText, keyView } from '../view/key.js'

interface Options {
  readonly name?: string
  readonly weight?: number
}

/** `soakp key set`: what a key is called and how many of the calls it gets. Everything else about a key is sealed with it. */
export function keySet(cli: Cli): Command {
  return new Command('set')
    .description('change the name or the weight of a key, from the next call on')
    .argument('<id>', 'id of the key')
    .option('--name <text>', 'how you will recognise it')
    .addOption(weightOption())
    .action(async (id: string, { name, weight }: Options) => {
      const patch: KeyPatch = { ...(name !== undefined && { name }), ...(weight !== undefined && { weight }) }
      if (Object.keys(patch).length === 0) throw new SoakpError('usage', 'There is nothing to change.', { hint: 'say --name or --weight' })
      if (name !== undefined) checkText('--name', name)
      const { store } = await cli.open()
      if (!(await store.updateKey(id, patch))) missingKey(id)
      const key = await findKey(store, id)
      cli.result(keyView(key), keyText(key))
    })
}
