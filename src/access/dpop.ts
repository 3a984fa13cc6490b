import { createHash, randomBytes } from 'node:crypto'
import { SoakpError } from '../errors.js'
import { derivedId } from '../lib/id.js'
import { anyKey } from '../stores/records.js'
import type { LiveGrant } from './access.js'
import { type Proof, proofAlgorithms, readProof } from './dpop-proof.js'

/** What a request was made for, as far as a proof has to say the same. */
export interface ProvenRequest {
  readonly method: string
  /** As received, with or without a query. */
  readonly url: string
  /** The `Host` or `:authority` it came for; it was found to be ours. */
  readonly host: string | undefined
  readonly overTls: boolean
  /** Where clients are told to reach us. */
  readonly publicUrl: string | undefined
}

/** How a client showed its access token. */
export interface Shown {
  readonly token: string
  /** As `Authorization: DPoP`. */
  readonly asDpop: boolean
  readonly proof: string | undefined
}

/** Proofs that a client holds the key that its access token is bound to (RFC 9449). */
export interface Proofs {
  /** For the client's next proof. */
  nonce(): string
  /**
   * The call's token may be used as it was shown, or this throws: `dpop_missing`, `dpop_invalid`, `dpop_nonce_needed`. To be asked only where the token is bound, the grant wants it to be,
   * or it was shown as if it were.
   */
  checkUse(live: LiveGrant, shown: Shown, request: ProvenRequest): void
  /** The same for a token that is about to be exchanged for one that is bound. Returns the thumbprint. */
  checkExchange(live: LiveGrant, shown: Shown, request: ProvenRequest): string | undefined
  /** The key that a new token is to be bound to. Of one proof once, in all processes together. Throws `dpop_invalid`. */
  claim(proof: string, request: ProvenRequest): Promise<string>
}

export interface ProofsDeps {
  /** A derived id stands for a proof that may be used once. */
  readonly spend: (id: string, keepUntilMs: number) => Promise<boolean>
  readonly now: () => number
}

/** The nonces of so long, and of so many proofs, are good at once, twice over: what is remembered of proofs is bounded, and none can be used twice. */
const nonceMs = 300_000
const mostProofs = 50_000

/** How far the clock of who made a proof may be from ours; that it is fresh, the nonce says. */
const clockMs = 300_000

/** One nonce, and the proofs that were made with it. */
interface Generation {
  readonly nonce: string
  readonly since: number
  readonly seen: Set<string>
}

export function createProofs({ spend, now }: ProofsDeps): Proofs {
  let current = generation()
  let before = generation()

  function generation(): Generation {
    return { nonce: randomBytes(18).toString('base64url'), since: now(), seen: new Set() }
  }

  /** With a nonce all proofs made with it go out of use, so nothing has to be remembered of them. */
  function turn(): Generation {
    if (now() - current.since > 2 * nonceMs) before = generation()
    else if (now() - current.since <= nonceMs && current.seen.size < mostProofs) return current
    else before = current
    current = generation()
    return current
  }

  function generationOf(nonce: string | undefined): Generation {
    const newest = turn()
    if (nonce === newest.nonce) return newest
    if (nonce === before.nonce) return before
    throw new SoakpError('dpop_nonce_needed')
  }

  /** `wanted`: the key that it has to be of. */
  function prove(proof: string, token: string, request: ProvenRequest, wanted: string | undefined): string {
    const said = readProof(proof)
    checkRequest(said, request, now())
    if (said.tokenHash !== createHash('sha256').update(token).digest('base64url'))
      throw invalid('Its ath is not the hash of this access token.')
    if (wanted !== undefined && wanted !== said.thumbprint) throw invalid('It is of another key than the access token is for.')
    const { seen } = generationOf(said.nonce)
    const id = `${said.thumbprint} ${said.id}`
    if (seen.has(id)) throw invalid('It was used before.')
    seen.add(id)
    return said.thumbprint
  }

  function checkUse({ claims, record }: LiveGrant, { token, asDpop, proof }: Shown, request: ProvenRequest): void {
    const { thumbprint } = claims
    if (thumbprint === undefined) {
      if (record.dpop !== null)
        throw new SoakpError('dpop_missing', 'It is bound to no key yet: exchange it for one that is, at /auth/refresh.')
      if (asDpop) throw new SoakpError('token_invalid', 'It is bound to no key: send it as Bearer.')
      return
    }
    if (!asDpop || proof === undefined) throw new SoakpError('dpop_missing')
    if (record.dpop !== null && record.dpop !== anyKey && record.dpop !== thumbprint)
      throw new SoakpError('token_invalid', 'The grant is for another key.')
    prove(proof, token, request, thumbprint)
  }

  return {
    nonce: () => turn().nonce,
    checkUse,

    checkExchange(live, shown, request) {
      const { claims, record } = live
      const isFree = claims.thumbprint === undefined && (shown.proof !== undefined || record.dpop !== null)
      if (!isFree) {
        if (isProven(live) || shown.asDpop) checkUse(live, shown, request)
        return claims.thumbprint
      }
      if (shown.proof === undefined) throw new SoakpError('dpop_missing')
      return prove(shown.proof, shown.token, request, record.dpop === anyKey ? undefined : (record.dpop ?? undefined))
    },

    async claim(proof, request) {
      const said = readProof(proof)
      const at = now()
      checkRequest(said, request, at)
      if (!(await spend(derivedId('tok', ['dpop', said.thumbprint, said.id]), said.issuedAtMs + 2 * clockMs)))
        throw invalid('It was used before.')
      return said.thumbprint
    },
  }
}

