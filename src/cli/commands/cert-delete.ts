import { Command } from 'commander'
import { agreed, certsDirToWrite } from '../cert-session.js'
import type { Cli } from '../cli.js'

/** `soakp cert delete NAME`: out of service, not renewed, keys gone. It is not revoked. */
export function certDelete(cli: Cli): Command {
  return new Command('delete')
    .description('take a certificate out of service and forget it, with its keys; it is not revoked')
    .argument('<name>', 'as `soakp cert list` calls it')
    .option('-y, --yes', 'do not ask')
    .action(async (name: string, { yes }: { yes?: boolean }) => {
      const [certsDir, { deleteCertificate, partsOf }] = await Promise.all([certsDirToWrite(cli), import('../../tls/life/remove.js')])
      partsOf(certsDir, name)
      await agreed(cli, yes, `Delete ${name} with its keys and all earlier versions?`, 'This')
      const removed = await deleteCertificate(certsDir, name)
      cli.result({ name, removed }, `${name} is deleted; a running daemon serves it no longer`)
    })
}
