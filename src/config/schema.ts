import type { Settings } from './settings.js'
import {
  apiUrl,
  bytes,
  cidr,
  count,
  dnsServer,
  flag,
  host,
  keepingTime,
  listenAddress,
  listOf,
  oneOf,
  origin,
  path,
  port,
  rate,
  type SettingType,
  secret,
  storeUrl,
  wait,
  webOrigin,
} from './types.js'

/** One setting. `byDefault` is written as a user would write it; absent: the setting has no value unless one is given. */
export interface Setting<T> {
  readonly env: `SOAKP_${string}`
  readonly type: SettingType<NonNullable<T>>
  readonly byDefault?: string
  /** What is the case without a value, where there is no default: for the docs. */
  readonly otherwise?: string
  /** A value is never shown, not even in an error. */
  readonly hidden?: true
  /** One sentence, for the docs and `.env.example`. */
  readonly what: string
}

type Schema = { readonly [K in keyof Settings]-?: Setting<Settings[K]> }

/** Every setting, once. Docs and `.env.example` are made from this table, in this order. */
export const schema: Schema = {
  home: {
    env: 'SOAKP_HOME',
    type: path,
    otherwise: '`~/.soakp`',
    what: 'The folder that holds the settings, the vault, the database and the certificates. Set it in the environment or with `--home`, not in the `.env` inside it.',
  },
  masterKey: {
    env: 'SOAKP_MASTER_KEY',
    type: secret,
    otherwise: 'read from a file',
    hidden: true,
    what: 'The master key itself: 32 random bytes as 64 hex digits or as base64url. It is taken out of the environment as soon as it was read.',
  },
  masterKeyFile: {
    env: 'SOAKP_MASTER_KEY_FILE',
    type: path,
    otherwise: '`master.key` in the home',
    what: 'The file that holds the master key, for example a mounted secret. Not together with `SOAKP_MASTER_KEY`.',
  },
  host: {
    env: 'SOAKP_HOST',
    type: host,
    byDefault: '127.0.0.1',
    what: 'The address that the daemon listens on. `0.0.0.0` opens it to the network.',
  },
  port: { env: 'SOAKP_PORT', type: port, byDefault: '3033', what: 'The port that the daemon listens on. `0` takes any free one.' },
  http: {
    env: 'SOAKP_HTTP',
    type: flag,
    byDefault: 'false',
    what: 'Serve plain HTTP instead of HTTPS. Refused off loopback unless a proxy that ends TLS is named in `SOAKP_TRUST_PROXY`.',
  },
  publicUrl: {
    env: 'SOAKP_PUBLIC_URL',
    type: origin,
    otherwise: '`https://localhost` and the port',
    what: 'The URL by which clients reach the daemon; its host name is served, and shown in examples.',
  },
  databaseUrl: {
    env: 'SOAKP_DATABASE_URL',
    type: storeUrl,
    otherwise: '`soakp.db` in the home, encrypted',
    hidden: true,
    what: 'The store: `sqlite:/path` for an encrypted SQLite file elsewhere, `memory:` for one that is gone when the process ends.',
  },
  durability: {
    env: 'SOAKP_DURABILITY',
    type: oneOf('normal', 'full'),
    byDefault: 'normal',
    what: 'What a committed write survives: `normal`, the end of the process however it ends; `full`, a power failure too, at the cost of one disk flush a commit.',
  },
  whenStoreFails: {
    env: 'SOAKP_WHEN_STORE_FAILS',
    type: oneOf('refuse', 'go-on'),
    byDefault: 'refuse',
    what: 'What becomes of calls while the database cannot be written: `refuse`, they get 503 before they leave; `go-on`, they go on, counted in memory and written down later. See limits.md for what that costs.',
  },
  keepEntriesMs: {
    env: 'SOAKP_KEEP_ENTRIES',
    type: keepingTime,
    otherwise: 'for good',
    what: 'How long single lines of the ledger are kept, such as `90d`. The sums of hours and days, which reports are made from, are kept for good.',
  },
  logLevel: {
    env: 'SOAKP_LOG_LEVEL',
    type: oneOf('trace', 'debug', 'info', 'warn', 'error', 'silent'),
    byDefault: 'info',
    what: 'The least important line that is still logged. Logs are JSON lines on standard output.',
  },
  metricsListen: {
    env: 'SOAKP_METRICS_LISTEN',
    type: listenAddress,
    otherwise: 'nowhere',
    what: "A second door, for watchers: `/metrics` for Prometheus and `/readyz` with details, over plain HTTP and without a token. Whoever reaches it reads what calls cost, but no secret and nobody's name.",
  },
  trustProxy: {
    env: 'SOAKP_TRUST_PROXY',
    type: listOf(cidr),
    byDefault: '',
    what: 'The reverse proxies whose `X-Forwarded-For` is believed. Without it, the address of a client is the one that connected.',
  },
  corsOrigins: {
    env: 'SOAKP_CORS_ORIGINS',
    type: listOf(webOrigin),
    byDefault: '',
    what: 'Web origins whose pages may call, in addition to the origins that grants name.',
  },
  tlsCertFile: {
    env: 'SOAKP_TLS_CERT_FILE',
    type: path,
    otherwise: 'a certificate of the local CA',
    what: 'The certificate chain to serve, as PEM, leaf first. Only together with `SOAKP_TLS_KEY_FILE`. Both files are watched, and swapped in without dropping a connection.',
  },
  tlsKeyFile: {
    env: 'SOAKP_TLS_KEY_FILE',
    type: path,
    otherwise: 'a key of the local CA',
    what: 'The private key of that certificate, as PEM.',
  },
  dnsBaseUrl: {
    env: 'SOAKP_DNS_BASE_URL',
    type: apiUrl,
    otherwise: "the provider's own",
    what: "Replaces the address of the DNS provider's API when certificates are ordered: for a sandbox, a proxy or a test. The provider's credentials are sent there.",
  },
  acmeCaFile: {
    env: 'SOAKP_ACME_CA_FILE',
    type: path,
    otherwise: 'only public CAs are trusted',
    what: 'Certificates, as PEM, to trust beside the public ones when a certificate is ordered: the root of a private ACME CA.',
  },
  dnsResolvers: {
    env: 'SOAKP_DNS_RESOLVERS',
    type: listOf(dnsServer),
    byDefault: '',
    what: 'The resolvers that find the name servers of a zone when a name is proved by DNS, and that are asked whether a record is there where `SOAKP_DNS_PROPAGATION` says so. None: those of the system.',
  },
  dnsNameServerPort: {
    env: 'SOAKP_DNS_NAME_SERVER_PORT',
    type: port,
    byDefault: '53',
    what: 'The port at which name servers are asked whether a record is there; another one than 53 is for tests.',
  },
  dnsPropagation: {
    env: 'SOAKP_DNS_PROPAGATION',
    type: oneOf('authoritative', 'recursive', 'both', 'sleep', 'none'),
    byDefault: 'authoritative',
    what: "Who has to show a TXT record before the CA is told: every name server of the zone that answers (`authoritative`), the resolvers, where the name servers cannot be reached from here (`recursive`), `both`, nobody after the provider's usual time (`sleep`), or nobody (`none`).",
  },
  dnsSettleMs: {
    env: 'SOAKP_DNS_SETTLE',
    type: wait,
    byDefault: '2s',
    what: 'How long to wait after that: behind one address of a name server there may be many machines.',
  },
  certCheckMs: {
    env: 'SOAKP_CERT_CHECK',
    type: wait,
    byDefault: '1h',
    what: 'How often the daemon looks whether a certificate is to be renewed. The CA is asked as often as it wishes.',
  },
  maxCalls: {
    env: 'SOAKP_MAX_CALLS',
    type: count,
    byDefault: '5000',
    what: 'How many calls may be open at once, streams included; beyond it a call is answered 503 with `Retry-After`.',
  },
  maxLagMs: {
    env: 'SOAKP_MAX_LAG_MS',
    type: count,
    byDefault: '200',
    what: 'How many milliseconds the event loop may lag (99th percentile), two seconds in a row, before new calls are answered 503 with `Retry-After`.',
  },
  connectTimeoutMs: { env: 'SOAKP_CONNECT_TIMEOUT', type: wait, byDefault: '10s', what: 'How long connecting to a provider may take.' },
  headTimeoutMs: {
    env: 'SOAKP_HEAD_TIMEOUT',
    type: wait,
    byDefault: '10m',
    what: 'How long a provider may take until it begins to reply.',
  },
  idleTimeoutMs: { env: 'SOAKP_IDLE_TIMEOUT', type: wait, byDefault: '5m', what: 'How long a reply may pause between two bytes.' },
  clientTimeoutMs: {
    env: 'SOAKP_CLIENT_TIMEOUT',
    type: wait,
    byDefault: '1m',
    what: 'How long a client may stay silent while its request is awaited, or refuse to read while its reply is written.',
  },
  websocketPingMs: {
    env: 'SOAKP_WEBSOCKET_PING',
    type: wait,
    byDefault: '30s',
    what: 'How long either end of a WebSocket may be silent before it is pinged. One that stays silent as long again is taken for gone.',
  },
  shutdownGraceMs: {
    env: 'SOAKP_SHUTDOWN_GRACE',
    type: wait,
    byDefault: '30s',
    what: 'How long open streams may go on after the daemon was told to stop.',
  },
  maxInspectedBytes: {
    env: 'SOAKP_MAX_INSPECTED',
    type: bytes,
    byDefault: '32mb',
    what: 'The largest JSON body that is read into memory where a rule or the metering has to see it. Other bodies stream at any size.',
  },
  maxInspectedTotalBytes: {
    env: 'SOAKP_MAX_INSPECTED_TOTAL',
    type: bytes,
    byDefault: '1gb',
    what: 'How much of such bodies all open calls together may have in memory. A call that would need more is answered 503 with `Retry-After`.',
  },
  addressRate: {
    env: 'SOAKP_ADDRESS_RATE',
    type: rate,
    byDefault: '1000/s',
    what: 'How many requests one address (IPv6: one /64) may make, whoever it is.',
  },
  authFailureRate: {
    env: 'SOAKP_AUTH_FAILURE_RATE',
    type: rate,
    byDefault: '30/m',
    what: 'How many access tokens that turn out bad one address (IPv6: one /64) may send. A good token is never refused for it.',
  },
}

export const settingNames = Object.keys(schema) as (keyof Settings)[]
