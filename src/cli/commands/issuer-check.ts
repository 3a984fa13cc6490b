import { Command } from 'commander'
import type { Cli } from '../cli.js'
import { facts } from '../format.js'
import { findIssuer } from '../input/find.js'

/** `soakp issuer check`: asks the issuer for its keys, as the daemon does. */
export function issuerCheck(cli: Cli): Command {
  return new Command('check')
    .description('ask an issuer for its keys now, as the daemon does, and say what is wrong')
    .argument('<issuer>', 'id or name of the issuer')
    .action(async (wanted: string) => {
      const { issuers } = await cli.open()
      const { id } = await findIssuer(issuers, wanted)
      const { jwksUrl, jwks, algorithms, freshMs } = await issuers.check(id)
      const keys = jwks.keys.map(key => key.kid ?? '(without a name)')
      cli.result(
        { id, jwksUrl, keys, algorithms, rememberedSeconds: freshMs / 1000 },
        facts([
          ['keys from', jwksUrl],
          ['keys', keys.join(', ')],
          ['algorithms', algorithms.join(', ')],
          ['remembered for', `${freshMs / 1000} s`],
        ]),
      )
    })
}
