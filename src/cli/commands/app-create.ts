import { Command } from 'commander'
import type { NewApp } from '../../access/apps.js'
import { SoakpError } from '../../errors.js'
import type { Cli } from '../cli.js'
import { printable } from '../format.js'
import { type AppOptions, addAppOptions, readAppOptions } from '../input/app.js'
import { appView } from '../view/app.js'
import { scopeText } from '../view/grant.js'

/** `soakp app create`: the credential alone on stdout, for the backend's settings; the rest is on stderr. */
export function appCreate(cli: Cli): Command {
  return addAppOptions(new Command('create').argument('<name>', 'how you will recognise it'))
    .description('make an app, whose backend gets access tokens for its users; its credential is printed once and not kept')
    .addHelpText(
      'after',
      '\nOne of --provider, --key and --all is needed. What is not said to be of all users together is what each user may do.\n--no-session: a token cannot be exchanged for a new one.',
    )
    .option('--no-session', 'access tokens cannot be exchanged for new ones')
    .action((name: string, options: AppOptions) => create(cli, name, options))
}

async function create(cli: Cli, name: string, options: AppOptions): Promise<void> {
  const { scope, ...rules } = readAppOptions(options)
  if (!scope)
    throw new SoakpError('usage', 'An app opens nothing by itself.', { hint: 'say what it opens: --provider NAME, --key ID or --all' })
  const { apps } = await cli.open()
  const given = Object.fromEntries(Object.entries(rules).filter(([, value]) => value !== null)) as Partial<NewApp>
  const { app, credential } = await apps.create({ ...given, scope, name })
  if (app.rate === null)
    cli.warn('note: without --rate, who gets hold of the backend can call as often as he invents users; --rate limits all of them together')
  cli.note(`app ${app.id} (${printable(app.name)}) opens ${scopeText(app.scope)} to its users; its credential is shown only now:`)
  cli.result({ ...appView(app), credential }, credential)
}
