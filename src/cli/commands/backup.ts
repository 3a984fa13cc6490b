import { readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { Command } from 'commander'
import type { Cli } from '../cli.js'
import { printable } from '../format.js'

/** `soakp backup`: while the daemon runs. The master key is not in it, so that whoever finds it has nothing. */
export function backup(cli: Cli): Command {
  return new Command('backup')
    .description('write everything but the master key into one encrypted file')
    .argument('<file>', 'the file to make; one that is there is not overwritten')
    .action(async (name: string) => {
      const file = resolve(name)
      const { settings, store } = await cli.open()
      const [{ createBackup }, { openHome }, { shareableSettings }] = await Promise.all([
        import('../../vault/backup.js'),
        import('../../vault/rotation.js'),
        import('../../config/settings-file.js'),
      ])
      const keyring = await openHome(settings)
      const { home } = settings
      await createBackup(file, { home, store, keyring, settings: shareableSettings(readEnv(join(home, '.env'))), now: cli.now })
      cli.result(
        { file, instanceId: keyring.instanceId },
        `wrote ${printable(file)}; it opens only with the master key, which is not in it`,
      )
    })
}

/** Not there is as good as empty: all settings may come from the environment. */
function readEnv(file: string): string {
  try {
    return readFileSync(file, 'utf8')
  } catch {
    return ''
  }
}
