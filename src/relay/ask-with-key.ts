import { type Answer, type AskOptions, ask, type Outbound } from '../lib/outbound.js'
import type { StandIn } from '../lib/stand-in.js'
import type { KeyRecord } from '../stores/records.js'
import type { Vault } from '../vault/vault.js'
import { routeOf } from './authorize.js'
import { authorizeCall } from './authorized.js'
import { addCredential } from './headers.js'
import { credentialOf, targetOf } from './target.js'

/** A question to a provider. `path` is relative to the provider; headers come on top of those that the provider always gets. */
export type Question = Pick<AskOptions, 'method' | 'path' | 'body' | 'timeoutMs' | 'mostBytes' | 'take' | 'signal'> & {
  readonly headers: Readonly<Record<string, string>>
  /** Another host than the one that calls go to, given that one: see `KeyCheck`. */
  origin?(origin: string): string
}

/** Asks a provider something on soakp's own behalf, with a key of the vault. Rejects with the network's own errors, `base_url_refused` and `key_unreadable`. */
export async function askWithKey(record: KeyRecord, question: Question, vault: Pick<Vault, 'open'>, outbound: Outbound): Promise<Answer> {
  const route = routeOf(record)
  const { provider, auth } = route
  const secret = await vault.open(record)
  const headers = ['accept', 'application/json', 'accept-encoding', 'identity']
  for (const [name, value] of Object.entries({ ...provider.defaultHeaders, ...question.headers })) headers.push(name, value)
  const target = targetOf(route, question.path)
  const origin = question.origin?.(target.origin) ?? target.origin
  if (provider.authorize && record.auth === null) {
    const call = { method: question.method, origin, path: target.path, headers, body: undefined }
    const authorized = await authorizeCall(provider, call, secret, outbound, record.allowPrivate)
    return askWith(record, { ...question, path: target.path, headers: authorized.headers }, origin, outbound, authorized.credential)
  }
  const credential = credentialOf(secret, auth)
  secret.wipe()
  addCredential(headers, auth, credential.text)
  const { path } = target
  const query = auth.type === 'query' ? `${path.includes('?') ? '&' : '?'}${encodeURIComponent(auth.name)}=${credential.text}` : ''
  return askWith(record, { ...question, path: path + query, headers }, origin, outbound, credential)
}

async function askWith(
  record: KeyRecord,
  options: AskOptions,
  origin: string,
  outbound: Outbound,
  credential: Pick<StandIn, 'withdraw'>,
): Promise<Answer> {
  try {
    return await ask(outbound.pool(origin, record.allowPrivate), options)
  } finally {
    credential.withdraw()
  }
}

/** Whether somebody issued a token for the key just now. Rejects as `Provider.authorize` does. */
export async function isProven(record: KeyRecord, vault: Pick<Vault, 'open'>, outbound: Outbound): Promise<boolean> {
  const route = routeOf(record)
  if (!route.provider.authorize || record.auth !== null) return false
  const call = { method: 'GET', ...targetOf(route, '/'), headers: [], body: undefined }
  const { credential, proven } = await authorizeCall(route.provider, call, await vault.open(record), outbound, record.allowPrivate)
  credential.withdraw()
  return proven
}
