import { SoakpError } from '../../errors.js'
import { accountFiles, type KeptAccount } from './account-files.js'
import type { Authority } from './authorities.js'
import { externalAccountByEmail } from './eab.js'
import { newKey, readKey } from './keys.js'
import type { Run } from './patience.js'
import { AcmeError, clean } from './problem.js'
import { type ExternalAccount, openSession, type Session } from './session.js'
import type { Transport } from './transport.js'
import { type Account, type Directory, readAccount } from './wire.js'

/** What an account is opened with, where there is none yet. */
export interface AccountWishes {
  /** Optional: Let's Encrypt sends nothing to it. ZeroSSL hands out credentials for it. */
  readonly email?: string | undefined
  /** The user has said so; an account is never opened on terms that nobody agreed to. */
  readonly agreesToTerms: boolean
  readonly externalAccount?: ExternalAccount | undefined
}

/** Where accounts live, and how CAs are reached. */
export interface AccountDeps {
  readonly certsDir: string
  readonly transport: Transport
  readonly run: Run
  /** Another place for ZeroSSL's credentials, for tests. */
  readonly credentialsUrl?: string
}

export interface AccountView extends KeptAccount {
  /** RFC 7638, of its key: for HTTP-01 answers that are served without state, and for support of the CA. */
  readonly thumbprint: string
  /** `valid`, `deactivated`, `revoked`. */
  readonly status: string
}

/** A session under the account at this CA, which is opened where there is none. */
export async function openAccount(deps: AccountDeps, authority: Authority, wishes: AccountWishes): Promise<Session> {
  const files = accountFiles(deps.certsDir, authority.directoryUrl)
  await settleKeyChange(deps, authority)
  const kept = files.account()
  const key = files.key()
  if (kept !== undefined && key !== undefined) return (await sessionOf(deps, authority, key)).withAccount(kept.url)
  return register(deps, authority, wishes)
}

/**
 * Opens an account with the key that lies there, else with a new one. Where the CA knows the key already it answers with its account: so this is also what to do
 * after a crash, and when a CA has forgotten an account.
 */
export async function register(deps: AccountDeps, authority: Authority, wishes: AccountWishes): Promise<Session> {
  const { run } = deps
  const files = accountFiles(deps.certsDir, authority.directoryUrl)
  let key = files.key()
  if (key === undefined) {
    key = await newKey('p256')
    await files.writeKey(key)
  }
  const directory = await (await sessionOf(deps, authority, key)).directory()
  const known = await findByKey(deps, authority, key)
  if (known !== undefined) {
    await keep(deps, authority, known.session, known.account, undefined)
    return known.session
  }
  agreed(authority, directory, wishes)
  const binding = await bindingFor(deps, authority, directory, wishes)
  const session = await sessionOf(deps, authority, key, binding)
  const contact = wishes.email === undefined ? {} : { contact: [`mailto:${wishes.email}`] }
  const terms = directory.termsOfService === undefined ? {} : { termsOfServiceAgreed: true }
  const reply = await session.post(
    'new account',
    directory.newAccount,
    { ...contact, ...terms },
    {
      byKey: true,
      bindExternalAccount: binding !== undefined,
    },
  )
  const url = reply.headers.location
  if (url === undefined) throw new SoakpError('acme_refused', `${authority.title} opened an account but does not say where.`)
  const opened = session.withAccount(url)
  await keep(deps, authority, opened, readAccount(reply.data, url), binding?.kid)
  run.tell(`opened an account at ${authority.title}: ${clean(url)}`)
  return opened
}

/** Takes over an account whose key was kept elsewhere. Replaces what is there; throws `acme_refused` where the CA does not know the key. */
export async function recover(deps: AccountDeps, authority: Authority, keyPem: Buffer): Promise<AccountView> {
  readKey(keyPem, 'The account key')
  const known = await findByKey(deps, authority, keyPem)
  if (known === undefined) throw new SoakpError('acme_refused', `${authority.title} has no account for this key.`)
  const files = accountFiles(deps.certsDir, authority.directoryUrl)
  files.dropNextKey()
  await files.writeKey(keyPem)
  await keep(deps, authority, known.session, known.account, undefined)
  return show(deps, authority)
}

/** The account as kept and as the CA sees it. Throws `not_found` where there is none. */
export async function show(deps: AccountDeps, authority: Authority): Promise<AccountView> {
  const { session, kept } = await existing(deps, authority)
  const reply = await session.post('account', kept.url, null)
  const { status, contact } = readAccount(reply.data, kept.url)
  return { ...kept, contact: withoutScheme(contact), status, thumbprint: session.thumbprint }
}

/** Replaces the account's e-mail address; `undefined` removes it. */
export async function changeContact(deps: AccountDeps, authority: Authority, email: string | undefined): Promise<void> {
  const { session, kept } = await existing(deps, authority)
  const contact = email === undefined ? [] : [email]
  await session.post('account contact', kept.url, { contact: contact.map(each => `mailto:${each}`) })
  await accountFiles(deps.certsDir, authority.directoryUrl).writeAccount({ ...kept, contact })
}

/**
 * Gives the account a new key: RFC 8555 section 7.3.5. Both keys lie on disk until the CA has said which one counts, so that a crash or a lost answer at any moment
 * leaves an account that opens.
 */
export async function rollOver(deps: AccountDeps, authority: Authority): Promise<AccountView> {
  const { session, kept } = await existing(deps, authority)
  const files = accountFiles(deps.certsDir, authority.directoryUrl)
  const nextKey = await newKey('p256')
  await files.writeNextKey(nextKey)
  const { keyChange } = await session.directory()
  const next = await sessionOf(deps, authority, nextKey)
  const inner = next.sign(keyChange, { account: kept.url, oldKey: session.jwk })
  try {
    await session.post('key change', keyChange, toObject(inner))
  } catch (error) {
    // lost answers too: the CA alone knows
    await settleKeyChange(deps, authority)
    if ((await sessionOf(deps, authority, files.key() ?? nextKey)).thumbprint !== next.thumbprint) throw error
  }
  if (files.nextKey() !== undefined) files.adoptNextKey()
  return show(deps, authority)
}

