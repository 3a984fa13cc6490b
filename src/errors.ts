/**
 * Every error soakp raises on purpose, as one closed table: the HTTP status, the CLI exit code and the only words a stranger reads.
 * Exit codes follow sysexits(3) where one fits. `retry` tells an SDK whether waiting can help (`x-should-retry`).
 */
interface ErrorRow {
  readonly status: number
  readonly exit: number
  readonly text: string
  readonly retry?: true
}

export const errors = {
  // asked wrongly
  usage: { status: 400, exit: 2, text: 'The command or request is not understood.' },
  cancelled: { status: 499, exit: 130, text: 'Cancelled.' },
  invalid_request: { status: 400, exit: 2, text: 'The request is malformed.' },
  invalid_path: { status: 400, exit: 2, text: 'The path is not acceptable: no encoded dot segments, backslashes or control bytes.' },
  invalid_body: { status: 400, exit: 2, text: 'The body cannot be read as its content type says.' },
  ambiguous_body: { status: 400, exit: 2, text: 'A name that a rule depends on appears twice, or in two spellings, in the body.' },
  several_tokens: { status: 400, exit: 2, text: 'The request carries two different access tokens.' },
  real_key_sent: {
    status: 400,
    exit: 2,
    text: 'This looks like a provider key. Send a soakp access token, and consider that key exposed.',
  },
  misdirected: { status: 421, exit: 2, text: 'This host name is not served here.' },
  not_found: { status: 404, exit: 66, text: 'There is nothing here.' },
  resource_not_found: { status: 404, exit: 66, text: 'There is no such resource, or it is not yours.' },
  list_too_large: { status: 502, exit: 69, text: 'The list is too large to be looked through for what is yours: ask for less of it.' },
  method_not_allowed: { status: 405, exit: 2, text: 'This method is not served here.' },
  body_too_large: { status: 413, exit: 2, text: 'The body is larger than what can be checked against the rules of this grant.' },
  message_too_large: { status: 413, exit: 2, text: 'A WebSocket message is larger than the 16 MB that are relayed.' },
  upgrade_refused: { status: 426, exit: 2, text: 'This cannot be opened as a WebSocket: version 13 over HTTP/1.1 is spoken here.' },
  encoded_body: {
    status: 415,
    exit: 2,
    text: 'A compressed body cannot be checked against the rules of this grant; send it uncompressed.',
  },
  request_too_large: { status: 413, exit: 2, text: 'The body is larger than what is read here.' },
  headers_too_large: { status: 431, exit: 2, text: 'The header of the request is larger than what is read here.' },
  media_type_refused: { status: 415, exit: 2, text: 'This content type is not read here.' },
  navigation_refused: { status: 403, exit: 77, text: 'This address is for programs; a browser may not open it as a page.' },

  // who are you
  token_missing: { status: 401, exit: 77, text: 'No access token was sent.' },
  token_invalid: { status: 401, exit: 77, text: 'The access token is not valid.' },
  token_expired: { status: 401, exit: 77, text: 'The access token has expired.' },
  token_revoked: { status: 401, exit: 77, text: 'The access token has been revoked.' },
  dpop_missing: {
    status: 401,
    exit: 77,
    text: 'The access token has to be used with a proof of the key it is bound to: Authorization: DPoP and a DPoP header.',
  },
  dpop_invalid: { status: 401, exit: 77, text: 'The DPoP proof is not valid.' },
  dpop_nonce_needed: { status: 401, exit: 77, text: 'The DPoP proof has to be made with the nonce that came with this reply.' },
  too_many_failures: { status: 429, exit: 75, text: 'Too many failed attempts from this address.', retry: true },
  too_many_requests: { status: 429, exit: 75, text: 'Too many requests from this address.', retry: true },

  app_credential_missing: { status: 401, exit: 77, text: 'No app credential was sent.' },
  app_credential_invalid: { status: 401, exit: 77, text: 'The app credential is not valid.' },
  app_revoked: { status: 401, exit: 77, text: 'The app has been revoked.' },
  credential_in_page: {
    status: 403,
    exit: 77,
    text: 'A web page sent this, and an app credential must not be in a page: call from the backend, and consider the credential exposed.',
  },
  issuer_token_refused: { status: 401, exit: 77, text: 'The token of the issuer is not accepted.' },
  issuer_unavailable: { status: 503, exit: 69, text: 'The keys of the issuer cannot be had at the moment.', retry: true },
  session_ended: { status: 401, exit: 77, text: 'The access token cannot be exchanged for a new one any more: sign in again.' },

  // what may you
  user_blocked: { status: 403, exit: 77, text: 'This user of the app has been blocked.' },
  app_full: { status: 429, exit: 75, text: 'The app has as many users as it may have.', retry: true },
  provider_not_allowed: { status: 403, exit: 77, text: 'This access token does not open this provider.' },
  endpoint_not_open: { status: 403, exit: 77, text: 'This access token does not open this endpoint.' },
  model_not_allowed: { status: 403, exit: 77, text: 'This access token does not open this model.' },
  model_unknown: { status: 403, exit: 77, text: 'The model of this call cannot be told, and this access token is limited to some models.' },
  output_too_large: { status: 403, exit: 77, text: 'The call asks for more output than this access token allows.' },
  origin_not_allowed: { status: 403, exit: 77, text: 'This access token may not be used from this origin.' },
  address_not_allowed: { status: 403, exit: 77, text: 'This access token may not be used from this address.' },
  rate_limited: { status: 429, exit: 75, text: 'The rate of this access token is used up for the moment.', retry: true },
  concurrency_limited: { status: 429, exit: 75, text: 'As many calls as this access token allows are open already.', retry: true },

  quota_exhausted: { status: 429, exit: 75, text: 'A quota of calls is used up.', retry: true },
  budget_exhausted: { status: 429, exit: 75, text: 'A budget is used up.', retry: true },
  budget_overrun: { status: 429, exit: 75, text: 'The call took more of a budget than was held for it.' },
  cost_unbounded: { status: 403, exit: 77, text: 'There is a budget, and the most that this call can cost is not known.' },

  // keys, grants
  batch_not_found: { status: 404, exit: 66, text: 'No such batch under way.' },
  call_not_found: { status: 404, exit: 66, text: 'No such call in the ledger.' },
  price_not_found: { status: 404, exit: 66, text: 'No such price.' },
  key_not_found: { status: 404, exit: 66, text: 'No such key.' },
  app_not_found: { status: 404, exit: 66, text: 'No such app.' },
  issuer_not_found: { status: 404, exit: 66, text: 'No such issuer.' },
  issuer_refused: { status: 400, exit: 78, text: 'The issuer cannot be trusted as it is.' },
  limit_not_found: { status: 404, exit: 66, text: 'No such limit.' },
  grant_not_found: { status: 404, exit: 66, text: 'No such grant.' },
  alias_not_found: { status: 404, exit: 66, text: 'No such alias.' },
  no_key: { status: 503, exit: 69, text: 'No key for this provider can be used at the moment.' },
  keys_resting: {
    status: 429,
    exit: 75,
    text: 'Every key for this provider rests or is refused at the moment.',
    retry: true,
  },
  key_unreadable: { status: 503, exit: 65, text: 'The key cannot be opened: its record does not match what was sealed.' },
  unknown_provider: { status: 404, exit: 66, text: 'No such provider.' },
  key_rejected: { status: 400, exit: 65, text: 'The provider refuses this key.' },
  base_url_refused: { status: 400, exit: 78, text: 'The base URL is not acceptable.' },

  // upstream
  provider_key_rejected: { status: 502, exit: 69, text: 'The provider refused the stored key. The operator has to replace it.' },
  provider_reply_withheld: {
    status: 502,
    exit: 69,
    text: 'The provider replied with an error that contained the stored key; it is not passed on.',
  },
  provider_unreachable: { status: 502, exit: 69, text: 'The provider cannot be reached.', retry: true },
  provider_timeout: { status: 504, exit: 69, text: 'The provider did not answer in time.', retry: true },
  provider_broke_off: { status: 502, exit: 69, text: 'The provider broke off its reply.', retry: true },
  provider_redirected: { status: 502, exit: 69, text: 'The provider answered with a redirect, which is never followed.' },
  provider_refused_upgrade: { status: 502, exit: 69, text: 'The provider did not open the WebSocket.' },
  batch_unread: {
    status: 502,
    exit: 69,
    text: 'What a batch used, or a part of it, could not be read from the provider: what was held for it is charged.',
  },
  client_gone: { status: 499, exit: 1, text: 'The client went away.' },
  client_timeout: { status: 408, exit: 1, text: 'The request body did not arrive in time.' },

  // the house
  overloaded: { status: 503, exit: 75, text: 'soakp is overloaded. Try again shortly.', retry: true },
  shutting_down: { status: 503, exit: 75, text: 'soakp is shutting down. Try again shortly.', retry: true },
  store_unavailable: { status: 503, exit: 69, text: 'The store cannot be used at the moment.', retry: true },
  store_locked: { status: 503, exit: 75, text: 'Another process holds the database.', retry: true },
  store_full: { status: 503, exit: 74, text: 'The disk is full.', retry: true },
  store_damaged: { status: 503, exit: 65, text: 'The database is damaged.' },
  store_newer: { status: 503, exit: 65, text: 'The database was written by a newer soakp.' },
  home_missing: { status: 500, exit: 66, text: 'There is no soakp home here.' },
  home_of_another: { status: 500, exit: 77, text: 'The home belongs to another user.' },
  home_exists: { status: 500, exit: 73, text: 'There is a soakp home here already.' },
  master_key_missing: { status: 500, exit: 78, text: 'The master key is missing.' },
  master_key_weak: { status: 500, exit: 78, text: 'The master key is not 32 random bytes.' },
  master_key_wrong: { status: 500, exit: 77, text: 'The master key is not the one this vault was made with.' },
  vault_damaged: { status: 500, exit: 65, text: 'keys.json cannot be read.' },
  backup_damaged: { status: 500, exit: 65, text: 'This is not a whole and unaltered backup.' },
  settings_invalid: { status: 500, exit: 78, text: 'The settings are not valid.' },
  file_refused: { status: 500, exit: 74, text: 'A file cannot be read or written.' },
  file_exists: { status: 500, exit: 73, text: 'The file exists already and is not overwritten.' },
  certificate_invalid: { status: 500, exit: 78, text: 'The TLS certificate and key cannot be used.' },
  // certificates from a CA
  dns_provider_unknown: { status: 500, exit: 2, text: 'No such DNS provider.' },
  dns_settings_incomplete: { status: 500, exit: 78, text: 'The settings of the DNS provider are not complete.' },
  dns_credentials_refused: { status: 500, exit: 77, text: 'The DNS provider refuses the credentials.' },
  dns_zone_not_found: { status: 500, exit: 66, text: 'No zone of this DNS account holds the name.' },
  dns_provider_failed: { status: 500, exit: 69, text: 'The DNS provider did not do what was asked.' },
  dns_not_published: { status: 500, exit: 75, text: 'The record is not seen on the name servers.' },
  dns_name_refused: { status: 500, exit: 65, text: 'The name cannot be proved by DNS.' },
  acme_refused: { status: 500, exit: 69, text: 'The certificate authority refuses.' },
  acme_rate_limited: { status: 500, exit: 75, text: 'The certificate authority asks to wait.' },
  acme_unreachable: { status: 500, exit: 75, text: 'The certificate authority cannot be reached or does not work.' },
  certificate_busy: { status: 500, exit: 75, text: 'Another process is working on the certificates.' },
  certificate_not_found: { status: 500, exit: 66, text: 'No such certificate.' },
  certificate_failed: { status: 500, exit: 1, text: 'Not every certificate could be renewed.' },
  hook_failed: { status: 500, exit: 71, text: 'A hook failed; the certificates are in order.' },
  address_refused: { status: 500, exit: 69, text: 'The address cannot be listened on.' },
  address_in_use: { status: 500, exit: 69, text: 'The address is in use already.' },
  check_failed: { status: 500, exit: 1, text: 'Not everything is in order.' },
  internal: { status: 500, exit: 70, text: 'Something went wrong inside soakp.' },
} as const satisfies Record<string, ErrorRow>

