import { Command } from 'commander'
import type { Cli } from '../cli.js'
import { findKey, missingKey } from '../input/find.js'
import { keyView } from '../view/key.js'

/** `soakp key disable`. A running daemon obeys from its next call on. */
export function keyDisable(cli: Cli): Command {
  return new Command('disable')
    .description('stop using a key, without taking it out of the vault')
    .argument('<id>', 'id of the key')
    .action(async (id: string) => {
      const { store } = await cli.open()
      if (!(await store.updateKey(id, { state: 'disabled' }))) missingKey(id)
      const key = await findKey(store, id)
      cli.result(keyView(key), `${key.id} (${key.provider}, ${key.name}) is not used any more`)
    })
}
