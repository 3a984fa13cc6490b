import { createHash, createPrivateKey, type KeyObject, randomUUID, sign, X509Certificate } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { SoakpError } from '../../../errors.js'
import { openApi } from '../api/api.js'
import { field, number, text } from '../api/fields.js'
import type { DnsContext, DnsSetting } from '../provider.js'
import { readCredentialFile } from '../settings.js'
import { type AccessToken, hiding, renewed } from './access-token.js'
import { askMetadata } from './metadata.js'

/** Addresses of Azure's clouds: where tokens come from, where resources are managed. */
const clouds: Readonly<Record<string, { readonly authority: string; readonly management: string }>> = {
  public: { authority: 'https://login.microsoftonline.com', management: 'https://management.azure.com' },
  usgovernment: { authority: 'https://login.microsoftonline.us', management: 'https://management.usgovcloudapi.net' },
  china: { authority: 'https://login.chinacloudapi.cn', management: 'https://management.chinacloudapi.cn' },
}

export const azureSettings: readonly DnsSetting[] = [
  { name: 'AZURE_TENANT_ID', what: 'The id of the directory (tenant).' },
  { name: 'AZURE_CLIENT_ID', what: 'The id of the application; with a managed identity, of the one that is meant.' },
  { name: 'AZURE_CLIENT_SECRET', hidden: true, what: 'A client secret of the application: its value, not its id.' },
  {
    name: 'AZURE_CLIENT_CERTIFICATE_PATH',
    what: 'In its place, the path of a PEM file with the application’s certificate and private key.',
  },
  { name: 'AZURE_FEDERATED_TOKEN_FILE', what: 'In its place, the path of a token of a federated identity (AKS), read anew each time.' },
  { name: 'AZURE_OIDC_TOKEN', hidden: true, what: 'In its place, a token of a federated identity provider.' },
  {
    name: 'AZURE_AUTH_METHOD',
    what: '`env` (secret or certificate), `wli` (workload identity), `oidc` or `msi` (managed identity). Without it, the first whose settings are there, else `msi`.',
  },
  { name: 'AZURE_ENVIRONMENT', byDefault: 'public', what: '`public`, `usgovernment` or `china`.' },
  { name: 'AZURE_AUTHORITY_HOST', what: 'The address that tokens come from, where it is none of the cloud’s own.' },
  { name: 'AZURE_POD_IDENTITY_AUTHORITY_HOST', byDefault: 'http://169.254.169.254', what: 'The metadata service of a machine.' },
  { name: 'IDENTITY_ENDPOINT', what: 'Set by App Service, Functions and Container Apps.' },
  { name: 'IDENTITY_HEADER', hidden: true, what: 'Set beside the address above.' },
]

export interface AzureCredentials {
  token(): Promise<AccessToken>
  readonly management: string
  readonly names: readonly string[]
}

/** What Microsoft’s error numbers mean for our settings. */
const guilty: readonly [RegExp, string][] = [
  [/AADSTS(?:90002|900023|900971)\b/, 'AZURE_TENANT_ID'],
  [/AADSTS(?:700016|70002)\b/, 'AZURE_CLIENT_ID'],
  [/AADSTS(?:7000215|7000222)\b/, 'AZURE_CLIENT_SECRET'],
  [/AADSTS700027\b/, 'AZURE_CLIENT_CERTIFICATE_PATH'],
]

type Method = 'secret' | 'certificate' | 'wli' | 'oidc' | 'msi'

const needed: Readonly<Record<Method, readonly string[]>> = {
  secret: ['AZURE_TENANT_ID', 'AZURE_CLIENT_ID', 'AZURE_CLIENT_SECRET'],
  certificate: ['AZURE_TENANT_ID', 'AZURE_CLIENT_ID', 'AZURE_CLIENT_CERTIFICATE_PATH'],
  wli: ['AZURE_TENANT_ID', 'AZURE_CLIENT_ID', 'AZURE_FEDERATED_TOKEN_FILE'],
  oidc: ['AZURE_TENANT_ID', 'AZURE_CLIENT_ID', 'AZURE_OIDC_TOKEN'],
  msi: [],
}

