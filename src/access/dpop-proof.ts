import { createHash, createPublicKey, type KeyObject, verify } from 'node:crypto'
import { SoakpError } from '../errors.js'
import { BoundedMap } from '../lib/bounded-map.js'

/** What a proof of possession (RFC 9449, section 4.2) says, its signature checked. */
export interface Proof {
  /** Thumbprint of the key that signed it (RFC 7638), in base64url. */
  readonly thumbprint: string
  readonly id: string
  readonly method: string
  readonly url: string
  readonly issuedAtMs: number
  /** Hash of the access token it is for. */
  readonly tokenHash: string | undefined
  readonly nonce: string | undefined
}

/** Longest proof looked at. */
const maxProofLength = 2048

interface Algorithm {
  /** Members of the public key that its thumbprint is made of, in the order of RFC 7638, with what they have to be; `true`: 32 bytes. */
  readonly jwk: Readonly<Record<string, string | true>>
  readonly hash: string | null
}

const edwards: Algorithm = { jwk: { crv: 'Ed25519', kty: 'OKP', x: true }, hash: null }

/** Every algorithm that is taken: keys of 32 bytes that browsers make without being asked twice. Not RSA, whose keys fill headers; never a shared secret. */
const algorithms: Readonly<Record<string, Algorithm>> = {
  ES256: { jwk: { crv: 'P-256', kty: 'EC', x: true, y: true }, hash: 'sha256' },
  EdDSA: edwards,
  // the same by the name of RFC 9864
  Ed25519: edwards,
}

export const proofAlgorithms: readonly string[] = Object.keys(algorithms)

/** Members that only the private or secret half of a key has (RFC 7518, section 6). */
const privateMembers = ['d', 'p', 'q', 'dp', 'dq', 'qi', 'oth', 'k']

/** 32 bytes of base64url, with nothing in the bits that mean nothing. */
const bytes32 = /^[\w-]{42}[AEIMQUYcgkosw048]$/
const part = /^[\w-]+$/

interface Signer {
  readonly thumbprint: string
  readonly key: KeyObject
  readonly algorithm: Algorithm
}

/** Keys that were seen to sign: the head of a proof is the same each time. */
const signers = new BoundedMap<string, Signer>(5_000)

function invalid(why: string, cause?: unknown): SoakpError {
  return new SoakpError('dpop_invalid', why, { cause })
}

/** A thumbprint as RFC 7638 has it. */
export function isThumbprint(text: string): boolean {
  return bytes32.test(text)
}

/** Throws `dpop_invalid` for whatever is no proof, or not signed by the key that it carries. */
export function readProof(text: string): Proof {
  if (text.length > maxProofLength) throw invalid('It is too long.')
  const [head = '', body = '', signature = '', rest] = text.split('.')
  if (![head, body, signature].every(one => part.test(one)) || rest !== undefined) throw invalid('It is not one signed JWT.')
  const known = signers.get(head)
  const signer = known ?? readSigner(head)
  const claims = readClaims(body)
  const signed = Buffer.from(`${head}.${body}`, 'latin1')
  const { key, algorithm, thumbprint } = signer
  if (!verify(algorithm.hash, signed, { key, dsaEncoding: 'ieee-p1363' }, Buffer.from(signature, 'base64url')))
    throw invalid('Its signature is not of the key that it carries.')
  if (!known) signers.set(head, signer)
  return { ...claims, thumbprint }
}

function readSigner(head: string): Signer {
  const { typ, alg, jwk, crit, b64 } = parse(head)
  if (typ !== 'dpop+jwt') throw invalid('Its typ is not dpop+jwt.')
  const algorithm = typeof alg === 'string' && Object.hasOwn(algorithms, alg) ? algorithms[alg] : undefined
  if (!algorithm) throw invalid(`Its alg is none of ${proofAlgorithms.join(', ')}.`)
  if (crit !== undefined || b64 !== undefined) throw invalid('It carries an extension that is not known here.')
  if (!isObject(jwk)) throw invalid('It carries no key (jwk).')
  if (privateMembers.some(name => name in jwk)) throw invalid('It carries a private key: consider that key exposed.')
  const members: Record<string, string> = {}
  for (const [name, wanted] of Object.entries(algorithm.jwk)) {
    const value = jwk[name]
    if (typeof value !== 'string' || (wanted === true ? !bytes32.test(value) : value !== wanted))
      throw invalid('Its key is not one of its alg.')
    members[name] = value
  }
  const thumbprint = createHash('sha256').update(JSON.stringify(members)).digest('base64url')
  return { thumbprint, algorithm, key: importKey(members) }
}

function importKey(jwk: Record<string, string>): KeyObject {
  try {
    return createPublicKey({ key: jwk, format: 'jwk' })
  } catch (cause) {
    throw invalid('Its key is none.', cause)
  }
}

function readClaims(body: string): Omit<Proof, 'thumbprint'> {
  const { jti, htm, htu, iat, ath, nonce } = parse(body)
  if (typeof jti !== 'string' || jti === '' || jti.length > 200) throw invalid('It needs a jti of at most 200 characters.')
  if (typeof htm !== 'string' || typeof htu !== 'string') throw invalid('It needs htm and htu.')
  if (typeof iat !== 'number' || !Number.isFinite(iat)) throw invalid('It needs iat.')
  return { id: jti, method: htm, url: htu, issuedAtMs: iat * 1000, tokenHash: textOf(ath, 'ath'), nonce: textOf(nonce, 'nonce') }
}

function textOf(value: unknown, name: string): string | undefined {
  if (value !== undefined && typeof value !== 'string') throw invalid(`Its ${name} is no text.`)
  return value
}

function parse(text: string): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(Buffer.from(text, 'base64url').toString('utf8'))
    if (isObject(value)) return value
  } catch {
    // refused below, like any other text that is none
  }
  throw invalid('It is not a JWT.')
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
