import type { DnsAccount, DnsContext, DnsProvider } from './provider.js'
import { type ProviderSettings, readSettings, type SettingSources } from './settings.js'

/** What opening an account takes besides the provider. */
export interface AccountOptions extends Pick<DnsContext, 'now' | 'delay' | 'signal' | 'tell'> {
  readonly sources: SettingSources
  /** `SOAKP_DNS_BASE_URL`. */
  readonly dnsBaseUrl?: string | undefined
}

/** An account at a provider with the settings it was opened with. Close it; its credentials are wiped then. */
export interface OpenAccount {
  readonly provider: DnsProvider
  readonly account: DnsAccount
  readonly settings: ProviderSettings
  close(): void
}

/** Throws `dns_settings_incomplete` naming what is missing, `file_refused` for a credential file that others can read. Asks nobody yet. */
export function openDnsAccount(provider: DnsProvider, options: AccountOptions): OpenAccount {
  const settings = readSettings(provider, options.sources)
  const { now, delay, signal, tell } = options
  const account = provider.open({
    setting: settings.setting,
    named: settings.named,
    redact: settings.redact,
    baseUrl: options.dnsBaseUrl,
    ttlSeconds: settings.ttlSeconds,
    httpTimeoutMs: settings.httpTimeoutMs,
    now,
    delay,
    signal,
    tell,
  })
  return {
    provider,
    account,
    settings,
    close() {
      account.close?.()
      settings.wipe()
    },
  }
}
