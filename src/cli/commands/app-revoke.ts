import { Command } from 'commander'
import type { Cli } from '../cli.js'
import { printable } from '../format.js'
import { findApp } from '../input/find.js'
import { appView } from '../view/app.js'

/** `soakp app revoke`: when it returns, no call of any of its users that begins later is accepted, by any process. */
export function appRevoke(cli: Cli): Command {
  return new Command('revoke')
    .description('end an app, its credential and every access token of its users for good')
    .argument('<app>', 'id or name of the app')
    .option('--now', 'cut streams that are open, too')
    .action(async (name: string, { now = false }: { now?: boolean }) => {
      const { apps } = await cli.open()
      const { id } = await findApp(apps, name)
      await apps.revoke(id, now)
      const app = await apps.show(id)
      cli.result(
        appView(app),
        `revoked ${app.id} (${printable(app.name)}) and every access token of its users${now ? '; open streams are cut' : '; open streams may finish'}`,
      )
    })
}
