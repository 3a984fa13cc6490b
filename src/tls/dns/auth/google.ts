import { existsSync } from 'node:fs'
import { homedir } from 'node:os'
import { join } from 'node:path'
import { SoakpError } from '../../../errors.js'
import {
  googleTokenUri,
  readServiceAccount,
  type ServiceAccount,
  serviceAccountAssertion,
  serviceAccountGrant,
} from '../../../lib/google-assertion.js'
import { openApi } from '../api/api.js'
import { field, number, text } from '../api/fields.js'
import type { DnsContext } from '../provider.js'
import { readCredentialFile } from '../settings.js'
import { type AccessToken, hiding, renewed } from './access-token.js'
import { askMetadata } from './metadata.js'

const dnsScope = 'https://www.googleapis.com/auth/ndev.clouddns.readwrite'
const platformScope = 'https://www.googleapis.com/auth/cloud-platform'

export interface GoogleCredentials {
  /** A token for the DNS API, renewed in time. */
  token(): Promise<AccessToken>
  project(): Promise<string>
  /** Named when the API refuses. */
  readonly names: readonly string[]
}

/** One place where credentials lie. */
interface Source {
  readonly names: readonly string[]
  readonly projectId: string | undefined
  request(scope: string): Promise<AccessToken>
  /** Where only the surroundings know the project. */
  findProject?(): Promise<string>
}

/**
 * The service account in the settings, else what Google calls Application Default Credentials: the file that GOOGLE_APPLICATION_CREDENTIALS names, the one that `gcloud auth
 * application-default login` wrote, the metadata server of a machine in Google's cloud.
 *
 * Source: https://cloud.google.com/docs/authentication/application-default-credentials
 */
export function googleCredentials(context: DnsContext): GoogleCredentials {
  const source = findSource(context)
  const impersonated = context.setting('GCE_IMPERSONATE_SERVICE_ACCOUNT')
  let project: Promise<string> | undefined
  return {
    names: impersonated === undefined ? source.names : [...source.names, 'GCE_IMPERSONATE_SERVICE_ACCOUNT'],
    token: renewed(context.now, () => (impersonated === undefined ? source.request(dnsScope) : impersonate(context, source, impersonated))),
    project() {
      const known = context.setting('GCE_PROJECT') ?? source.projectId
      if (known !== undefined) return Promise.resolve(known)
      if (source.findProject === undefined) {
        throw new SoakpError('dns_settings_incomplete', 'Google Cloud DNS: GCE_PROJECT is not set, and the credentials name no project.')
      }
      project ??= source.findProject().catch(error => {
        project = undefined
        throw error
      })
      return project
    },
  }
}

function findSource(context: DnsContext): Source {
  const inline = context.setting('GCE_SERVICE_ACCOUNT')
  if (inline !== undefined) return ofFile(context, inline, 'GCE_SERVICE_ACCOUNT')
  const named = context.setting('GOOGLE_APPLICATION_CREDENTIALS')
  if (named !== undefined)
    return ofFile(context, readCredentialFile(named, 'GOOGLE_APPLICATION_CREDENTIALS').expose(), 'GOOGLE_APPLICATION_CREDENTIALS')
  const wellKnown = join(context.setting('CLOUDSDK_CONFIG') ?? join(homedir(), '.config', 'gcloud'), 'application_default_credentials.json')
  if (existsSync(wellKnown)) return ofFile(context, readCredentialFile(wellKnown, 'CLOUDSDK_CONFIG').expose(), 'CLOUDSDK_CONFIG')
  return ofMachine(context)
}

function ofFile(given: DnsContext, content: string, name: string): Source {
  const context = hiding(given, [content])
  if (kindOf(content) === 'authorized_user') return ofUser(context, content, name)
  let account: ServiceAccount
  try {
    account = readServiceAccount(content)
  } catch (error) {
    throw new SoakpError(
      'dns_settings_incomplete',
      `${context.named(name)}: ${error instanceof Error ? error.message : 'it cannot be read'}.`,
    )
  }
  return {
    names: [name],
    projectId: account.projectId,
    request(scope) {
      const assertion = serviceAccountAssertion(account, { scope, nowMs: context.now() })
      return exchange(context, name, account.tokenUri, serviceAccountGrant(assertion))
    },
  }
}

