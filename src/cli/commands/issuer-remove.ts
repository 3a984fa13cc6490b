import { Command } from 'commander'
import type { Cli } from '../cli.js'

/** `soakp issuer remove`: its tokens open nothing any more, and neither do those that were had for them. */
export function issuerRemove(cli: Cli): Command {
  return new Command('remove')
    .description('trust an issuer no longer; the access tokens of its users end too')
    .argument('<id>', 'id of the issuer')
    .action(async (id: string) => {
      const { issuers } = await cli.open()
      const { name, url } = await issuers.show(id)
      await issuers.remove(id)
      cli.result({ id, name, url, removed: true }, `removed ${id} (${name}); the access tokens of its users have ended`)
    })
}
