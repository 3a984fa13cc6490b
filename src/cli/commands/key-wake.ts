import { Command } from 'commander'
import type { Cli } from '../cli.js'
import { findKey, missingKey } from '../input/find.js'
import { wakingPatch } from '../input/key.js'
import { keyView } from '../view/key.js'

/** `soakp key wake`: whatever a key rests for, calls may go to it again. A running daemon obeys from its next call on. */
export function keyWake(cli: Cli): Command {
  return new Command('wake')
    .description('end the rest of a key: its quota was raised, or its provider takes it again')
    .argument('<id>', 'id of the key')
    .action(async (id: string) => {
      const { store } = await cli.open()
      if (!(await store.updateKey(id, wakingPatch(cli.now())))) missingKey(id)
      const key = await findKey(store, id)
      cli.result(keyView(key, []), `${key.id} (${key.provider}, ${key.name}) rests no more`)
    })
}