/** What `gcloud auth application-default login` writes: a person's own refresh token. Its scopes were chosen then. */
function ofUser(context: DnsContext, content: string, name: string): Source {
  const file: unknown = JSON.parse(content)
  const of = (name: string) => text(field(file, name))
  return {
    names: [name],
    projectId: of('quota_project_id') || undefined,
    request() {
      const form = {
        grant_type: 'refresh_token',
        client_id: of('client_id'),
        client_secret: of('client_secret'),
        refresh_token: of('refresh_token'),
      }
      const hidden = hiding(context, [form.client_secret, form.refresh_token])
      return exchange(hidden, name, of('token_uri') || googleTokenUri, new URLSearchParams(form).toString())
    },
  }
}

function ofMachine(context: DnsContext): Source {
  const ask = (path: string) =>
    askMetadata(context, {
      url: `http://${context.setting('GCE_METADATA_HOST') ?? '169.254.169.254'}/computeMetadata/v1/${path}`,
      headers: { 'metadata-flavor': 'Google' },
      otherwise:
        'Google Cloud DNS: set GCE_SERVICE_ACCOUNT (or GCE_SERVICE_ACCOUNT_FILE), or GOOGLE_APPLICATION_CREDENTIALS; without them, credentials come from the metadata server of Google’s cloud',
    })
  return {
    names: ['GCE_SERVICE_ACCOUNT'],
    projectId: undefined,
    async request(scope) {
      const { json } = await ask(`instance/service-accounts/default/token?scopes=${encodeURIComponent(scope)}`)
      return tokenIn(context, json)
    },
    findProject: async () => (await ask('project/project-id')).text.trim(),
  }
}

/** https://cloud.google.com/iam/docs/create-short-lived-credentials-direct */
async function impersonate(context: DnsContext, source: Source, email: string): Promise<AccessToken> {
  const { token } = await source.request(platformScope)
  const api = openApi(context, {
    base: 'https://iamcredentials.googleapis.com/v1',
    headers: () => ({ authorization: `Bearer ${token}` }),
    credentials: [...source.names, 'GCE_IMPERSONATE_SERVICE_ACCOUNT'],
  })
  const path = `/projects/-/serviceAccounts/${encodeURIComponent(email)}:generateAccessToken`
  const { json } = await api.send('POST', path, { json: { scope: [dnsScope], lifetime: '3600s' }, idempotent: true })
  return { token: text(field(json, 'accessToken')), expiresAtMs: Date.parse(text(field(json, 'expireTime'))) || context.now() }
}

async function exchange(context: DnsContext, name: string, tokenUri: string, body: string): Promise<AccessToken> {
  if (!URL.canParse(tokenUri)) throw new SoakpError('dns_settings_incomplete', `${context.named(name)}: its "token_uri" is no URL.`)
  const { origin, pathname } = new URL(tokenUri)
  // the key file says where its own tokens come from
  const api = openApi(
    { ...context, baseUrl: undefined },
    {
      base: origin,
      headers: () => ({}),
      credentials: [name],
      refuses: ({ status, json }) =>
        status === 401 || status === 403 || ['invalid_grant', 'invalid_client'].includes(text(field(json, 'error'))),
      complaint: reply => text(field(reply, 'error_description')) || text(field(reply, 'error')) || undefined,
    },
  )
  const { json } = await api.send('POST', pathname, { text: body, contentType: 'application/x-www-form-urlencoded', idempotent: true })
  return tokenIn(context, json)
}

function tokenIn(context: DnsContext, json: unknown): AccessToken {
  return { token: text(field(json, 'access_token')), expiresAtMs: context.now() + number(field(json, 'expires_in')) * 1000 }
}

function kindOf(content: string): unknown {
  try {
    return field(JSON.parse(content), 'type')
  } catch {
    return undefined
  }
}
