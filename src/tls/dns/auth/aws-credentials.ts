import { existsSync, readFileSync } from 'node:fs'
import { homedir } from 'node:os'
import { join } from 'node:path'
import { SoakpError } from '../../../errors.js'
import type { AwsCredentials } from '../../../lib/sigv4.js'
import type { DnsContext, DnsSetting } from '../provider.js'
import { readCredentialFile } from '../settings.js'
import { type Expiring, hiding, renewed } from './access-token.js'
import { containerSource, machineSource } from './aws-metadata.js'
import { assumeRole, assumeRoleWithWebIdentity } from './aws-sts.js'

export type ExpiringCredentials = AwsCredentials & Expiring

/** One place where credentials lie. */
export interface AwsSource {
  /** Settings that are named when AWS refuses. */
  readonly names: readonly string[]
  read(): Promise<ExpiringCredentials>
}

/** In the order in which they are looked at, as in AWS's own tools. */
export const awsSettings: readonly DnsSetting[] = [
  { name: 'AWS_ACCESS_KEY_ID', what: 'The id of an access key: IAM, Users, Security credentials.' },
  { name: 'AWS_SECRET_ACCESS_KEY', hidden: true, what: 'The secret that belongs to it.' },
  { name: 'AWS_SESSION_TOKEN', hidden: true, what: 'The session token, with temporary credentials.' },
  {
    name: 'AWS_WEB_IDENTITY_TOKEN_FILE',
    what: 'The path of a token of another identity provider (Kubernetes, CI), read anew each time; with AWS_ROLE_ARN.',
  },
  { name: 'AWS_ROLE_ARN', what: 'The role that is taken on with AWS_WEB_IDENTITY_TOKEN_FILE.' },
  { name: 'AWS_PROFILE', what: 'The profile in the credentials file. Without it, `default`.' },
  { name: 'AWS_SHARED_CREDENTIALS_FILE', what: 'The path of the credentials file. Without it, `~/.aws/credentials`.' },
  { name: 'AWS_CONFIG_FILE', what: 'The path of the configuration file. Without it, `~/.aws/config`.' },
  { name: 'AWS_CONTAINER_CREDENTIALS_RELATIVE_URI', what: 'Set by ECS.' },
  { name: 'AWS_CONTAINER_CREDENTIALS_FULL_URI', what: 'Set by EKS and others.' },
  { name: 'AWS_CONTAINER_AUTHORIZATION_TOKEN', hidden: true, what: 'Set beside the address above.' },
  { name: 'AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE', what: 'Set beside the address above.' },
  { name: 'AWS_EC2_METADATA_SERVICE_ENDPOINT', byDefault: 'http://169.254.169.254', what: 'The metadata service of a machine in EC2.' },
  { name: 'AWS_EC2_METADATA_DISABLED', what: '`true`: the metadata service is not asked.' },
  { name: 'AWS_ASSUME_ROLE_ARN', what: 'A role that is taken on with the credentials, whichever they are.' },
  { name: 'AWS_EXTERNAL_ID', what: 'The external id that the role asks for.' },
  {
    name: 'AWS_REGION',
    aliases: ['AWS_DEFAULT_REGION'],
    byDefault: 'us-east-1',
    what: 'The region of STS, which gives out roles. Route 53 has none.',
  },
  { name: 'AWS_ENDPOINT_URL_STS', what: 'The address of STS.' },
]

const forever = Number.POSITIVE_INFINITY

/** Source: https://docs.aws.amazon.com/sdkref/latest/guide/standardized-credentials.html */
export function awsCredentials(context: DnsContext): AwsSource {
  const source = findSource(context)
  const role = context.setting('AWS_ASSUME_ROLE_ARN')
  if (role === undefined) return { names: source.names, read: renewed(context.now, source.read) }
  const names = [...source.names, 'AWS_ASSUME_ROLE_ARN']
  const read = async () => assumeRole(context, await source.read(), { role, externalId: context.setting('AWS_EXTERNAL_ID'), names })
  return { names, read: renewed(context.now, read) }
}

function findSource(context: DnsContext): AwsSource {
  const [accessKeyId, secretAccessKey] = [context.setting('AWS_ACCESS_KEY_ID'), context.setting('AWS_SECRET_ACCESS_KEY')]
  if (accessKeyId !== undefined || secretAccessKey !== undefined) return ofVariables(context, accessKeyId, secretAccessKey)
  const tokenFile = context.setting('AWS_WEB_IDENTITY_TOKEN_FILE')
  if (tokenFile !== undefined) return ofWebIdentity(context, tokenFile)
  const profile = ofProfile(context)
  if (profile !== undefined) return profile
  return containerSource(context) ?? machineSource(context)
}

function ofVariables(context: DnsContext, accessKeyId: string | undefined, secretAccessKey: string | undefined): AwsSource {
  const names = ['AWS_ACCESS_KEY_ID', 'AWS_SECRET_ACCESS_KEY']
  if (accessKeyId === undefined || secretAccessKey === undefined) {
    throw new SoakpError('dns_settings_incomplete', `Amazon Route 53: of ${context.named(...names)} only one is set.`)
  }
  const sessionToken = context.setting('AWS_SESSION_TOKEN')
  return {
    names: sessionToken === undefined ? names : [...names, 'AWS_SESSION_TOKEN'],
    read: async () => ({ accessKeyId, secretAccessKey, sessionToken, expiresAtMs: forever }),
  }
}

