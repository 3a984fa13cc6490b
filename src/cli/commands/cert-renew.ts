import { Command } from 'commander'
import { SoakpError } from '../../errors.js'
import { certsDirOf, withKeeper } from '../cert-session.js'
import type { Cli } from '../cli.js'
import { Exit } from '../failure.js'
import { printable } from '../format.js'
import { renewalJson, renewalText } from '../view/certificate.js'

interface Options {
  readonly quiet?: boolean
  readonly force?: boolean
  readonly dryRun?: boolean
  readonly certName?: string
  readonly jitter: boolean
}

/** Of a run that nobody waits for: the machines of the world have their clocks set right. */
const longestJitterMs = 480_000

/** `soakp cert renew`: made for cron and timers. Exit codes: 0, 1 something was not renewed, 71 a hook failed, 75 another run is under way. */
export function certRenew(cli: Cli): Command {
  return new Command('renew')
    .description('renew what is due, and nothing else: for cron and timers; a running daemon does the same by itself')
    .option('-q, --quiet', 'say nothing unless something failed')
    .option('--force', 'whatever is due or not')
    .option('--dry-run', 'go through each renewal at the CA’s staging and keep nothing')
    .option('--cert-name <name>', 'only this one')
    .option('--no-jitter', 'begin at once; without a terminal, up to 8 minutes are waited, so that not everybody asks at the same time')
    .addHelpText(
      'after',
      '\nEnds with 0 when nothing was due or all went well, 1 when something was not renewed, 71 when all was renewed but a hook failed, 75 when another run is under way.',
    )
    .action((options: Options) => run(cli, options))
}

async function run(cli: Cli, { quiet = false, force, dryRun, certName: name, jitter }: Options): Promise<void> {
  const waits = jitter && !cli.interactive && !force && !dryRun
  const waitMs = waits ? Math.random() * longestJitterMs : 0
  if (waits && name !== undefined) {
    // a wrong name is told before the wait
    const { recordOf } = await import('../../tls/life/renew.js')
    recordOf(await certsDirOf(cli), name)
  }
  const report = await withKeeper(cli, { quiet, waitMs }, async keeper => {
    const { renew } = await import('../../tls/life/renew.js')
    return renew(keeper, { name, force, dryRun })
  }).catch(error => {
    // cron sends every line by mail, and whoever holds the lock does the work
    if (quiet && error instanceof SoakpError && error.code === 'certificate_busy') throw new Exit(error.exit)
    throw error
  })
  if (cli.json || !quiet) cli.result(renewalJson(report), printable(renewalText(report)).replaceAll('\\u000a', '\n'))
  const failed = report.renewals.filter(({ outcome }) => outcome === 'failed')
  for (const { name, error, alarming } of failed) {
    cli.warn(`${alarming ? 'soakp: ABOUT TO END: ' : 'soakp: '}${name} was not renewed: ${printable(error?.message ?? '')}`)
    if (error?.hint !== undefined) cli.warn(`  ${error.hint.replaceAll('\n', '\n  ')}`)
  }
  for (const { hook, why } of report.hookFailures) cli.warn(`soakp: the ${printable(hook)} ${printable(why)}`)
  if (failed.length > 0)
    throw new SoakpError('certificate_failed', `${failed.length} of ${report.renewals.length} failed.`, {
      hint: '`soakp cert show NAME` says when it is tried again',
    })
  if (report.hookFailures.length > 0)
    throw new SoakpError('hook_failed', undefined, { hint: 'mend it; the next run runs the deploy hooks again' })
}
