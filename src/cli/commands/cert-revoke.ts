import { Command } from 'commander'
import { SoakpError } from '../../errors.js'
import { agreed, certsDirToWrite, withKeeper } from '../cert-session.js'
import type { Cli } from '../cli.js'
import { countOption } from '../input/options.js'

interface Options {
  readonly reason: string
  readonly archived?: number
  readonly server?: string
  readonly yes?: boolean
}

/** `soakp cert revoke NAME`: of what is in service only after a question, because clients refuse it from then on. */
export function certRevoke(cli: Cli): Command {
  return new Command('revoke')
    .description('revoke a certificate; renew first and revoke the old version, so that nobody is without')
    .argument('<name>', 'as `soakp cert list` calls it')
    .option('--reason <reason>', 'unspecified, key-compromise, affiliation-changed, superseded or cessation-of-operation', 'unspecified')
    .addOption(countOption('--archived <n>', 'an earlier version, as `certs/archive/NAME` numbers them, instead of the one in service'))
    .option('--server <ca>', 'the CA that issued it, where that is not known here')
    .option('-y, --yes', 'do not ask')
    .addHelpText(
      'after',
      '\nIn order: `soakp cert renew --force --cert-name NAME`, then `soakp cert revoke NAME --archived N` with the version that `soakp cert show NAME` gave before.',
    )
    .action((name: string, options: Options) => run(cli, name, options))
}

async function run(cli: Cli, name: string, { reason, archived: version, server, yes }: Options): Promise<void> {
  const [{ revokeCertificate, partsOf }, { isReason }, { authorityOf }, { revocationReasons }] = await Promise.all([
    import('../../tls/life/remove.js'),
    import('../../tls/life/record.js'),
    import('../../tls/acme/authorities.js'),
    import('../../tls/acme/revoke.js'),
  ])
  if (!isReason(reason)) throw new SoakpError('usage', `--reason is one of ${Object.keys(revocationReasons).join(', ')}.`)
  const directoryUrl = server === undefined ? undefined : authorityOf(server).directoryUrl
  partsOf(await certsDirToWrite(cli), name)
  if (version === undefined)
    await agreed(
      cli,
      yes,
      `${name} is in service: clients will refuse it until it is renewed. Revoke it now?`,
      'The revocation of what is in service',
    )
  const done = await withKeeper(cli, {}, keeper => revokeCertificate(keeper, { name, version, reason, directoryUrl }))
  const { fingerprint, serial, byThisCall, inService } = done
  const text = byThisCall ? `${name} (${serial}) is revoked` : `${name} (${serial}) was revoked before`
  cli.result({ name, fingerprint, serial, reason, alreadyRevoked: !byThisCall, inService }, text)
  if (inService) cli.warn(`note: it is still in service; replace it now: soakp cert renew --cert-name ${name}`)
}
