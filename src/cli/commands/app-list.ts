import { Command } from 'commander'
import type { Cli } from '../cli.js'
import { minute, table } from '../format.js'
import { appState, appView } from '../view/app.js'
import { scopeText } from '../view/grant.js'

/** `soakp app list`: every app, also those that are revoked. */
export function appList(cli: Cli): Command {
  return new Command('list').description('list the apps').action(async () => {
    const { apps } = await cli.open()
    const all = await apps.list()
    if (all.length === 0) cli.note('no apps yet; make one with `soakp app create NAME --provider NAME`')
    const text = table(all, [
      { title: 'ID', value: app => app.id },
      { title: 'NAME', value: app => app.name },
      { title: 'OPENS', value: app => scopeText(app.scope) },
      { title: 'RATE', value: app => app.rate },
      { title: 'USER RATE', value: app => app.userRate },
      { title: 'STATE', value: appState },
      { title: 'CREATED', value: app => minute(app.createdAtMs) },
    ])
    cli.result(all.map(appView), all.length === 0 ? '' : text)
  })
}
