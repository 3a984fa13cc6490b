import { SoakpError } from '../../../errors.js'
import { type AwsCredentials, sha256Hex, sigV4Headers } from '../../../lib/sigv4.js'
import { openApi } from '../api/api.js'
import { field, text } from '../api/fields.js'
import { readXml } from '../api/xml.js'
import type { DnsContext } from '../provider.js'
import type { ExpiringCredentials } from './aws-credentials.js'

interface Role {
  readonly role: string
  readonly externalId?: string | undefined
  /** Settings that are named when STS refuses. */
  readonly names: readonly string[]
}

/** https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRole.html */
export function assumeRole(
  context: DnsContext,
  credentials: AwsCredentials,
  { role, externalId, names }: Role,
): Promise<ExpiringCredentials> {
  const form = {
    Action: 'AssumeRole',
    RoleArn: role,
    RoleSessionName: 'soakp',
    ...(externalId === undefined ? {} : { ExternalId: externalId }),
  }
  return ask(context, form, names, credentials)
}

/** https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRoleWithWebIdentity.html */
export function assumeRoleWithWebIdentity(context: DnsContext, token: string, { role, names }: Role): Promise<ExpiringCredentials> {
  return ask(
    context,
    { Action: 'AssumeRoleWithWebIdentity', RoleArn: role, RoleSessionName: 'soakp', WebIdentityToken: token },
    names,
    undefined,
  )
}

async function ask(
  context: DnsContext,
  form: Readonly<Record<string, string>>,
  names: readonly string[],
  credentials: AwsCredentials | undefined,
): Promise<ExpiringCredentials> {
  const region = context.setting('AWS_REGION') ?? 'us-east-1'
  const api = openApi(
    { ...context, baseUrl: undefined },
    {
      base: context.setting('AWS_ENDPOINT_URL_STS') ?? `https://sts.${region}.amazonaws.com`,
      headers: (request): Record<string, string> =>
        credentials === undefined ? {} : awsHeaders(request, { credentials, region, service: 'sts', nowMs: context.now() }),
      credentials: names,
      refuses: ({ status, text: body }) =>
        status === 401 || status === 403 || /^(?:InvalidIdentityToken|ExpiredTokenException|IDPRejectedClaim)$/.test(awsError(body).code),
      complaint: (_, { text: body }) => awsError(body).words,
    },
  )
  const { text: body } = await api.send('POST', '/', { form: { ...form, Version: '2011-06-15' }, idempotent: true })
  const given = field(readXml(body), `${form.Action}Response`, `${form.Action}Result`, 'Credentials')
  const of = (name: string) => text(field(given, name))
  if (of('AccessKeyId') === '') throw new SoakpError('dns_provider_failed', `${api.base} answers without credentials.`)
  return {
    accessKeyId: of('AccessKeyId'),
    secretAccessKey: of('SecretAccessKey'),
    sessionToken: of('SessionToken'),
    expiresAtMs: Date.parse(of('Expiration')) || context.now(),
  }
}

export function awsHeaders(
  { method, url, body }: { readonly method: string; readonly url: URL; readonly body: string },
  scope: Parameters<typeof sigV4Headers>[1],
): Record<string, string> {
  const request = { method, path: url.pathname, query: url.search.slice(1), headers: { host: url.host }, bodySha256: sha256Hex(body) }
  return sigV4Headers(request, scope)
}

/** `<ErrorResponse><Error><Code>`; Route 53 also has `<InvalidChangeBatch><Messages><Message>`. */
export function awsError(body: string): { readonly code: string; readonly words: string | undefined } {
  const xml = readXml(body)
  const batch = field(xml, 'InvalidChangeBatch')
  if (batch !== undefined) {
    const messages = [field(batch, 'Messages', 'Message')].flat().map(text).filter(Boolean)
    return { code: 'InvalidChangeBatch', words: messages.join('; ') || 'InvalidChangeBatch' }
  }
  const code = text(field(xml, 'ErrorResponse', 'Error', 'Code'))
  return { code, words: code === '' ? undefined : `${text(field(xml, 'ErrorResponse', 'Error', 'Message'))} (${code})` }
}