export type ErrorCode = keyof typeof errors

export interface ErrorOptions {
  readonly cause?: unknown
  /** What the reader can do about it; shown on the CLI and, where it holds nothing private, over HTTP. */
  readonly hint?: string
  /** Seconds until trying again can help; becomes `Retry-After`. */
  readonly retryAfterSeconds?: number
  /** Whether waiting can help, where that depends on the case. */
  readonly isRetryable?: boolean
}

/**
 * `detail` completes the public text with what happened this time; it is shown to whoever asked, so it holds names and ids, never a secret and
 * never a driver's words. What only the log may know goes into `cause`.
 */
export class SoakpError extends Error {
  override readonly name = 'SoakpError'
  readonly code: ErrorCode
  readonly detail: string | undefined
  readonly hint: string | undefined
  readonly retryAfterSeconds: number | undefined
  readonly #isRetryable: boolean | undefined

  constructor(code: ErrorCode, detail?: string, options: ErrorOptions = {}) {
    super(
      detail === undefined ? errors[code].text : `${errors[code].text} ${detail}`,
      'cause' in options ? { cause: options.cause } : undefined,
    )
    this.code = code
    this.detail = detail
    this.hint = options.hint
    this.retryAfterSeconds = options.retryAfterSeconds
    this.#isRetryable = options.isRetryable
  }

  get status(): number {
    return errors[this.code].status
  }

  get exit(): number {
    return errors[this.code].exit
  }

  /** Seconds for `Retry-After`: always known where the client is to come back later. */
  get waitSeconds(): number | undefined {
    return this.retryAfterSeconds ?? (this.retryable && (this.status === 429 || this.status === 503) ? 1 : undefined)
  }

  /** Whether waiting and trying again can help. */
  get retryable(): boolean {
    return this.#isRetryable ?? 'retry' in errors[this.code]
  }
}
