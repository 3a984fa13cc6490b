import { Command } from 'commander'
import { SoakpError } from '../../errors.js'
import { certsDirOf } from '../cert-session.js'
import type { Cli } from '../cli.js'
import { statusJson, statusText } from '../view/certificate.js'

/** `soakp cert show NAME` */
export function certShow(cli: Cli): Command {
  return new Command('show')
    .description('show one certificate: how it is renewed, when, why, and what went wrong')
    .argument('<name>', 'as `soakp cert list` calls it')
    .action(async (name: string) => {
      const [{ statusOf }, { readRecord }] = await Promise.all([import('../../tls/life/status.js'), import('../../tls/life/record.js')])
      const certsDir = await certsDirOf(cli)
      const status = statusOf(certsDir, name, readRecord(certsDir, name), cli.now())
      if (status.live === undefined && status.record === undefined) {
        throw new SoakpError('certificate_not_found', `There is none named ${name}.`, { hint: '`soakp cert list` shows what there is' })
      }
      cli.result(statusJson(status), statusText(status))
    })
}
