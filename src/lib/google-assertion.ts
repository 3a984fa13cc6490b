import { createPrivateKey, type KeyObject, sign } from 'node:crypto'

/** The parts of a Google service account's key file (JSON, `"type": "service_account"`) that signing needs. */
export interface ServiceAccount {
  readonly clientEmail: string
  readonly privateKey: KeyObject
  readonly privateKeyId: string | undefined
  readonly projectId: string | undefined
  /** Where an assertion is turned into an access token. */
  readonly tokenUri: string
}

export const googleTokenUri = 'https://oauth2.googleapis.com/token'

/** Reads a key file's text. The error says what is wrong with it and never quotes it. */
export function readServiceAccount(text: string): ServiceAccount {
  const { type, client_email: clientEmail, private_key: pem, private_key_id, project_id, token_uri } = parse(text)
  if (type !== 'service_account') throw new TypeError(`the JSON is not of type "service_account"${kindOf(type)}`)
  if (typeof clientEmail !== 'string') throw new TypeError('the JSON holds no "client_email"')
  if (typeof pem !== 'string') throw new TypeError('the JSON holds no "private_key"')
  return {
    clientEmail,
    privateKey: readKey(pem),
    privateKeyId: typeof private_key_id === 'string' ? private_key_id : undefined,
    projectId: typeof project_id === 'string' ? project_id : undefined,
    tokenUri: typeof token_uri === 'string' ? token_uri : googleTokenUri,
  }
}

/**
 * The signed claim that a service account exchanges for an access token, valid for an hour: RFC 7523 in Google's dialect. Send it to the account's `tokenUri` as
 * `serviceAccountGrant` says.
 *
 * Source: https://developers.google.com/identity/protocols/oauth2/service-account#httprest
 */
export function serviceAccountAssertion(
  account: ServiceAccount,
  { scope, nowMs }: { readonly scope: string; readonly nowMs: number },
): string {
  const issuedAt = Math.floor(nowMs / 1000)
  const head = { alg: 'RS256', typ: 'JWT', ...(account.privateKeyId === undefined ? {} : { kid: account.privateKeyId }) }
  const claims = { iss: account.clientEmail, scope, aud: account.tokenUri, iat: issuedAt, exp: issuedAt + 3600 }
  const content = `${base64url(head)}.${base64url(claims)}`
  return `${content}.${sign('sha256', Buffer.from(content), account.privateKey).toString('base64url')}`
}

/** The form body (`application/x-www-form-urlencoded`) that hands the assertion in. The reply is `{access_token, expires_in, token_type}`. */
export function serviceAccountGrant(assertion: string): string {
  return new URLSearchParams({ grant_type: 'urn:ietf:params:oauth:grant-type:jwt-bearer', assertion }).toString()
}

function parse(text: string): Record<string, unknown> {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    throw new TypeError('it is not JSON')
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw new TypeError('it is not a JSON object')
  return { ...value }
}

function kindOf(type: unknown): string {
  return typeof type === 'string' && /^[a-z_]{1,40}$/.test(type) ? `, but "${type}"` : ''
}

function readKey(pem: string): KeyObject {
  try {
    return createPrivateKey(pem)
  } catch {
    throw new TypeError('its "private_key" is not a private key in PEM form')
  }
}

function base64url(value: object): string {
  return Buffer.from(JSON.stringify(value)).toString('base64url')
}
