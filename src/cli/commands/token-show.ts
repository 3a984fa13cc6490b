import { Command } from 'commander'
import type { Cli } from '../cli.js'
import { grantText, grantView, tokensView } from '../view/grant.js'

/** `soakp token show`: what a grant allows, and which tokens of it are out there. */
export function tokenShow(cli: Cli): Command {
  return new Command('show')
    .description('show what a grant allows and when its tokens end, never a token')
    .argument('<id>', 'id of the grant')
    .action(async (id: string) => {
      const { access } = await cli.open()
      const found = await access.show(id)
      cli.result({ ...grantView(found.grant, cli.now()), tokens: tokensView(found) }, grantText(found, cli.now()))
    })
}
