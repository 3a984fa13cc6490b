import { Command } from 'commander'
import { SoakpError } from '../../errors.js'
import type { Cli } from '../cli.js'
import { initText, nextFor } from '../view/init.js'

/** `soakp init`: makes the home, never overwrites, and completes what an interrupted one left. */
export function init(cli: Cli): Command {
  return new Command('init')
    .description('make the home: settings, master key, vault, signing key, local CA, certificate; never overwrites')
    .option('--domain <name>', 'the name by which clients on other machines will reach it')
    .action(async ({ domain }: { domain?: string }) => {
      if (domain !== undefined && !isHostName(domain)) throw new SoakpError('usage', '--domain is a host name such as soakp.example.com.')
      const { initHome } = await import('../../home.js')
      const report = await initHome(await cli.settings(), { domain, now: cli.now })
      const { home, instanceId, made, masterKeyFile = null, caFile } = report
      cli.result({ home, instanceId, made, masterKeyFile, caFile }, initText(report, nextFor(domain)))
      if (report.refusedNames.length > 0) {
        cli.warn(
          `warning: the local CA was made before and may not certify ${report.refusedNames.join(', ')}; move certs/local away and run \`soakp cert local\` for a new one`,
        )
      }
    })
}

function isHostName(text: string): boolean {
  return /^(?=.{1,253}$)[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?(\.[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)*$/.test(text)
}
