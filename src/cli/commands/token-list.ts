import { Command } from 'commander'
import type { Cli } from '../cli.js'
import { minute, table } from '../format.js'
import { grantState, grantView, scopeText } from '../views.js'

/** `soakp token list`: every grant, also those that have ended. */
export function tokenList(cli: Cli): Command {
  return new Command('list').description('list the grants that access tokens were made for').action(async () => {
    const { access } = await cli.open()
    const grants = await access.list()
    const now = cli.now()
    if (grants.length === 0) cli.note('no access tokens yet; make one with `soakp token create --provider NAME`')
    const text = table(grants, [
      { title: 'ID', value: grant => grant.id },
      { title: 'NAME', value: grant => grant.name },
      { title: 'SUBJECT', value: grant => grant.subject },
      { title: 'OPENS', value: grant => scopeText(grant.scope) },
      { title: 'STATE', value: grant => grantState(grant, now) },
      { title: 'EXPIRES', value: grant => minute(grant.expiresAtMs) },
    ])
    cli.result(
      grants.map(grant => grantView(grant, now)),
      grants.length === 0 ? '' : text,
    )
  })
}
