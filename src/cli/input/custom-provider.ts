import { SoakpError } from '../../errors.js'
import type { Provider } from '../../providers/provider.js'
import type { NewKey } from '../../vault/vault.js'
import { shown } from '../argv.js'

/** The flags that describe where a key is used and how it travels. */
export interface CustomOptions {
  readonly baseUrl?: string
  readonly allowPrivate?: boolean
  readonly auth?: string
  readonly dialect?: string
}

type Described = Pick<NewKey, 'baseUrl' | 'allowPrivate' | 'auth' | 'dialect'>

/** Checks a provider's name and the flags that come with it. Throws `unknown_provider`, `usage`, `base_url_refused`. */
export async function checkProvider(name: string, options: CustomOptions): Promise<Described> {
  const { dialects, findDialect, findProvider, formatAuthScheme, isProviderName, parseAuthScheme } = await import(
    '../../providers/index.js'
  )
  const row = findProvider(name)
  const known = row !== undefined
  if (!known && !isProviderName(name)) {
    throw new SoakpError(
      'usage',
      'A provider is called by lower-case letters, digits and dashes, and not by a name that soakp uses itself.',
    )
  }
  if (!known && options.baseUrl === undefined) {
    throw new SoakpError('unknown_provider', `${shown(name)} is not built in.`, {
      hint: '`soakp key providers` lists those that are; any other needs --base-url URL',
    })
  }
  if (row?.baseUrl?.required && options.baseUrl === undefined) {
    throw new SoakpError('usage', `A key of ${row.title} needs --base-url ${row.baseUrl.example}`, { hint: row.baseUrl.note })
  }
  if (known && options.dialect !== undefined)
    throw new SoakpError('usage', `${name} has its own dialect; --dialect is for providers of your own.`)
  if (options.allowPrivate && options.baseUrl === undefined)
    throw new SoakpError('usage', '--allow-private says something about a --base-url.')
  if (options.dialect !== undefined && !findDialect(options.dialect)) {
    throw new SoakpError('usage', `There is no such dialect; there are ${dialects.map(dialect => dialect.name).join(', ')}.`)
  }
  const auth = options.auth === undefined ? undefined : parseAuthScheme(options.auth)
  if (options.auth !== undefined && !auth)
    throw new SoakpError(
      'usage',
      '--auth is bearer, basic, none, header:NAME, header:NAME:WORD or query:NAME, with a name that a key can travel under.',
    )
  return {
    ...(await checkedUrl(options, versionOf(row))),
    ...(auth ? { auth: formatAuthScheme(auth) } : !known && { auth: 'bearer' }),
    ...(!known && { dialect: options.dialect ?? 'openai' }),
  }
}

/** What a provider's own calls begin with, and base URLs for SDKs therefore often end with; longest first. */
function versionOf(row: Provider | undefined): readonly string[] {
  return [row?.compatiblePath ?? '', row?.messagesPath ?? ''].filter(path => path !== '').sort((a, b) => b.length - a.length)
}

/** A base URL replaces a provider's origin, so one that was copied from an SDK's settings is kept without the version that every call says again. */
async function checkedUrl(
  { baseUrl, allowPrivate = false }: CustomOptions,
  versions: readonly string[],
): Promise<Pick<NewKey, 'baseUrl' | 'allowPrivate'>> {
  if (baseUrl === undefined) return {}
  const { checkBaseUrl } = await import('../../lib/outbound.js')
  checkBaseUrl(baseUrl, allowPrivate)
  const bare = baseUrl.replace(/\/+$/, '')
  const version = versions.find(path => bare.endsWith(path))
  return { baseUrl: version === undefined ? bare : bare.slice(0, -version.length).replace(/\/+$/, ''), allowPrivate }
}
