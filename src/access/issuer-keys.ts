import type { JSONWebKeySet } from 'jose'
import { SoakpError } from '../errors.js'
import { ask, checkBaseUrl, type Outbound } from '../lib/outbound.js'
import type { IssuerRecord } from '../stores/records.js'

/** Whoever signs with a secret that the verifier shares could be anyone who verifies: only key pairs. */
export const asymmetric = ['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512', 'ES256', 'ES384', 'ES512', 'EdDSA', 'Ed25519']

/** What an issuer publishes. */
export interface IssuerKeys {
  readonly jwks: JSONWebKeySet
  /** Algorithms it says it signs with, and we would take. */
  readonly algorithms: readonly string[]
}

export interface Published extends IssuerKeys {
  /** Its own name for itself, as discovery tells; undefined where discovery was not asked. */
  readonly url: string | undefined
  readonly jwksUrl: string
  /** For how long it may be remembered. */
  readonly freshMs: number
}

type Source = Pick<IssuerRecord, 'url' | 'jwksUrl' | 'allowPrivate'>

const patienceMs = 5_000
const shortestFreshMs = 60_000
const usualFreshMs = 600_000
/** However long the issuer says: a key that it took back must not open anything for longer. */
const longestFreshMs = 3_600_000
const maxKeys = 100

/**
 * Reads what an issuer publishes, by OpenID Connect Discovery 1.0 and RFC 7517. Redirects are not followed, nothing is read beyond 64 KB or 5 s, and addresses in private
 * networks are refused unless the operator allowed them. Throws `issuer_unavailable`, `issuer_refused`, `base_url_refused`.
 */
export async function fetchIssuer({ url, jwksUrl, allowPrivate }: Source, outbound: Pick<Outbound, 'pool'>): Promise<Published> {
  const read = (from: string) => readJson(from, allowPrivate, outbound)
  if (jwksUrl !== null) {
    const { value, freshMs } = await read(jwksUrl)
    return { url: undefined, jwksUrl, jwks: readJwks(value, jwksUrl), algorithms: asymmetric, freshMs }
  }
  const discovery = await read(`${url.replace(/\/$/, '')}/.well-known/openid-configuration`)
  const { issuer, jwks_uri: keysUrl, id_token_signing_alg_values_supported: listed } = discovery.value
  if (typeof issuer !== 'string' || issuer.replace(/\/$/, '') !== url.replace(/\/$/, ''))
    throw new SoakpError('issuer_refused', 'It calls itself by another name than it was asked by.')
  if (typeof keysUrl !== 'string') throw new SoakpError('issuer_refused', 'It does not say where its keys are.')
  const algorithms = Array.isArray(listed) ? asymmetric.filter(algorithm => listed.includes(algorithm)) : asymmetric
  if (algorithms.length === 0)
    throw new SoakpError('issuer_refused', 'It signs with no key pair: its tokens could be made by whoever checks them.')
  const { value, freshMs } = await read(keysUrl)
  return { url: issuer, jwksUrl: keysUrl, jwks: readJwks(value, keysUrl), algorithms, freshMs }
}

async function readJson(
  from: string,
  allowPrivate: boolean,
  outbound: Pick<Outbound, 'pool'>,
): Promise<{ value: Record<string, unknown>; freshMs: number }> {
  const url = checkIssuerUrl(from, allowPrivate)
  const fail = (why: string, cause?: unknown) => new SoakpError('issuer_unavailable', `${from} ${why}.`, { cause, retryAfterSeconds: 30 })
  const answer = await ask(outbound.pool(url.origin, allowPrivate), {
    method: 'GET',
    path: `${url.pathname}${url.search}`,
    headers: ['accept', 'application/json'],
    timeoutMs: patienceMs,
  }).catch((cause: unknown) => {
    throw cause instanceof SoakpError ? cause : fail('cannot be reached', cause)
  })
  if (answer.status !== 200)
    throw fail(`answered ${answer.status}${answer.status >= 300 && answer.status < 400 ? ', and redirects are not followed' : ''}`)
  if (!answer.whole) throw fail('is larger than 64 KB')
  try {
    const value: unknown = JSON.parse(answer.body)
    if (typeof value === 'object' && value !== null && !Array.isArray(value))
      return { value: value as Record<string, unknown>, freshMs: freshFor(answer.cacheControl) }
  } catch {
    // told like any other thing that is no JSON object
  }
  throw fail('is no JSON object')
}

