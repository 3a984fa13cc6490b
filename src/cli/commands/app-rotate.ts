import { Command } from 'commander'
import { formatDuration } from '../../lib/duration.js'
import type { Cli } from '../cli.js'
import { findApp } from '../input/find.js'
import { durationOption } from '../input/options.js'
import { appView } from '../view/app.js'

/** `soakp app rotate`: users keep their access tokens; only what the backend shows changes. */
export function appRotate(cli: Cli): Command {
  return new Command('rotate')
    .description("make a new credential for an app; the old one ends, its users' access tokens go on")
    .argument('<app>', 'id or name of the app')
    .addOption(durationOption('--grace <duration>', 'how long the old credential still works (default: not at all)', 0))
    .action(async (name: string, { grace = 0 }: { grace?: number }) => {
      const { apps } = await cli.open()
      const { app, credential } = await apps.rotate((await findApp(apps, name)).id, grace)
      const old = grace === 0 ? 'the old one has ended' : `the old one ends in ${formatDuration(grace)}`
      cli.note(`app ${app.id} has a new credential; ${old}. The new one is shown only now:`)
      cli.result({ ...appView(app), credential }, credential)
    })
}
