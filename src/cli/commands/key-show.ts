import { Command } from 'commander'
import type { Cli } from '../cli.js'
import { findKey } from '../input/find.js'
import { keyText, keyView } from '../view/key.js'

/** `soakp key show`: everything about a key but its value. */
export function keyShow(cli: Cli): Command {
  return new Command('show')
    .description('show what is known of a key, never its value')
    .argument('<id>', 'id of the key, as `soakp key list` shows it')
    .action(async (id: string) => {
      const { store } = await cli.open()
      const key = await findKey(store, id)
      const rests = await store.listRests(cli.now())
      cli.result(keyView(key, rests), keyText(key, rests))
    })
}
