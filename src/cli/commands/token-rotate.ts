import { Command } from 'commander'
import { formatDuration } from '../../lib/duration.js'
import type { Cli } from '../cli.js'
import { time } from '../format.js'
import { durationOption } from '../input/options.js'
import { grantView } from '../view/grant.js'

/** `soakp token rotate`: without a grace the old token ends at once, as it should when it has leaked. */
export function tokenRotate(cli: Cli): Command {
  return new Command('rotate')
    .description('make a new access token for a grant; the old one ends')
    .argument('<id>', 'id of the grant')
    .addOption(durationOption('--grace <duration>', 'how long the old token still works (default: not at all)', 0))
    .action(async (id: string, { grace = 0 }: { grace?: number }) => {
      const { access } = await cli.open()
      const { grant, token, expiresAtMs } = await access.rotate(id, grace)
      const old = grace === 0 ? 'the old token has ended' : `the old token ends in ${formatDuration(grace)}`
      cli.note(`grant ${grant.id} has a new token until ${time(expiresAtMs)}; ${old}. The new one is shown only now:`)
      cli.result({ ...grantView(grant, cli.now()), token, expiresAt: time(expiresAtMs) }, token)
    })
}