/** Keys come over TLS or not at all: whoever could put his own in place would be everybody. Throws `base_url_refused`. */
export function checkIssuerUrl(text: string, allowPrivate: boolean): URL {
  const url = URL.canParse(text) ? new URL(text) : checkBaseUrl(text, allowPrivate)
  // a query is part of some key lists' addresses, and harmless there
  const bare = new URL(url)
  bare.search = ''
  checkBaseUrl(bare.href, allowPrivate)
  if (url.protocol !== 'https:') throw new SoakpError('base_url_refused', 'It must begin with https:.')
  return url
}

function readJwks({ keys }: Record<string, unknown>, from: string): JSONWebKeySet {
  if (
    !Array.isArray(keys) ||
    keys.length > maxKeys ||
    !keys.every(key => typeof key === 'object' && key !== null && typeof key.kty === 'string')
  )
    throw new SoakpError('issuer_unavailable', `${from} is no list of keys.`, { retryAfterSeconds: 30 })
  // what is no public key of a pair has no business here
  const usable = keys.filter(
    key => (key.kty === 'RSA' || key.kty === 'EC' || key.kty === 'OKP') && key.d === undefined && (key.use ?? 'sig') === 'sig',
  )
  if (usable.length === 0)
    throw new SoakpError('issuer_unavailable', `${from} lists no public key to sign with.`, { retryAfterSeconds: 30 })
  return { keys: usable }
}

function freshFor(cacheControl: string): number {
  const [, seconds] = /(?:^|[\s,])max-age=(\d{1,9})/i.exec(cacheControl) ?? []
  if (/no-store|no-cache/i.test(cacheControl)) return shortestFreshMs
  if (seconds === undefined) return usualFreshMs
  return Math.min(longestFreshMs, Math.max(shortestFreshMs, Number(seconds) * 1000))
}

/** Keys of issuers as they were last seen. */
export interface IssuerKeyCache {
  /**
   * Those known, fetched first where they are not or are too old; `kid`: one that should be among them. `misfit`: what was had before, and a signature is of none of them: a new
   * key may go by an old name, or by none. The same where nothing newer is to be had yet. Throws `issuer_unavailable`.
   */
  keys(issuer: IssuerRecord, kid: string | undefined, misfit?: IssuerKeys): Promise<IssuerKeys>
}

/** At most one question in so long, whatever comes: unknown names of keys cost the issuer nothing. */
const askAgainMs = 30_000
/** How long known keys go on while the issuer cannot be reached. */
const outlastMs = 86_400_000

interface Known {
  found: Published | undefined
  fetchedAtMs: number
  askedAtMs: number
  asking: Promise<void> | undefined
  failure: unknown
}

export function createIssuerKeys(outbound: Pick<Outbound, 'pool'>, now: () => number): IssuerKeyCache {
  const states = new Map<string, Known>()

  /** One question at a time; it never rejects. */
  function askNow(issuer: IssuerRecord, state: Known): Promise<void> {
    state.askedAtMs = now()
    state.asking ??= fetchIssuer(issuer, outbound)
      .then(
        found => {
          state.found = found
          state.fetchedAtMs = now()
          state.failure = undefined
        },
        (error: unknown) => {
          state.failure = error
        },
      )
      .finally(() => {
        state.asking = undefined
      })
    return state.asking
  }

  function stateOf({ id }: IssuerRecord): Known {
    const known = states.get(id)
    if (known) return known
    const fresh = { found: undefined, fetchedAtMs: 0, askedAtMs: Number.NEGATIVE_INFINITY, asking: undefined, failure: undefined }
    states.set(id, fresh)
    return fresh
  }

  function usable({ found, fetchedAtMs }: Known): Published | undefined {
    return found && now() - fetchedAtMs <= outlastMs ? found : undefined
  }

  return {
    async keys(issuer, kid, misfit) {
      const state = stateOf(issuer)
      const { found } = state
      const isOld = !found || now() - state.fetchedAtMs > found.freshMs
      const isStrange = !found || found === misfit || (kid !== undefined && !found.jwks.keys.some(key => key.kid === kid))
      if (isOld || isStrange) {
        // an issuer that failed the last time is not waited for where what is known of it will do
        const mustWait = isStrange || state.failure === undefined || !usable(state)
        const isDue = now() - state.askedAtMs >= askAgainMs
        const asking = state.asking ?? (isDue ? askNow(issuer, state) : undefined)
        if (mustWait) await asking
      }
      const keys = usable(state)
      if (!keys) throw new SoakpError('issuer_unavailable', issuer.name, { cause: state.failure, retryAfterSeconds: askAgainMs / 1000 })
      return keys
    },
  }
}
