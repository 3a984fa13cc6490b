import { type AskOptions, ask, type Outbound } from '../lib/outbound.js'
import type { KeyRecord } from '../stores/records.js'
import type { Vault } from '../vault/vault.js'
import { routeOf } from './authorize.js'
import { addCredential } from './headers.js'
import { credentialOf, targetOf } from './target.js'

/** A question to a provider. `path` is relative to the provider; headers come on top of those that the provider always gets. */
export type Question = Pick<AskOptions, 'method' | 'path' | 'body' | 'timeoutMs' | 'mostBytes'> & {
  readonly headers: Readonly<Record<string, string>>
}

/** Asks a provider something on soakp's own behalf, with a key of the vault. Rejects with the network's own errors, `base_url_refused` and `key_unreadable`. */
export async function askWithKey(
  record: KeyRecord,
  question: Question,
  vault: Pick<Vault, 'open'>,
  outbound: Outbound,
): Promise<{ status: number; body: string }> {
  const route = routeOf(record)
  const { provider, auth } = route
  const secret = await vault.open(record)
  const headers = ['accept', 'application/json', 'accept-encoding', 'identity']
  for (const [name, value] of Object.entries({ ...provider.defaultHeaders, ...question.headers })) headers.push(name, value)
  const credential = credentialOf(secret, auth)
  secret.wipe()
  addCredential(headers, auth, credential.text)
  const { origin, path } = targetOf(route, question.path)
  const query = auth.type === 'query' ? `${path.includes('?') ? '&' : '?'}${encodeURIComponent(auth.name)}=${credential.text}` : ''
  try {
    return await ask(outbound.pool(origin, record.allowPrivate), { ...question, path: path + query, headers })
  } finally {
    credential.withdraw()
  }
}
