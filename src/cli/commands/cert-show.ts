import { Command } from 'commander'
import { certsDirOf } from '../cert-session.js'
import type { Cli } from '../cli.js'
import { statusJson, statusText } from '../view/certificate.js'

/** `soakp cert show NAME` */
export function certShow(cli: Cli): Command {
  return new Command('show')
    .description('show one certificate: how it is renewed, when, why, and what went wrong')
    .argument('<name>', 'as `soakp cert list` calls it')
    .action(async (name: string) => {
      const [{ statusOf }, { readRecord }, { notFound }] = await Promise.all([
        import('../../tls/life/status.js'),
        import('../../tls/life/record.js'),
        import('../../tls/life/live.js'),
      ])
      const certsDir = await certsDirOf(cli)
      const status = statusOf(certsDir, name, readRecord(certsDir, name), cli.now())
      if (status.live === undefined && status.record === undefined) throw notFound(name)
      cli.result(statusJson(status), statusText(status))
    })
}
