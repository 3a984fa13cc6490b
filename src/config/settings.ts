import type { Secret } from '../lib/secret.js'

/** Every setting, parsed and frozen. The table in schema.ts says each one's name, default, unit and meaning. */
export interface Settings {
  readonly home: string
  readonly masterKey: Secret | undefined
  readonly masterKeyFile: string | undefined
  readonly host: string
  readonly port: number
  readonly publicUrl: string | undefined
  readonly databaseUrl: string | undefined
  readonly durability: 'normal' | 'full'
  readonly whenStoreFails: 'refuse' | 'go-on'
  readonly keepEntriesMs: number | undefined
  /** Where the separate door for watchers listens. */
  readonly metricsListen: { readonly host: string; readonly port: number } | undefined
  readonly logLevel: 'trace' | 'debug' | 'info' | 'warn' | 'error' | 'silent'
  /** CIDR blocks of proxies whose `X-Forwarded-For` is believed. */
  readonly trustProxy: readonly string[]
  readonly corsOrigins: readonly string[]
  readonly tlsCertFile: string | undefined
  readonly tlsKeyFile: string | undefined
  readonly acmeCaFile: string | undefined
  readonly dnsBaseUrl: string | undefined
  /** `HOST[:PORT]` */
  readonly dnsResolvers: readonly string[]
  readonly dnsNameServerPort: number
  readonly dnsPropagation: 'authoritative' | 'recursive' | 'both' | 'sleep' | 'none'
  readonly dnsSettleMs: number
  readonly certCheckMs: number
  readonly maxCalls: number
  readonly maxLagMs: number
  readonly connectTimeoutMs: number
  readonly headTimeoutMs: number
  readonly idleTimeoutMs: number
  readonly clientTimeoutMs: number
  readonly websocketPingMs: number
  readonly shutdownGraceMs: number
  readonly maxInspectedBytes: number
  readonly maxInspectedTotalBytes: number
  readonly addressRate: string
  readonly authFailureRate: string
  readonly http: boolean
}
