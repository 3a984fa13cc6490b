import { Command } from 'commander'
import type { Cli } from '../cli.js'
import { findApp } from '../input/find.js'
import { appText, appView } from '../view/app.js'

/** `soakp app show`: what its users may do, never a credential. */
export function appShow(cli: Cli): Command {
  return new Command('show')
    .description('show what an app and its users may do, never a credential')
    .argument('<app>', 'id or name of the app')
    .action(async (name: string) => {
      const { apps } = await cli.open()
      const app = await findApp(apps, name)
      cli.result(appView(app), appText(app))
    })
}
