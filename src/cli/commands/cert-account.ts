import { readFileSync } from 'node:fs'
import { Command } from 'commander'
import { SoakpError } from '../../errors.js'
import type { Keeper } from '../../keeper.js'
import type { AccountView } from '../../tls/acme/account.js'
import type { Authority } from '../../tls/acme/authorities.js'
import { agreed, withKeeper } from '../cert-session.js'
import type { Cli } from '../cli.js'
import { facts, time } from '../format.js'
import { emailOption } from '../input/options.js'

interface Options {
  readonly server?: string
  readonly email?: string
  readonly agreeTos?: boolean
  readonly eabKid?: string
  readonly eabHmacKeyFile?: string
  readonly key?: string
  readonly clear?: boolean
  readonly yes?: boolean
}

const server = ['--server <ca>', 'the CA; needed where there are accounts at several'] as const

/** `soakp cert account …`: the accounts at CAs, which orders open by themselves. */
export function certAccount(cli: Cli): Command {
  const group = new Command('account').description('the accounts at CAs; orders open them by themselves')
  const sub = (
    name: string,
    description: string,
    work: (keeper: Keeper, authority: Authority, options: Options) => Promise<AccountView | undefined>,
  ) => {
    const command = new Command(name).description(description).option(...server)
    group.addCommand(command)
    return command.action((options: Options) => run(cli, options, work))
  }
  sub('show', 'show the account as the CA sees it', async (keeper, authority) => (await account()).show(keeper, authority))
  sub('register', 'open an account, or find it again by its key', register)
    .addOption(emailOption('contact; optional at most CAs'))
    .option('--agree-tos', 'agree to the terms of the CA')
    .option('--eab-kid <id>', 'key id of the account at the CA’s site, where it wants one')
    .option('--eab-hmac-key-file <file>', 'file with its HMAC key (chmod 600)')
  sub('contact', 'change the address that the CA writes to', async (keeper, authority, { email, clear }) => {
    if ((email === undefined) === (clear !== true))
      throw new SoakpError('usage', 'Name the new address with --email, or give --clear for none.')
    const { changeContact, show } = await account()
    await changeContact(keeper, authority, email)
    return show(keeper, authority)
  })
    .addOption(emailOption('the new address'))
    .option('--clear', 'the CA is to have none')
  sub('rollover', 'give the account a new key', async (keeper, authority) => (await account()).rollOver(keeper, authority))
  sub('recover', 'take over an account whose key was kept elsewhere', async (keeper, authority, { key }) => {
    if (key === undefined) throw new SoakpError('usage', 'Name the file of the account key with --key.')
    return (await account()).recover(keeper, authority, readKeyFile(key))
  }).option('--key <file>', 'the private key of the account, in PEM')
  sub('deactivate', 'close the account for good', async (keeper, authority, { yes }) => {
    await agreed(cli, yes, `Close the account at ${authority.title} for good? Certificates stay valid.`, 'This')
    await (await account()).deactivate(keeper, authority)
    return undefined
  }).option('-y, --yes', 'do not ask')
  return group
}

const account = () => import('../../tls/acme/account.js')

async function register(keeper: Keeper, authority: Authority, { email, agreeTos, eabKid, eabHmacKeyFile }: Options): Promise<AccountView> {
  const { externalAccount, readHmacKeyFile } = await import('../../tls/acme/eab.js')
  if ((eabKid === undefined) !== (eabHmacKeyFile === undefined))
    throw new SoakpError('usage', '--eab-kid and --eab-hmac-key-file go together.')
  const { openAccount, show } = await account()
  await openAccount(keeper, authority, {
    email,
    agreesToTerms: agreeTos === true,
    ...(eabKid === undefined || eabHmacKeyFile === undefined
      ? {}
      : { externalAccount: externalAccount(eabKid, readHmacKeyFile(eabHmacKeyFile)) }),
  })
  return show(keeper, authority)
}

async function run(
  cli: Cli,
  options: Options,
  work: (keeper: Keeper, authority: Authority, options: Options) => Promise<AccountView | undefined>,
): Promise<void> {
  await withKeeper(cli, {}, async keeper => {
    const [{ accountsIn }, { authorityOf }, { withCertificatesLock }] = await Promise.all([
      import('../../tls/acme/account-files.js'),
      import('../../tls/acme/authorities.js'),
      import('../../tls/life/lock.js'),
    ])
    const there = accountsIn(keeper.certsDir)
    if (options.server === undefined && there.length > 1) {
      throw new SoakpError('usage', `There are accounts at several CAs: ${there.map(url => authorityOf(url).id).join(', ')}.`, {
        hint: 'say which with --server',
      })
    }
    const authority = authorityOf(options.server ?? there[0] ?? 'letsencrypt')
    const view = await withCertificatesLock(keeper.certsDir, () => work(keeper, authority, options))
    if (view === undefined)
      return cli.result({ server: authority.id, status: 'deactivated' }, `the account at ${authority.title} is closed`)
    const { url, contact, status, thumbprint, boundTo, termsOfService, createdAtMs } = view
    cli.result(
      {
        server: authority.id,
        url,
        status,
        contact,
        thumbprint,
        boundTo: boundTo ?? null,
        termsOfService: termsOfService ?? null,
        createdAt: time(createdAtMs),
      },
      facts([
        ['CA', authority.title],
        ['account', url],
        ['status', status],
        ['contact', contact.join(', ')],
        ['thumbprint', thumbprint],
        ['bound to', boundTo],
        ['terms', termsOfService],
      ]),
    )
  })
}

function readKeyFile(file: string): Buffer {
  try {
    return readFileSync(file)
  } catch (cause) {
    throw new SoakpError('file_refused', `${file} cannot be read.`, { cause })
  }
}