export function azureCredentials(context: DnsContext): AzureCredentials {
  const cloud = clouds[context.setting('AZURE_ENVIRONMENT') ?? 'public']
  if (cloud === undefined) {
    throw new SoakpError('dns_settings_incomplete', `${context.named('AZURE_ENVIRONMENT')} is none of ${Object.keys(clouds).join(', ')}.`)
  }
  const method = methodOf(context)
  const missing = needed[method].filter(name => context.setting(name) === undefined)
  if (missing.length > 0) {
    throw new SoakpError(
      'dns_settings_incomplete',
      `Azure DNS: ${context.named(...missing)} ${missing.length > 1 ? 'are' : 'is'} not set, as this way to authenticate needs.`,
    )
  }
  const names = method === 'msi' ? ['AZURE_CLIENT_ID'] : needed[method]
  const request =
    method === 'msi' ? () => managedIdentity(context, cloud.management) : () => clientToken(context, method, { ...cloud, names })
  return { names, management: cloud.management, token: renewed(context.now, request) }
}

function methodOf(context: DnsContext): Method {
  const asked = context.setting('AZURE_AUTH_METHOD')
  const there = (['AZURE_CLIENT_SECRET', 'AZURE_CLIENT_CERTIFICATE_PATH', 'AZURE_FEDERATED_TOKEN_FILE', 'AZURE_OIDC_TOKEN'] as const).map(
    name => context.setting(name) !== undefined,
  )
  const found = (['secret', 'certificate', 'wli', 'oidc'] as const).find((_, i) => there[i]) ?? 'msi'
  if (asked === undefined) return found
  if (asked === 'env') return there[1] && !there[0] ? 'certificate' : 'secret'
  if (asked === 'wli' || asked === 'oidc' || asked === 'msi') return asked
  throw new SoakpError(
    'dns_settings_incomplete',
    `${context.named('AZURE_AUTH_METHOD')} is ${asked}; understood are env, wli, oidc and msi.`,
  )
}

/** https://learn.microsoft.com/entra/identity-platform/v2-oauth2-client-creds-grant-flow */
async function clientToken(
  given: DnsContext,
  method: Exclude<Method, 'msi'>,
  { authority, management, names }: { readonly authority: string; readonly management: string; readonly names: readonly string[] },
): Promise<AccessToken> {
  const [tenant = '', client = ''] = [given.setting('AZURE_TENANT_ID'), given.setting('AZURE_CLIENT_ID')]
  const host = (given.setting('AZURE_AUTHORITY_HOST') ?? authority).replace(/\/+$/, '')
  const path = `/${encodeURIComponent(tenant)}/oauth2/v2.0/token`
  const proof = proofOf(given, method, { client, audience: `${host}${path}` })
  const context = hiding({ ...given, baseUrl: undefined }, Object.values(proof))
  const api = openApi(context, {
    base: host,
    headers: () => ({}),
    credentials: names,
    refuses: ({ status, json }) =>
      status === 401 || status === 403 || (status === 400 && /^(?:invalid_|unauthorized_)/.test(text(field(json, 'error')))),
    complaint: body => {
      // the first line says what is wrong, the rest is for Microsoft
      const words = text(field(body, 'error_description')).split(/\r?\n/)[0] || text(field(body, 'error'))
      const name = guilty.find(([pattern]) => pattern.test(words))?.[1]
      return words === '' ? undefined : `${words}${name === undefined ? '' : `; look at ${context.named(name)}`}`
    },
  })
  const form = { grant_type: 'client_credentials', client_id: client, scope: `${management}/.default`, ...proof }
  return tokenIn(context, (await api.send('POST', path, { form, idempotent: true })).json)
}

