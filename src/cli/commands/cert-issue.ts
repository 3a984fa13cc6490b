import { Command } from 'commander'
import { SoakpError } from '../../errors.js'
import type { Keeper } from '../../keeper.js'
import type { CertificateWishes } from '../../tls/life/record.js'
import { withKeeper } from '../cert-session.js'
import type { Cli } from '../cli.js'
import { minute } from '../format.js'
import { type IssueOptions, issueOptions, wishesOf } from '../input/certificate.js'
import { statusJson } from '../view/certificate.js'

/** `soakp cert issue`: from names to a certificate that is served, and renewed from then on. */
export function certIssue(cli: Cli): Command {
  const command = new Command('issue').description('get a certificate from a public CA; the daemon serves it at once and renews it')
  return issueOptions(command).action((options: IssueOptions) => withKeeper(cli, {}, keeper => run(cli, keeper, options)))
}

async function run(cli: Cli, keeper: Keeper, options: IssueOptions): Promise<void> {
  const [{ issueFirst }, { statusOf }] = await Promise.all([import('../../tls/life/first.js'), import('../../tls/life/status.js')])
  const { name, wishes: said } = await wishesOf(options)
  const wishes = { ...said, agreesToTerms: said.agreesToTerms || (await agrees(cli, keeper, said)) }
  const { dryRun, force, replaceValid } = options
  const { record, outcome, hookFailures } = await issueFirst(keeper, { name, wishes, dryRun, force, replaceValid })
  const status = statusOf(keeper.certsDir, name, outcome === 'simulated' ? undefined : record, cli.now())
  const until = minute(status.live?.notAfterMs ?? null)
  const text = {
    issued: `${name} is issued: for ${wishes.names.join(', ')}, valid until ${until} UTC, in ${status.live?.lineage.folder}\nA running daemon serves it already and renews it; where none runs, put \`soakp cert renew -q\` into cron.`,
    kept: `${name} is there for these names, valid until ${until} UTC; --force replaces it. How it is renewed from now on was noted.`,
    simulated: 'the rehearsal went well; nothing was kept',
  }
  cli.result({ outcome, ...statusJson(status), hookFailures }, text[outcome])
  for (const { hook, why } of hookFailures) cli.warn(`warning: the ${hook} ${why}`)
  if (hookFailures.length > 0)
    throw new SoakpError('hook_failed', undefined, { hint: 'mend it; the next `soakp cert renew` runs the deploy hooks again' })
}

/** Asks on a terminal for what `--agree-tos` says; elsewhere the CA's refusal names the flag. */
async function agrees(cli: Cli, keeper: Keeper, { authorities }: CertificateWishes): Promise<boolean> {
  if (!cli.interactive || cli.json) return false
  const [{ termsToAgree }, { authorityOf }] = await Promise.all([
    import('../../tls/life/first.js'),
    import('../../tls/acme/authorities.js'),
  ])
  for (const { authority, url } of await termsToAgree(keeper, authorities.map(authorityOf))) {
    if (!(await cli.confirm(`Do you agree to the terms of ${authority.title}, ${url} ?`))) throw new SoakpError('cancelled')
  }
  return true
}