/** Closes the account for good, and removes its key here. */
export async function deactivate(deps: AccountDeps, authority: Authority): Promise<void> {
  const { session, kept } = await existing(deps, authority)
  await session.post('deactivation', kept.url, { status: 'deactivated' })
  accountFiles(deps.certsDir, authority.directoryUrl).removeAll()
}

/** A session under the key, not yet under an account. */
async function sessionOf(deps: AccountDeps, authority: Authority, accountKey: Buffer, externalAccount?: ExternalAccount): Promise<Session> {
  const { transport, run } = deps
  return openSession({ directoryUrl: authority.directoryUrl, accountKey, externalAccount, transport, run })
}

async function existing(deps: AccountDeps, authority: Authority): Promise<{ session: Session; kept: KeptAccount }> {
  await settleKeyChange(deps, authority)
  const files = accountFiles(deps.certsDir, authority.directoryUrl)
  const [kept, key] = [files.account(), files.key()]
  if (kept === undefined || key === undefined) throw new SoakpError('not_found', `There is no account at ${authority.title}.`)
  return { session: (await sessionOf(deps, authority, key)).withAccount(kept.url), kept }
}

/** A key change that was cut short: the CA says which of the two keys opens the account. Neither is dropped before the other one did. */
async function settleKeyChange(deps: AccountDeps, authority: Authority): Promise<void> {
  const files = accountFiles(deps.certsDir, authority.directoryUrl)
  const [nextKey, key, kept] = [files.nextKey(), files.key(), files.account()]
  if (nextKey === undefined) return
  if (kept === undefined || key === undefined || (await opens(deps, authority, nextKey, kept.url))) files.adoptNextKey()
  else if (await opens(deps, authority, key, kept.url)) files.dropNextKey()
  else {
    throw new SoakpError('acme_refused', `A change of the account key at ${authority.title} was cut short, and the CA takes neither key.`, {
      hint: `Both lie in ${files.folder}. Move the folder away to open a new account.`,
    })
  }
}

async function opens(deps: AccountDeps, authority: Authority, key: Buffer, accountUrl: string): Promise<boolean> {
  try {
    await (await sessionOf(deps, authority, key)).withAccount(accountUrl).post('account', accountUrl, null)
    return true
  } catch (error) {
    if (error instanceof AcmeError && error.code === 'acme_refused') return false
    throw error
  }
}

/** The account that the CA has for a key: newAccount with `onlyReturnExisting`. */
async function findByKey(
  deps: AccountDeps,
  authority: Authority,
  key: Buffer,
): Promise<{ session: Session; account: Account } | undefined> {
  const session = await sessionOf(deps, authority, key)
  const { newAccount } = await session.directory()
  try {
    const reply = await session.post('account by key', newAccount, { onlyReturnExisting: true }, { byKey: true })
    const url = reply.headers.location
    return url === undefined ? undefined : { session: session.withAccount(url), account: readAccount(reply.data, url) }
  } catch (error) {
    // besides accountDoesNotExist: some CAs ask for the terms or for a binding before they look, and each has words of its own
    if (error instanceof AcmeError && error.code === 'acme_refused') return undefined
    throw error
  }
}

async function keep(
  deps: AccountDeps,
  authority: Authority,
  session: Session,
  account: Account,
  boundTo: string | undefined,
): Promise<void> {
  const files = accountFiles(deps.certsDir, authority.directoryUrl)
  const { termsOfService } = await session.directory()
  const before = files.account()
  await files.writeAccount({
    directoryUrl: authority.directoryUrl,
    url: session.accountUrl ?? '',
    contact: withoutScheme(account.contact),
    termsOfService,
    boundTo: boundTo ?? before?.boundTo,
    createdAtMs: before?.createdAtMs ?? deps.run.now(),
  })
}

function agreed(authority: Authority, { termsOfService }: Directory, wishes: AccountWishes): void {
  if (termsOfService === undefined || wishes.agreesToTerms) return
  throw new SoakpError('acme_refused', `${authority.title} opens an account only for whoever agrees to its terms: ${termsOfService}`, {
    hint: 'Read them, then say so with --agree-tos.',
  })
}

async function bindingFor(
  deps: AccountDeps,
  authority: Authority,
  { externalAccountRequired }: Directory,
  { email, externalAccount }: AccountWishes,
): Promise<ExternalAccount | undefined> {
  if (externalAccount !== undefined || !externalAccountRequired) return externalAccount
  if (authority.binding === 'by-email' && email !== undefined) {
    deps.run.tell(`asking ${authority.title} for account credentials for ${email}`)
    return externalAccountByEmail(deps.transport, deps.run, email, deps.credentialsUrl)
  }
  const byEmail = authority.binding === 'by-email' ? 'Name an e-mail address with --email, and they are fetched. Or get' : 'Get'
  throw new SoakpError(
    'acme_refused',
    `${authority.title} opens accounts only for whoever has one there already: it wants an external account binding.`,
    {
      hint: `${byEmail} a key id and an HMAC key there (${authority.link}), and name them with --eab-kid and --eab-hmac-key-file.`,
    },
  )
}

function withoutScheme(contact: readonly string[]): string[] {
  return contact.map(each => each.replace(/^mailto:/i, ''))
}

function toObject(value: unknown): object {
  if (typeof value !== 'object' || value === null) throw new Error('acme-client signed nothing')
  return value
}
