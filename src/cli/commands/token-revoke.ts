import { Command } from 'commander'
import type { Cli } from '../cli.js'
import { printable } from '../format.js'
import { grantView } from '../view/grant.js'

/** `soakp token revoke`: when it returns, no call that begins later is accepted, by any process. */
export function tokenRevoke(cli: Cli): Command {
  return new Command('revoke')
    .description('end a grant and all its tokens for good')
    .argument('<id>', 'id of the grant')
    .option('--now', 'cut streams that are open, too')
    .action(async (id: string, { now = false }: { now?: boolean }) => {
      const { access } = await cli.open()
      await access.revoke(id, now)
      const { grant } = await access.show(id)
      cli.result(
        grantView(grant, cli.now()),
        `revoked ${grant.id} (${printable(grant.name)})${now ? '; open streams are cut' : '; open streams may finish'}`,
      )
    })
}
