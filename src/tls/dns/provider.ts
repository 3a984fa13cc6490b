/**
 * One variable that a DNS provider is configured by, under the name that lego gave it, so that credentials written for lego, Traefik or Caddy work here. `NAME_FILE`
 * in its place names a file that holds the value.
 */
export interface DnsSetting {
  readonly name: string
  /** Other names it is known by; the first that is set counts. */
  readonly aliases?: readonly string[]
  /** A value is never shown, logged or quoted in an error, and may be kept sealed in the vault. */
  readonly hidden?: true
  /**
   * `true`: nothing works without it. A word: one of several ways to authenticate; the provider wants all settings of at least one way. Absent: optional.
   */
  readonly required?: true | string
  readonly byDefault?: string
  /** One sentence, for the docs and `soakp cert providers NAME`: what it is and where the provider shows it. */
  readonly what: string
}

/** A zone as the provider knows it. `name` is lower case, without a trailing dot; `id` is what the provider's API calls it, often the same. */
export interface Zone {
  readonly name: string
  readonly id: string
}

/** One TXT value at one name: lower case, punycode, absolute, without a trailing dot. The value is bare: quoting is the provider's business. */
export interface TxtRecord {
  readonly name: string
  readonly value: string
  /** What the value proves; absent for a probe. For providers that hand it on (hook scripts, bridges); an API needs name and value only. */
  readonly challenge?: Challenge
}

/** A CA's challenge, as hooks of other ACME clients get it. Nothing of it is secret. */
export interface Challenge {
  /** The name that is proved, without `*.` and without `_acme-challenge.`. */
  readonly domain: string
  readonly token: string
  readonly keyAuthorization: string
}

/**
 * How a provider keeps several values at one name; what callers need to know of it.
 * - `set`: any number at once
 * - `two`: the two newest
 * - `one`: a second value replaces the first, so names that need two are proved one after the other
 */
export type TxtCapacity = 'set' | 'two' | 'one'

/** One account at a DNS provider, opened with credentials that are known to be complete. Safe to call concurrently. */
export interface DnsAccount {
  /**
   * The deepest zone of the account that holds `name`: compared at label boundaries, public zones only. Throws `dns_zone_not_found`, whose detail lists the
   * zones that are there (or says that the API cannot list them), and `dns_credentials_refused`, which names the variable that is wrong.
   */
  zoneOf(name: string): Promise<Zone>
  /**
   * Makes these values present, all of them in one write where the API can. Names lie in `zone`. A value that is there already is success; foreign values at the same
   * name stay as they are, also where the API replaces whole sets: then read, unite, write, and again if somebody else wrote in between. Resolves when the provider has
   * accepted the write (and, where it can tell, has published it); it does not ask name servers.
   */
  add(zone: Zone, records: readonly TxtRecord[]): Promise<void>
  /**
   * Makes exactly these values absent, found by name and value: it must work in another process than the one that added them. A value that is not there is success;
   * foreign values stay.
   */
  remove(zone: Zone, records: readonly TxtRecord[]): Promise<void>
  /** Frees what `open` took; harmless to call twice. */
  close?(): void
}

/** What a provider gets to work with. */
export interface DnsContext {
  /** The value of a setting by its first name; undefined where it is not set. Hidden values are returned as text and must not outlive the request they are put in. */
  setting(name: string): string | undefined
  /** The settings as the user wrote them, for messages: an alias or `NAME_FILE` where that is what is set, several joined by `and`. */
  named(...names: readonly string[]): string
  /** Takes every hidden value out of a text that comes from outside, also in base64 and URL-encoded. */
  redact(text: string): string
  /** Replaces the address of the provider's API: `SOAKP_DNS_BASE_URL`. Without a trailing slash. */
  readonly baseUrl: string | undefined
  /** Seconds; at least the provider's minimum. */
  readonly ttlSeconds: number
  /** How long one request may take: `PREFIX_HTTP_TIMEOUT`. */
  readonly httpTimeoutMs: number
  readonly now: () => number
  /** Waits; rejects when the run is stopped. */
  readonly delay: (ms: number) => Promise<void>
  /** Ends what is under way. */
  readonly signal: AbortSignal
  /** One line for a person who waits: what was done, what must be done by hand. Never a secret. */
  readonly tell: (line: string) => void
}

/** A DNS provider, as data and a function that opens an account. One file each in this folder, listed in `index.ts`. */
export interface DnsProvider {
  readonly id: string
  readonly title: string
  /** Where its API is documented. */
  readonly link: string
  readonly aliases: readonly string[]
  /**
   * What the variables common to all providers begin with, as in lego, the first that is set counts: `PREFIX_TTL`, `PREFIX_PROPAGATION_TIMEOUT`, `PREFIX_POLLING_INTERVAL` and
   * `PREFIX_HTTP_TIMEOUT`, in seconds. They are not listed in `settings`.
   */
  readonly prefixes: readonly string[]
  readonly settings: readonly DnsSetting[]
  readonly capacity: TxtCapacity
  /** A person has to be there, at a terminal: of no use to renewals. */
  readonly byHand?: true
  readonly ttl: { readonly minSeconds: number; readonly defaultSeconds: number }
  /** How long a written record may take until every authoritative name server shows it, and how often to look. */
  readonly propagation: { readonly timeoutSeconds: number; readonly intervalSeconds: number }
  /** Said in the docs: what a user has to know or do first (API access to switch on, an address to allow). */
  readonly notes: readonly string[]
  /** Cheap: checks the settings' form, asks nobody. Throws `dns_settings_incomplete`, naming what is missing. */
  open(context: DnsContext): DnsAccount
}
