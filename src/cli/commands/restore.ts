import { resolve } from 'node:path'
import { Command } from 'commander'
import type { Cli } from '../cli.js'
import { time } from '../format.js'

/** `soakp restore`: into a home that holds nothing yet, with the master key that was in use when the backup was made. */
export function restore(cli: Cli): Command {
  return new Command('restore')
    .description('put a backup into a home that holds no keys and no grants; never overwrites')
    .argument('<file>', 'what `soakp backup` wrote')
    .addHelpText(
      'after',
      '\nThe master key is not in a backup: put it into the home as master.key (mode 0400) first, or set SOAKP_MASTER_KEY_FILE or SOAKP_MASTER_KEY.',
    )
    .action(async (file: string) => {
      const { restoreHome } = await import('../../home.js')
      const done = await restoreHome(await cli.settings(), resolve(file), cli.now)
      const { createdAtMs, instanceId, keys, grants, unreadableKeys, replaced } = done
      if (unreadableKeys.length > 0)
        cli.warn(`warning: these keys did not open when the backup was made, and do not now: ${unreadableKeys.join(', ')}`)
      for (const name of replaced) cli.note(`the unused home's file is now ${name}`)
      cli.result(
        { home: done.home, instanceId, createdAt: time(createdAtMs), keys, grants, unreadableKeys, replaced },
        `restored ${keys} keys and ${grants} grants into ${done.home}, as they were on ${time(createdAtMs)}`,
      )
    })
}
