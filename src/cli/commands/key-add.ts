import { Command, Option } from 'commander'
import { SoakpError } from '../../errors.js'
import { newId } from '../../lib/id.js'
import { Secret } from '../../lib/secret.js'
import type { NewKey } from '../../vault/vault.js'
import { secretInArgv } from '../argv.js'
import type { Cli, SecretSource } from '../cli.js'
import { type CustomOptions, checkProvider } from '../input/custom-provider.js'
import { checkSecret, checkText, verifying } from '../input/key.js'
import { weightOption } from '../input/options.js'
import { keyView } from '../view/key.js'

interface Options extends SecretSource, CustomOptions {
  readonly name: string
  readonly organization?: string
  readonly project?: string
  readonly tenant?: string
  readonly user?: string
  readonly weight?: number
  readonly verify: boolean
}

/** `soakp key add`: the value comes from a prompt, a pipe or a variable, never from argv, where `ps` shows it. */
export function keyAdd(cli: Cli): Command {
  return new Command('add')
    .description('put an AI provider key into the vault')
    .argument('<provider>', 'whose key it is: openai, anthropic, gemini …, or a name of your own with --base-url')
    .allowExcessArguments()
    .option('--name <text>', 'how you will recognise it', 'default')
    .option('--base-url <url>', "replaces the provider's origin; may carry a path prefix")
    .option('--allow-private', 'the base URL may lie in a private network')
    .option(
      '--auth <scheme>',
      'how the key travels: bearer, basic, header:NAME, header:NAME:WORD (the word before it), query:NAME, or none where no key is asked for',
    )
    .option('--dialect <name>', 'which API a provider of your own speaks: openai, anthropic, gemini')
    .option('--organization <id>', 'sent along where the provider knows organizations')
    .option('--project <id>', 'sent along where the provider knows projects')
    .addOption(new Option('--tenant <name>', 'whose key it is; only `default` exists').default('default'))
    .option('--user <id>', "one user's own key, used before the tenant's")
    .addOption(weightOption())
    .option('--from-env <var>', 'read the key from this environment variable')
    .option('--stdin', 'read the key from standard input')
    .option('--no-verify', 'do not ask the provider whether the key works')
    .action((provider: string, options: Options, command: Command) => add(cli, provider, command.args.slice(1), options))
}

async function add(cli: Cli, name: string, excess: readonly string[], options: Options): Promise<void> {
  // one word too many here is the key itself, more often than not
  if (excess.length > 0) throw secretInArgv()
  const { providerId } = await import('../../providers/index.js')
  const provider = providerId(name)
  const custom = await checkProvider(provider, options)
  const tenant = options.tenant ?? 'default'
  if (tenant !== 'default') throw new SoakpError('usage', 'There is only the tenant `default`.')
  checkText('--name', options.name)
  const soakp = await cli.open()
  // what is stored in the place of a key that there is none of is worth nothing
  const secret =
    custom.auth === 'none' ? new Secret(`no-key-${newId('key').slice(4)}`) : await cli.readSecret(`${provider} API key`, options)
  try {
    if (custom.auth !== 'none') await checkSecret(cli, provider, secret)
    const check = verifying(cli, soakp, options.verify)
    const wanted: NewKey = { provider, secret, tenant, ...custom, ...given(options) }
    const key = await soakp.vault.put(wanted, check.accept)
    cli.result({ ...keyView(key), verified: check.found() }, `stored ${key.id} (${key.provider}, ${key.name})`)
  } finally {
    secret.wipe()
  }
}

function given({
  name,
  user,
  organization,
  project,
  weight,
}: Options): Pick<NewKey, 'name' | 'user' | 'organization' | 'project' | 'weight'> {
  const texts = { user, organization, project }
  const present = Object.entries(texts).filter((entry): entry is [keyof typeof texts, string] => entry[1] !== undefined)
  for (const [option, text] of present) checkText(`--${option}`, text)
  return { name, ...(weight !== undefined && { weight }), ...Object.fromEntries(present) }
}
