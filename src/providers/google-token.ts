import { SoakpError } from '../errors.js'
import { readServiceAccount, type ServiceAccount, serviceAccountAssertion, serviceAccountGrant } from '../lib/google-assertion.js'
import type { Secret } from '../lib/secret.js'
import { type Minted, MintedTokens, readTokenReply } from './minted.js'
import type { Authorization, CallToAuthorize } from './provider.js'

const scope = 'https://www.googleapis.com/auth/cloud-platform'
const tokens = new MintedTokens()

/** Whether the key is a service account's file rather than an API key. */
export function isServiceAccount(secret: Secret): boolean {
  const [first] = secret.expose().trimStart()
  return first === '{'
}

/**
 * An access token for a service account's key file: a signed assertion, exchanged at the file's `token_uri` (RFC 7523), kept until shortly before it expires. Throws
 * `key_unreadable` for a file that is none, `provider_key_rejected` where Google refuses it, `provider_unreachable`.
 */
export async function withServiceAccount(call: CallToAuthorize, secret: Secret): Promise<Authorization> {
  const account = readAccount(secret)
  const token = await tokens.get(secret, call.nowMs, () => mint(call, account))
  return { headers: [], credentials: [{ name: 'authorization', word: 'Bearer', secret: token }], proven: true }
}

/** The token that calls with this key file leave with at the moment, for the caller to wipe. */
export function tokenOfServiceAccount(secret: Secret): Secret | undefined {
  return tokens.kept(secret)
}

function readAccount(secret: Secret): ServiceAccount {
  try {
    return checkIssuer(readServiceAccount(secret.expose()))
  } catch (cause) {
    if (cause instanceof SoakpError) throw cause
    throw new SoakpError('key_unreadable', cause instanceof Error ? `As a service account's key file: ${cause.message}.` : undefined)
  }
}

/** A file from elsewhere must not have us sign for somebody else. A private address is refused later, unless the operator allowed it for this key. */
function checkIssuer(account: ServiceAccount): ServiceAccount {
  const url = URL.canParse(account.tokenUri) ? new URL(account.tokenUri) : undefined
  const ofGoogle = url?.protocol === 'https:' && /(?:^|\.)googleapis\.com$|^accounts\.google\.com$/.test(url.hostname)
  const local = url !== undefined && /^(?:localhost|127\.\d+\.\d+\.\d+|\[::1\])$/.test(url.hostname)
  if (!ofGoogle && !local) throw new SoakpError('key_unreadable', "The file's token_uri is not Google's.")
  return account
}

async function mint({ nowMs, post }: CallToAuthorize, account: ServiceAccount): Promise<Minted> {
  const { status, body } = await post(account.tokenUri, serviceAccountGrant(serviceAccountAssertion(account, { scope, nowMs })))
  const minted = status === 200 ? readTokenReply(body) : undefined
  const refused = /"error"\s*:\s*"(invalid_grant|invalid_client|unauthorized_client|account_disabled)"/.exec(body.toString('latin1'))
  body.fill(0)
  if (minted) return minted
  if (status === 401 || refused)
    throw new SoakpError('provider_key_rejected', `Google refuses the service account (${refused?.[1] ?? status}).`)
  throw new SoakpError('provider_unreachable', `Google's token endpoint answered ${status}.`)
}
