import { Command } from 'commander'
import type { Cli } from '../cli.js'
import { findIssuer } from '../input/find.js'

/** `soakp issuer remove`: its tokens open nothing any more, and neither do those that were had for them. */
export function issuerRemove(cli: Cli): Command {
  return new Command('remove')
    .description('trust an issuer no longer; the access tokens of its users end too')
    .argument('<issuer>', 'id or name of the issuer')
    .action(async (wanted: string) => {
      const { issuers } = await cli.open()
      const { id, name, url } = await findIssuer(issuers, wanted)
      await issuers.remove(id)
      cli.result({ id, name, url, removed: true }, `removed ${id} (${name}); the access tokens of its users have ended`)
    })
}
