import { Command } from 'commander'
import type { Cli } from '../cli.js'
import { findKey, missingKey } from '../input/find.js'

/** `soakp key remove`: for good. Grants that name the key stay, and open nothing through it. */
export function keyRemove(cli: Cli): Command {
  return new Command('remove')
    .description('take a key out of the vault for good')
    .argument('<id>', 'id of the key')
    .action(async (id: string) => {
      const { store } = await cli.open()
      const key = await findKey(store, id)
      if (!(await store.removeKey(id))) missingKey(id)
      cli.result(
        { id, provider: key.provider, name: key.name, removed: true },
        `removed ${id} (${key.provider}, ${key.name}); the key itself is still valid at the provider`,
      )
    })
}
