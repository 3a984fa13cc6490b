import { Command } from 'commander'
import { SoakpError } from '../../errors.js'
import type { Cli } from '../cli.js'
import { type AppOptions, addAppClearingOptions, addAppOptions, readAppOptions } from '../input/app.js'
import { findApp } from '../input/find.js'
import { appText, appView } from '../view/app.js'

/** `soakp app set`: what is given is replaced, the rest stays, for every user from the next call on. */
export function appSet(cli: Cli): Command {
  return addAppClearingOptions(addAppOptions(new Command('set').argument('<app>', 'id or name of the app')))
    .description('change what an app and its users may do, from the next call on; lists are replaced')
    .option('--name <text>', 'how you will recognise it')
    .option('--no-session', 'access tokens cannot be exchanged for new ones')
    .action((name: string, options: AppOptions) => set(cli, name, options))
}

async function set(cli: Cli, name: string, options: AppOptions): Promise<void> {
  const patch = readAppOptions(options)
  if (Object.keys(patch).length === 0)
    throw new SoakpError('usage', 'There is nothing to change.', { hint: '`soakp app set --help` shows what can be' })
  const { apps } = await cli.open()
  const app = await apps.set((await findApp(apps, name)).id, patch)
  cli.result(appView(app), appText(app))
}
