import { Command } from 'commander'
import type { Cli } from '../cli.js'
import { findIssuer } from '../input/find.js'
import { issuerText, issuerView } from '../view/issuer.js'

/** `soakp issuer show`: what its tokens have to be like. */
export function issuerShow(cli: Cli): Command {
  return new Command('show')
    .description('show what the tokens of an issuer have to be like')
    .argument('<issuer>', 'id or name of the issuer')
    .action(async (wanted: string) => {
      const { issuers } = await cli.open()
      const issuer = await findIssuer(issuers, wanted)
      cli.result(issuerView(issuer), issuerText(issuer))
    })
}
