import { Command } from 'commander'
import type { Cli } from '../cli.js'
import { findKey } from '../input/find.js'
import { throwVerdict } from '../verdict.js'
import { keyView } from '../view/key.js'

/** `soakp key verify`: asks the provider whether a key works, and says so by the exit code too. */
export function keyVerify(cli: Cli): Command {
  return new Command('verify')
    .description('ask the provider whether a key works')
    .argument('<id>', 'id of the key')
    .action(async (id: string) => {
      const soakp = await cli.open()
      const key = await findKey(soakp.store, id)
      const verdict = await soakp.verifyKey(key)
      cli.result({ ...keyView(key), verified: verdict.result, text: verdict.text }, verdict.text)
      throwVerdict(verdict)
    })
}
