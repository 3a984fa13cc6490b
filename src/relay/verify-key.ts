import { SoakpError } from '../errors.js'
import { ask, type Outbound } from '../lib/outbound.js'
import type { KeyRecord } from '../stores/records.js'
import type { Vault } from '../vault/vault.js'
import { routeOf } from './authorize.js'
import { addCredential } from './headers.js'
import { credentialOf, targetOf } from './target.js'

/** What a provider says of a key. `unknown`: it could not be asked, or its answer says nothing. */
export interface KeyVerdict {
  readonly result: 'works' | 'restricted' | 'refused' | 'unknown'
  /** One sentence for people. */
  readonly text: string
}

const patienceMs = 15_000

/** Asks the provider whether it takes the key, by the call that its row names for that. Never throws for what the provider or the network does. */
export async function verifyKey(record: KeyRecord, vault: Pick<Vault, 'open'>, outbound: Outbound): Promise<KeyVerdict> {
  const route = routeOf(record)
  const { provider, auth } = route
  const check = provider.keyCheck
  if (provider.serve) return { result: 'works', text: `${provider.title} is built in; there is nobody to ask.` }
  if (!check) return { result: 'unknown', text: `${provider.title} has no call that tells.` }
  const secret = await vault.open(record)
  const headers = ['accept', 'application/json', 'accept-encoding', 'identity']
  for (const [name, value] of Object.entries({ ...provider.defaultHeaders, ...check.headers })) headers.push(name, value)
  const credential = credentialOf(secret, auth)
  secret.wipe()
  addCredential(headers, auth, credential.text)
  const { origin, path } = targetOf(route, check.path)
  const query = auth.type === 'query' ? `${path.includes('?') ? '&' : '?'}${encodeURIComponent(auth.name)}=${credential.text}` : ''
  try {
    const pool = outbound.pool(origin, record.allowPrivate)
    const { status, body } = await ask(pool, { method: check.method as 'GET', path: path + query, headers, timeoutMs: patienceMs })
    return judge(status, body, record, provider.title)
  } catch (error) {
    if (error instanceof SoakpError && error.code === 'base_url_refused') throw error
    const code = (error as NodeJS.ErrnoException).code ?? (error as Error).name
    return { result: 'unknown', text: `${provider.title} could not be asked (${code}).` }
  } finally {
    credential.withdraw()
  }
}

function judge(status: number, body: string, record: KeyRecord, title: string): KeyVerdict {
  const { provider } = routeOf(record)
  const check = provider.keyCheck
  if (check?.works.includes(status)) return { result: 'works', text: `${title} accepts the key.` }
  if (check?.refused.includes(status) && (status === 401 || provider.keyRefused(status, body))) {
    return { result: 'refused', text: `${title} refuses the key (${status}).` }
  }
  if (check?.restricted.includes(status)) return { result: 'restricted', text: `${title} knows the key, but it is limited (${status}).` }
  return { result: 'unknown', text: `${title} answered ${status}, which says nothing about the key.` }
}
