import { SoakpError } from '../../errors.js'
import type { Outbound } from '../../lib/outbound.js'
import type { KeyRecord } from '../../stores/records.js'
import type { Vault } from '../../vault/vault.js'
import { askWithKey, isProven } from '../ask-with-key.js'
import { routeOf } from '../authorize.js'

/** What a provider says of a key. `unknown`: it could not be asked, or its answer says nothing. */
export interface KeyVerdict {
  readonly result: 'works' | 'restricted' | 'refused' | 'unknown'
  /** One sentence for people. */
  readonly text: string
}

const patienceMs = 15_000

/** Asks the provider whether it takes the key, by the call that its row names for that. Never throws for what the provider or the network does. */
export async function verifyKey(record: KeyRecord, vault: Pick<Vault, 'open'>, outbound: Outbound): Promise<KeyVerdict> {
  const { provider } = routeOf(record)
  const check = provider.keyCheck
  if (provider.serve) return { result: 'works', text: `${provider.title}: there is nobody to ask, any text will do.` }
  try {
    if (!check) return await verifyByIssuer(record, vault, outbound)
    const headers = { ...(check.body === undefined ? {} : { 'content-type': 'application/json' }), ...check.headers }
    const wanted = { ...check, method: check.method as 'GET', headers, timeoutMs: patienceMs }
    const { status, body } = await askWithKey(record, wanted, vault, outbound)
    return judge(status, body, record, provider.title)
  } catch (error) {
    if (error instanceof SoakpError && (error.code === 'provider_key_rejected' || (error.code === 'key_unreadable' && provider.authorize)))
      return { result: 'refused', text: `${provider.title} cannot use the key: ${error.message}` }
    if (error instanceof SoakpError && error.code !== 'provider_unreachable') throw error
    const code = (error as NodeJS.ErrnoException).code ?? (error as Error).name
    return { result: 'unknown', text: `${provider.title} could not be asked (${code}).` }
  }
}

/** Where the row names no call, whoever issues tokens for the key has the only word. */
async function verifyByIssuer(record: KeyRecord, vault: Pick<Vault, 'open'>, outbound: Outbound): Promise<KeyVerdict> {
  const { provider } = routeOf(record)
  if (await isProven(record, vault, outbound)) return { result: 'works', text: `${provider.title} accepts the key.` }
  return { result: 'unknown', text: `${provider.title} has no call that tells.` }
}

function judge(status: number, body: string, record: KeyRecord, title: string): KeyVerdict {
  const { provider } = routeOf(record)
  const check = provider.keyCheck
  if (check?.refused.includes(status) && (status === 401 || provider.keyRefused(status, body))) {
    return { result: 'refused', text: `${title} refuses the key (${status}).` }
  }
  if (check?.works.includes(status)) return { result: 'works', text: `${title} accepts the key.` }
  if (check?.restricted.includes(status)) return { result: 'restricted', text: `${title} knows the key, but it is limited (${status}).` }
  return { result: 'unknown', text: `${title} answered ${status}, which says nothing about the key.` }
}
