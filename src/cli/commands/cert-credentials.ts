import { Command } from 'commander'
import { SoakpError } from '../../errors.js'
import type { Secret } from '../../lib/secret.js'
import type { DnsProvider, DnsSetting } from '../../tls/dns/provider.js'
import { homeSettings, homeToWrite } from '../cert-session.js'
import type { Cli } from '../cli.js'
import { table } from '../format.js'

interface SetOptions {
  readonly fromEnv?: string
  readonly stdin?: boolean
  readonly file?: string
  readonly fromEnvironment?: boolean
}

/** `soakp cert credentials …`: credentials of DNS providers, sealed in the home instead of lying in a file or the environment. */
export function certCredentials(cli: Cli): Command {
  const group = new Command('credentials').description('credentials of DNS providers, sealed under the master key')
  group.addCommand(
    new Command('set')
      .description('seal a setting of a DNS provider; it counts where the environment and .env do not have it')
      .argument('<provider>', 'id or alias of the DNS provider')
      .argument('[variable]', 'which of its settings (default: what is needed, of the first way to authenticate that it has)')
      .option('--from-env <variable>', 'take it from this environment variable')
      .option('--stdin', 'read it from standard input')
      .option('--file <file>', 'take it from a file that only you can read, for one of several lines')
      .option('--from-environment', 'take every setting of the provider that is in the environment or .env now')
      .action((provider: string, variable: string | undefined, options: SetOptions) => set(cli, provider, variable, options)),
  )
  group.addCommand(
    new Command('list').description('list what is kept, by name; values are never shown').action(async () => {
      const [{ home }, { listCredentials }] = await Promise.all([homeSettings(cli), import('../../vault/dns-credentials.js')])
      const rows = listCredentials(home)
      const text = table(rows, [
        { title: 'PROVIDER', value: row => row.provider },
        { title: 'KEPT', value: row => row.variables.join(', ') },
      ])
      cli.result(rows, rows.length === 0 ? 'none are kept' : text)
    }),
  )
  group.addCommand(
    new Command('remove')
      .description('forget what is kept for a provider, or one setting of it')
      .argument('<provider>', 'as `list` calls it')
      .argument('[variable]', 'one of its settings')
      .action(async (provider: string, variable: string | undefined) => {
        const [{ home }, { forgetCredentials }] = await Promise.all([homeToWrite(cli), import('../../vault/dns-credentials.js')])
        await forgetCredentials(home, provider, variable)
        cli.result(
          { provider, removed: variable ?? null },
          `nothing${variable === undefined ? '' : ` named ${variable}`} is kept for ${provider} any more`,
        )
      }),
  )
  return group
}

async function set(cli: Cli, name: string, variable: string | undefined, options: SetOptions): Promise<void> {
  const [settings, { dnsProvider }, { keepCredential }, { openHome }] = await Promise.all([
    homeToWrite(cli),
    import('../../tls/dns/index.js'),
    import('../../vault/dns-credentials.js'),
    import('../../vault/rotation.js'),
  ])
  const provider = dnsProvider(name)
  const values = options.fromEnvironment ? await fromEnvironment(settings.home, provider) : await some(cli, provider, variable, options)
  const keyring = await openHome(settings)
  for (const { setting, value } of values) {
    await keepCredential(settings.home, keyring, provider.id, setting.name, value)
    value.wipe()
  }
  const kept = values.map(({ setting }) => setting.name)
  cli.result(
    { provider: provider.id, kept },
    `${kept.join(', ')} of ${provider.title} ${kept.length === 1 ? 'is' : 'are'} sealed in ${settings.home}`,
  )
  if (options.fromEnvironment) cli.note('they can be taken out of the environment and .env now, where they would count first')
}

interface Value {
  readonly setting: DnsSetting
  readonly value: Secret
}

/** One value from wherever it is said to be; on a terminal, where several are needed, each is asked for. */
async function some(cli: Cli, provider: DnsProvider, variable: string | undefined, { fromEnv, stdin, file }: SetOptions): Promise<Value[]> {
  const isAsked = file === undefined && fromEnv === undefined && !stdin && cli.interactive
  const settings = settingsOf(provider, variable, isAsked)
  if (file === undefined) {
    const values: Value[] = []
    for (const setting of settings)
      values.push({ setting, value: await cli.readSecret(`${setting.name} of ${provider.title}`, { fromEnv, stdin }) })
    return values
  }
  if (fromEnv !== undefined || stdin) throw new SoakpError('usage', '--file excludes --from-env and --stdin.')
  const { readCredentialFile } = await import('../../tls/dns/settings.js')
  return settings.map(setting => ({ setting, value: readCredentialFile(file, '--file') }))
}

/** The one that is named; else what is secret of what is needed, or where that is several values and each can be asked for, all that is needed. */
function settingsOf({ title, settings }: DnsProvider, variable: string | undefined, isAsked: boolean): readonly DnsSetting[] {
  const names = settings.map(({ name }) => name).join(', ')
  const wanted = settings.find(({ name, aliases = [] }) => name === variable || (variable !== undefined && aliases.includes(variable)))
  if (wanted !== undefined) return [wanted]
  if (variable !== undefined) throw new SoakpError('usage', `${title} has no setting of that name.`, { hint: `It has ${names}.` })
  const firstWay = settings.find(({ required }) => typeof required === 'string')?.required
  const needed = settings.filter(({ required }) => required === true || (required !== undefined && required === firstWay))
  const hidden = (needed.length > 0 ? needed : settings).filter(each => each.hidden)
  if (hidden.length === 1) return hidden
  if (isAsked && needed.length > 0) return needed
  throw new SoakpError('usage', `Say which setting of ${title}.`, { hint: `One of ${names}; or all that are set now: --from-environment` })
}

async function fromEnvironment(home: string, { title, settings }: DnsProvider): Promise<Value[]> {
  const [{ foreignVariables }, { Secret }] = await Promise.all([import('../../config/foreign.js'), import('../../lib/secret.js')])
  const variable = foreignVariables({ home })
  const values = settings.flatMap(setting => {
    const text = [setting.name, ...(setting.aliases ?? [])].map(variable).find(value => value !== undefined)
    return text === undefined ? [] : [{ setting, value: new Secret(text) }]
  })
  if (values.length > 0) return values
  throw new SoakpError('usage', `No setting of ${title} is in the environment or .env.`, {
    hint: `It has ${settings.map(({ name }) => name).join(', ')}.`,
  })
}