/** Whether a call with this token has to prove anything. */
export function isProven({ claims, record }: LiveGrant): boolean {
  return claims.thumbprint !== undefined || record.dpop !== null
}

/** `WWW-Authenticate` of a refusal (RFC 9449, section 7.1; RFC 6750, section 3). */
export function challengeOf({ code, status }: SoakpError): string | undefined {
  if (status !== 401) return undefined
  const fault = proofFaults[code]
  if (fault !== undefined) return `DPoP realm="soakp", error="${fault}", algs="${proofAlgorithms.join(' ')}"`
  return badTokens.has(code) ? 'Bearer realm="soakp", error="invalid_token"' : 'Bearer realm="soakp"'
}

const badTokens: ReadonlySet<SoakpError['code']> = new Set(['token_invalid', 'token_expired', 'token_revoked'])

const proofFaults: Readonly<Partial<Record<SoakpError['code'], string>>> = {
  dpop_missing: 'invalid_token',
  dpop_invalid: 'invalid_dpop_proof',
  dpop_nonce_needed: 'use_dpop_nonce',
}

function invalid(why: string): SoakpError {
  return new SoakpError('dpop_invalid', why)
}

function checkRequest({ method, url, issuedAtMs }: Proof, request: ProvenRequest, now: number): void {
  if (method !== request.method) throw invalid('Its htm is not the method of this request.')
  if (!isUrlOf(url, request)) throw invalid('Its htu is not the address of this request.')
  if (issuedAtMs < now - clockMs) throw invalid('Its iat is too long ago.')
  if (issuedAtMs > now + clockMs) throw invalid('Its iat lies in the future.')
}

const schemes: Readonly<Record<string, string>> = { 'wss:': 'https:', 'ws:': 'http:' }

/** A path in the one spelling that all equal ones have in common (RFC 3986, sections 6.2.2.1 and 6.2.2.2). */
function spelt(path: string): string {
  return path.replace(/%[0-9a-f]{2}/gi, coded => {
    const char = String.fromCharCode(Number.parseInt(coded.slice(1), 16))
    return /[\w.~-]/.test(char) ? char : coded.toUpperCase()
  })
}

/** Query and fragment do not count (RFC 9449, section 4.3). Behind a proxy the client's scheme is not ours: `https:` for a name of ours can mean nobody else. */
function isUrlOf(text: string, { url, host, overTls, publicUrl }: ProvenRequest): boolean {
  if (text.length > 2048 || !URL.canParse(text)) return false
  const said = new URL(text)
  const scheme = schemes[said.protocol] ?? said.protocol
  const origins = [...(publicUrl === undefined ? [] : [publicUrl]), ...(host === undefined ? [] : [`https://${host}`])]
  if (!overTls && host !== undefined) origins.push(`http://${host}`)
  const [path = ''] = url.split('?', 1)
  return origins.some(origin => {
    const whole = origin.replace(/\/$/, '') + path
    if (!URL.canParse(whole)) return false
    const ours = new URL(whole)
    return ours.protocol === scheme && ours.host === said.host && spelt(ours.pathname) === spelt(said.pathname)
  })
}
