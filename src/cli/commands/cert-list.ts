import { Command } from 'commander'
import { certsDirOf } from '../cert-session.js'
import type { Cli } from '../cli.js'
import { statusJson, statusTable } from '../view/certificate.js'

/** `soakp cert list`: everything that is served beside the local CA's certificate, and what is still to come. */
export function certList(cli: Cli): Command {
  return new Command('list').description('list the certificates: names, issuer, end, next renewal, what is wrong').action(async () => {
    const { statuses } = await import('../../tls/life/status.js')
    const rows = statuses(await certsDirOf(cli), cli.now(), error => cli.warn(`warning: ${error.message}`))
    cli.result(rows.map(statusJson), statusTable(rows))
  })
}
