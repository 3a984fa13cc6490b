import { resolve } from 'node:path'
import { Command } from 'commander'
import { homeToWrite } from '../cert-session.js'
import type { Cli } from '../cli.js'

/** `soakp master rotate`: while the daemon runs; what the master key seals stays the same. */
export function masterRotate(cli: Cli): Command {
  return new Command('rotate')
    .description('seal the vault under a new master key; running daemons go on')
    .option('--new-key-file <file>', 'where the new key is, or is to be put; needed where the old one comes from the environment')
    .addHelpText('after', '\nBackups made before open only with the old master key: keep it as long as you keep them.')
    .action(async ({ newKeyFile }: { newKeyFile?: string }) => {
      const settings = await homeToWrite(cli)
      const { rotateMaster } = await import('../../vault/rotation.js')
      const { home, masterKey, masterKeyFile } = settings
      const wanted = newKeyFile === undefined ? undefined : resolve(newKeyFile)
      const { masterKeyVersion, keyFile } = await rotateMaster({ home, masterKey, masterKeyFile, newKeyFile: wanted })
      cli.result(
        { masterKeyVersion, masterKeyFile: keyFile },
        `the vault is sealed under master key ${masterKeyVersion} now, in ${keyFile}; copy it to a safe place`,
      )
      if (wanted !== undefined)
        cli.warn(`note: set SOAKP_MASTER_KEY_FILE=${keyFile}, and take the old setting away, before the daemon is started again`)
    })
}
