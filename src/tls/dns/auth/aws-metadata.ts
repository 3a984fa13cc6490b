import { readFileSync } from 'node:fs'
import { SoakpError } from '../../../errors.js'
import { field, text } from '../api/fields.js'
import type { DnsContext } from '../provider.js'
import type { Expiring } from './access-token.js'
import type { AwsSource, ExpiringCredentials } from './aws-credentials.js'
import { askMetadata } from './metadata.js'

const setInstead =
  'Amazon Route 53: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE; without them, credentials come from the metadata service of a machine or container of AWS'

/** Addresses that a container's credentials may come from without TLS. Source: https://docs.aws.amazon.com/sdkref/latest/guide/feature-container-credentials.html */
const plainHosts = new Set(['localhost', '127.0.0.1', '[::1]', '169.254.170.2', '169.254.170.23', '[fd00:ec2::23]'])

/** ECS, EKS pod identity and whatever speaks as they do; undefined where nothing says so. */
export function containerSource(context: DnsContext): AwsSource | undefined {
  const [relative, full] = [
    context.setting('AWS_CONTAINER_CREDENTIALS_RELATIVE_URI'),
    context.setting('AWS_CONTAINER_CREDENTIALS_FULL_URI'),
  ]
  if (relative === undefined && full === undefined) return undefined
  const name = relative === undefined ? 'AWS_CONTAINER_CREDENTIALS_FULL_URI' : 'AWS_CONTAINER_CREDENTIALS_RELATIVE_URI'
  const url = relative === undefined ? (full ?? '') : `http://169.254.170.2${relative}`
  if (!URL.canParse(url)) throw new SoakpError('dns_settings_incomplete', `${name} is no address.`)
  const { protocol, hostname } = new URL(url)
  if (protocol !== 'https:' && !plainHosts.has(hostname)) {
    throw new SoakpError('dns_settings_incomplete', `${name} leads to ${hostname} without TLS; credentials are not asked for there.`)
  }
  return {
    names: [name],
    async read() {
      const authorization = containerToken(context)
      const headers = authorization === undefined ? {} : { authorization }
      return credentialsIn((await askMetadata(context, { url, headers, otherwise: setInstead })).json, name)
    },
  }
}

function containerToken(context: DnsContext): string | undefined {
  const file = context.setting('AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE')
  if (file === undefined) return context.setting('AWS_CONTAINER_AUTHORIZATION_TOKEN')
  try {
    return readFileSync(file, 'utf8').trim()
  } catch (cause) {
    throw new SoakpError('file_refused', `${file}, named by AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE, cannot be read.`, { cause })
  }
}

/** The role of a machine in EC2, by the second version of its metadata service. */
export function machineSource(context: DnsContext): AwsSource {
  const names = ['AWS_ACCESS_KEY_ID', 'AWS_SECRET_ACCESS_KEY']
  if (context.setting('AWS_EC2_METADATA_DISABLED')?.toLowerCase() === 'true') {
    throw new SoakpError('dns_settings_incomplete', `${setInstead}, and AWS_EC2_METADATA_DISABLED is true.`)
  }
  const base = (context.setting('AWS_EC2_METADATA_SERVICE_ENDPOINT') ?? 'http://169.254.169.254').replace(/\/+$/, '')
  return {
    names,
    async read() {
      const ask = async (path: string, method: 'GET' | 'PUT', headers: Readonly<Record<string, string>>) =>
        askMetadata(context, { url: `${base}/latest/${path}`, method, headers, otherwise: setInstead })
      const session = (await ask('api/token', 'PUT', { 'x-aws-ec2-metadata-token-ttl-seconds': '21600' })).text
      const headers = { 'x-aws-ec2-metadata-token': session }
      const [role = ''] = (await ask('meta-data/iam/security-credentials/', 'GET', headers)).text.split('\n')
      if (role === '') throw new SoakpError('dns_settings_incomplete', `${setInstead}, and this machine has no role.`)
      return credentialsIn(
        (await ask(`meta-data/iam/security-credentials/${role.trim()}`, 'GET', headers)).json,
        `the machine’s role ${role.trim()}`,
      )
    },
  }
}

function credentialsIn(json: unknown, from: string): ExpiringCredentials {
  const [accessKeyId, secretAccessKey, sessionToken] = ['AccessKeyId', 'SecretAccessKey', 'Token'].map(name => text(field(json, name)))
  if (!accessKeyId || !secretAccessKey) throw new SoakpError('dns_credentials_refused', `${from}: no credentials are given out.`)
  return { accessKeyId, secretAccessKey, sessionToken: sessionToken || undefined, ...expiry(text(field(json, 'Expiration'))) }
}

function expiry(date: string): Expiring {
  const expiresAtMs = Date.parse(date)
  return { expiresAtMs: Number.isNaN(expiresAtMs) ? Number.POSITIVE_INFINITY : expiresAtMs }
}
