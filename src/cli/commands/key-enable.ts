import { Command } from 'commander'
import type { Cli } from '../cli.js'
import { findKey, missingKey } from '../input/find.js'
import { wakingPatch } from '../input/key.js'
import { keyView } from '../view/key.js'

/** `soakp key enable`. A running daemon obeys from its next call on. */
export function keyEnable(cli: Cli): Command {
  return new Command('enable')
    .description('use a disabled key again, and one that rests')
    .argument('<id>', 'id of the key')
    .action(async (id: string) => {
      const { store } = await cli.open()
      if (!(await store.updateKey(id, { state: 'active', ...wakingPatch(cli.now()) }))) missingKey(id)
      const key = await findKey(store, id)
      cli.result(keyView(key), `${key.id} (${key.provider}, ${key.name}) is used again`)
    })
}