function ofWebIdentity(context: DnsContext, tokenFile: string): AwsSource {
  const role = context.setting('AWS_ROLE_ARN')
  if (role === undefined)
    throw new SoakpError('dns_settings_incomplete', 'Amazon Route 53: AWS_ROLE_ARN is not set, and belongs to AWS_WEB_IDENTITY_TOKEN_FILE.')
  const names = ['AWS_WEB_IDENTITY_TOKEN_FILE', 'AWS_ROLE_ARN']
  return {
    names,
    read: async () => {
      const token = readPlain(tokenFile, 'AWS_WEB_IDENTITY_TOKEN_FILE').trim()
      return assumeRoleWithWebIdentity(hiding(context, [token]), token, { role, names })
    },
  }
}

/** A profile, from `~/.aws/credentials` and `~/.aws/config`; undefined where there is none and none was asked for. */
function ofProfile(context: DnsContext): AwsSource | undefined {
  const wanted = context.setting('AWS_PROFILE')
  const profiles = readProfiles(context)
  const profile = profiles.get(wanted ?? 'default')
  if (profile === undefined) {
    if (wanted === undefined) return undefined
    const there = profiles.size === 0 ? 'there is none' : `there are ${[...profiles.keys()].join(', ')}`
    throw new SoakpError(
      'dns_settings_incomplete',
      `Amazon Route 53: no profile ${wanted} in the credentials file, ${there}; look at AWS_PROFILE.`,
    )
  }
  const names = [wanted === undefined ? 'AWS_SHARED_CREDENTIALS_FILE' : 'AWS_PROFILE']
  const role = profile.get('role_arn')
  if (role === undefined) return staticProfile(context, profile, wanted ?? 'default', names)
  const from = profile.get('source_profile') ?? ''
  const source = profiles.get(from)
  if (source === undefined) {
    const what = `the profile ${wanted ?? 'default'} takes on a role, and its source_profile ${from} is not there`
    throw new SoakpError('dns_settings_incomplete', `Amazon Route 53: ${what}.`)
  }
  const { read } = staticProfile(context, source, from, names) ?? {}
  return read && { names, read: async () => assumeRole(context, await read(), { role, externalId: profile.get('external_id'), names }) }
}

function staticProfile(
  context: DnsContext,
  profile: ReadonlyMap<string, string>,
  name: string,
  names: readonly string[],
): AwsSource | undefined {
  const [accessKeyId, secretAccessKey] = [profile.get('aws_access_key_id'), profile.get('aws_secret_access_key')]
  const sessionToken = profile.get('aws_session_token')
  if (accessKeyId !== undefined && secretAccessKey !== undefined)
    return { names, read: async () => ({ accessKeyId, secretAccessKey, sessionToken, expiresAtMs: forever }) }
  const other = ['credential_process', 'sso_session', 'sso_start_url'].find(key => profile.has(key))
  if (other === undefined && context.setting('AWS_PROFILE') === undefined) return undefined
  throw new SoakpError(
    'dns_settings_incomplete',
    `Amazon Route 53: the profile ${name} holds no access key${other === undefined ? '' : `, but ${other}, which is not understood here`}.`,
    {
      hint: '`aws configure export-credentials --format env` prints what such a profile comes to, as variables',
    },
  )
}

/** Both files as one: what the credentials file says counts. */
function readProfiles(context: DnsContext): Map<string, Map<string, string>> {
  const folder = join(homedir(), '.aws')
  const config = context.setting('AWS_CONFIG_FILE') ?? join(folder, 'config')
  const credentials = context.setting('AWS_SHARED_CREDENTIALS_FILE') ?? join(folder, 'credentials')
  const profiles = new Map<string, Map<string, string>>()
  if (existsSync(config)) addProfiles(profiles, readPlain(config, 'AWS_CONFIG_FILE'), /^profile\s+/)
  if (context.setting('AWS_SHARED_CREDENTIALS_FILE') !== undefined || existsSync(credentials)) {
    addProfiles(profiles, readCredentialFile(credentials, 'AWS_SHARED_CREDENTIALS_FILE').expose(), /^$/)
  }
  return profiles
}

function addProfiles(profiles: Map<string, Map<string, string>>, content: string, prefix: RegExp): void {
  let profile: Map<string, string> | undefined
  for (const line of content.split(/\r?\n/)) {
    const section = /^\s*\[([^\]]+)\]/.exec(line)?.[1]?.trim()
    if (section !== undefined) {
      const name = section.replace(prefix, '')
      profile = profiles.get(name) ?? new Map()
      profiles.set(name, profile)
      continue
    }
    const [, key, value] = /^([A-Za-z_]\w*)\s*=\s*(.*?)\s*$/.exec(line) ?? []
    if (key !== undefined && value !== undefined) profile?.set(key.toLowerCase(), value)
  }
}

function readPlain(file: string, named: string): string {
  try {
    return readFileSync(file, 'utf8')
  } catch (cause) {
    throw new SoakpError('file_refused', `${file}, named by ${named}, cannot be read.`, { cause })
  }
}
