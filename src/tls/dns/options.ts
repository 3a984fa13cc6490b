import { setMaxListeners } from 'node:events'
import type { DnsView } from './query/authority.js'
import { resolversOf } from './query/authority.js'
import type { PropagationMode } from './query/propagation.js'
import type { SettingSources } from './settings.js'

/** What DNS-01 takes of the settings of the house; named as there. */
export interface DnsOptions {
  readonly sources: SettingSources
  /** `SOAKP_DNS_BASE_URL` */
  readonly dnsBaseUrl: string | undefined
  /** `HOST[:PORT]`; none: those of the system. */
  readonly dnsResolvers: readonly string[]
  readonly dnsNameServerPort: number
  readonly dnsPropagation: PropagationMode
  readonly dnsSettleMs: number
  /** Where journals lie: a folder of its own. */
  readonly journalFolder: string
}

/** How the DNS is asked under these settings. */
export async function openView({ dnsResolvers, dnsNameServerPort }: DnsOptions, signal: AbortSignal): Promise<DnsView> {
  // many servers are asked at once, and all of them stop with the run: no leak that Node would have to warn of
  setMaxListeners(0, signal)
  return { resolvers: await resolversOf(dnsResolvers), nameServerPort: dnsNameServerPort, signal }
}
