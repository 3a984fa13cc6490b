import { Command } from 'commander'
import type { Cli, SecretSource } from '../cli.js'
import { findKey } from '../input/find.js'
import { checkSecret, verifying } from '../input/key.js'
import { keyView } from '../view/key.js'

interface Options extends SecretSource {
  readonly verify: boolean
}

/** `soakp key rotate`: a new value under the same id. The old one stays where the provider refuses the new one. */
export function keyRotate(cli: Cli): Command {
  return new Command('rotate')
    .description('replace the value of a key; calls under way go on with the old one')
    .argument('<id>', 'id of the key')
    .option('--from-env <var>', 'read the new value from this environment variable')
    .option('--stdin', 'read the new value from standard input')
    .option('--no-verify', 'do not ask the provider whether the new value works')
    .action(async (id: string, options: Options) => {
      const soakp = await cli.open()
      const before = await findKey(soakp.store, id)
      const secret = await cli.readSecret(`new key for ${before.provider}`, options)
      await checkSecret(cli, before.provider, secret)
      const check = verifying(cli, soakp, options.verify)
      try {
        const key = await soakp.vault.rotate(id, secret, check.accept)
        cli.result(
          { ...keyView(key), verified: check.found() },
          `rotated ${key.id} (${key.provider}, ${key.name}), now version ${key.version}`,
        )
      } finally {
        secret.wipe()
      }
    })
}
