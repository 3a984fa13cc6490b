import { Command } from 'commander'
import type { Cli } from '../cli.js'
import { minute, table } from '../format.js'
import { findApp } from '../input/find.js'
import { appUserView } from '../view/app.js'
import { grantState, grantView, scopeText } from '../view/grant.js'

/** `soakp token list`: every grant that the operator made, also those that have ended; the grants of an app's users, of which there may be many, for one app. */
export function tokenList(cli: Cli): Command {
  return new Command('list')
    .description('list the grants that access tokens were made for')
    .option('--app <app>', "the grants of this app's users instead: id or name of the app")
    .action((options: { app?: string }) => (options.app === undefined ? listOwn(cli) : listUsers(cli, options.app)))
}

async function listOwn(cli: Cli): Promise<void> {
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
}

async function listUsers(cli: Cli, name: string): Promise<void> {
  const { apps } = await cli.open()
  const app = await findApp(apps, name)
  const users = await apps.users(app.id)
  if (users.length === 0) cli.note('no user of this app has had an access token lately')
  const text = table(users, [
    { title: 'ID', value: user => user.id },
    { title: 'USER', value: user => user.user },
    { title: 'STATE', value: user => (user.revokedAtMs === null ? 'active' : 'blocked') },
    { title: 'SINCE', value: user => minute(user.createdAtMs) },
    { title: 'KEPT UNTIL', value: user => minute(user.expiresAtMs) },
  ])
  cli.result(users.map(appUserView), users.length === 0 ? '' : text)
}
