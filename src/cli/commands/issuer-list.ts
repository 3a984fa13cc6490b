import { Command } from 'commander'
import type { Cli } from '../cli.js'
import { table } from '../format.js'
import { issuerView } from '../view/issuer.js'

/** `soakp issuer list`: whose JWTs are taken. */
export function issuerList(cli: Cli): Command {
  return new Command('list').description('list the trusted issuers').action(async () => {
    const { issuers } = await cli.open()
    const all = await issuers.list()
    if (all.length === 0) cli.note('no issuers yet; add one with `soakp issuer add URL --audience A --app APP`')
    const text = table(all, [
      { title: 'ID', value: issuer => issuer.id },
      { title: 'NAME', value: issuer => issuer.name },
      { title: 'URL', value: issuer => issuer.url },
      { title: 'AUDIENCE', value: issuer => issuer.audiences.join(' ') },
      { title: 'APP', value: issuer => issuer.app },
    ])
    cli.result(all.map(issuerView), all.length === 0 ? '' : text)
  })
}
