import { join } from 'node:path'
import { foreignVariables } from './config/foreign.js'
import type { Settings } from './config/settings.js'
import type { Secret } from './lib/secret.js'
import type { Run } from './tls/acme/patience.js'
import { makeTransport } from './tls/acme/transport.js'
import { journalFolderIn } from './tls/dns/index.js'
import type { KeeperDeps } from './tls/life/keeper.js'
import { openCredentials } from './vault/dns-credentials.js'
import { openHome } from './vault/rotation.js'

/** Everything that keeping certificates needs, from the settings of a home. */
export interface Keeper extends KeeperDeps {
  /** Closes connections and wipes credentials. */
  close(): void
}

export interface KeeperOptions extends Run {
  readonly attended: boolean
}

/** Throws `key_unreadable`, or what is wrong with the home, where credentials of DNS providers are kept sealed and cannot be opened. */
export async function openKeeper(settings: Settings, { attended, ...run }: KeeperOptions): Promise<Keeper> {
  const { home, dnsBaseUrl, dnsResolvers, dnsNameServerPort, dnsPropagation, dnsSettleMs, acmeCaFile } = settings
  const certsDir = join(home, 'certs')
  const sealed: ReadonlyMap<string, Secret> = await openCredentials(home, () => openHome(settings))
  const transport = makeTransport({ acmeCaFile })
  return {
    certsDir,
    transport,
    run,
    attended,
    dns: {
      sources: { variable: foreignVariables({ home }), sealed },
      dnsBaseUrl,
      dnsResolvers,
      dnsNameServerPort,
      dnsPropagation,
      dnsSettleMs,
      journalFolder: journalFolderIn(certsDir),
    },
    close() {
      transport.close()
      for (const value of sealed.values()) value.wipe()
    },
  }
}