function proofOf(
  context: DnsContext,
  method: Exclude<Method, 'msi'>,
  { client, audience }: { readonly client: string; readonly audience: string },
): Record<string, string> {
  if (method === 'secret') return { client_secret: context.setting('AZURE_CLIENT_SECRET') ?? '' }
  const assertion =
    method === 'certificate'
      ? certificateAssertion(context, { client, audience })
      : method === 'oidc'
        ? (context.setting('AZURE_OIDC_TOKEN') ?? '')
        : readPlain(context.setting('AZURE_FEDERATED_TOKEN_FILE') ?? '', 'AZURE_FEDERATED_TOKEN_FILE')
  return { client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer', client_assertion: assertion }
}

/** https://learn.microsoft.com/entra/identity-platform/certificate-credentials */
function certificateAssertion(context: DnsContext, { client, audience }: { readonly client: string; readonly audience: string }): string {
  const pem = readCredentialFile(context.setting('AZURE_CLIENT_CERTIFICATE_PATH') ?? '', 'AZURE_CLIENT_CERTIFICATE_PATH').expose()
  let certificate: X509Certificate
  let key: KeyObject
  try {
    certificate = new X509Certificate(pem)
    key = createPrivateKey(pem)
  } catch {
    throw new SoakpError(
      'dns_settings_incomplete',
      'The file that AZURE_CLIENT_CERTIFICATE_PATH names holds no certificate and unencrypted private key in PEM form.',
    )
  }
  if (key.asymmetricKeyType !== 'rsa' || !certificate.checkPrivateKey(key)) {
    throw new SoakpError(
      'dns_settings_incomplete',
      'The certificate and the RSA key in the file that AZURE_CLIENT_CERTIFICATE_PATH names do not belong together.',
    )
  }
  const issuedAt = Math.floor(context.now() / 1000)
  const head = { alg: 'RS256', typ: 'JWT', x5t: createHash('sha1').update(certificate.raw).digest('base64url') }
  const claims = { aud: audience, iss: client, sub: client, jti: randomUUID(), iat: issuedAt, nbf: issuedAt, exp: issuedAt + 600 }
  const content = [head, claims].map(part => Buffer.from(JSON.stringify(part)).toString('base64url')).join('.')
  return `${content}.${sign('sha256', Buffer.from(content), key).toString('base64url')}`
}

/** https://learn.microsoft.com/entra/identity/managed-identities-azure-resources/how-to-use-vm-token */
async function managedIdentity(context: DnsContext, management: string): Promise<AccessToken> {
  const [endpoint, secret, client] = ['IDENTITY_ENDPOINT', 'IDENTITY_HEADER', 'AZURE_CLIENT_ID'].map(name => context.setting(name))
  const appService = endpoint !== undefined && secret !== undefined
  const host = context.setting('AZURE_POD_IDENTITY_AUTHORITY_HOST') ?? 'http://169.254.169.254'
  const url = appService ? endpoint : `${host.replace(/\/+$/, '')}/metadata/identity/oauth2/token`
  const query = new URLSearchParams({ 'api-version': appService ? '2019-08-01' : '2018-02-01', resource: `${management}/` })
  if (client !== undefined) query.set('client_id', client)
  const { json } = await askMetadata(context, {
    url: `${url}?${query}`,
    headers: appService ? { 'x-identity-header': secret } : { metadata: 'true' },
    otherwise:
      'Azure DNS: set AZURE_TENANT_ID, AZURE_CLIENT_ID and AZURE_CLIENT_SECRET; without them, a token comes from the managed identity of a machine of Azure',
  })
  return tokenIn(context, json)
}

function tokenIn(context: DnsContext, json: unknown): AccessToken {
  return { token: text(field(json, 'access_token')), expiresAtMs: context.now() + number(field(json, 'expires_in')) * 1000 }
}

function readPlain(file: string, named: string): string {
  try {
    return readFileSync(file, 'utf8').trim()
  } catch (cause) {
    throw new SoakpError('file_refused', `${file}, named by ${named}, cannot be read.`, { cause })
  }
}
