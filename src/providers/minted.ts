import { createHash } from 'node:crypto'
import { BoundedMap } from '../lib/bounded-map.js'
import type { MaybePromise } from '../lib/maybe.js'
import { SealedBytes } from '../lib/sealed-bytes.js'
import { Secret } from '../lib/secret.js'

/** A token that somebody issued for a key. */
export interface Minted {
  /** Its bytes; wiped by whoever takes them over. */
  readonly token: Secret
  readonly lifetimeMs: number
}

interface Kept {
  readonly sealed: SealedBytes
  readonly goodUntilMs: number
}

/** So long before its end a token is replaced: a call that leaves with it must still arrive in time. */
const marginMs = 120_000
const mostKeys = 1000

/** Keeps tokens, by key, until shortly before they expire; several calls that find none wait for one flight. */
export class MintedTokens {
  readonly #kept = new BoundedMap<string, Kept>(mostKeys)
  readonly #flights = new Map<string, Promise<Kept>>()

  /** A copy of the key's token, for the caller to wipe. `mint` may read `key` before it first waits, not later. Rejects as it does. */
  get(key: Secret, nowMs: number, mint: () => Promise<Minted>): MaybePromise<Secret> {
    const name = nameOf(key)
    const kept = this.#kept.get(name)
    if (kept !== undefined && kept.goodUntilMs > nowMs) return kept.sealed.open()
    return this.#flight(name, nowMs, mint).then(({ sealed }) => sealed.open())
  }

  /** A copy of the key's token as it is kept, if one is, for the caller to wipe. */
  kept(key: Secret): Secret | undefined {
    return this.#kept.get(nameOf(key))?.sealed.open()
  }

  #flight(name: string, nowMs: number, mint: () => Promise<Minted>): Promise<Kept> {
    const under = this.#flights.get(name)
    if (under) return under
    const flight = mint()
      .then(({ token, lifetimeMs }) => {
        const kept = { sealed: new SealedBytes(token.bytes()), goodUntilMs: nowMs + lifetimeMs - Math.min(marginMs, lifetimeMs / 2) }
        token.wipe()
        this.#kept.set(name, kept)
        return kept
      })
      .finally(() => this.#flights.delete(name))
    this.#flights.set(name, flight)
    return flight
  }
}

function nameOf(key: Secret): string {
  return createHash('sha256').update(key.bytes()).digest('base64')
}

/** Reads `{"access_token": …, "expires_in": …}` (RFC 6749, section 5.1) without making a string of the token. Undefined where it holds none. */
export function readTokenReply(body: Buffer): Minted | undefined {
  const found = /"access_token"\s*:\s*"([^"\\]+)"/.exec(body.toString('latin1'))
  const lifetime = /"expires_in"\s*:\s*"?(\d{1,9})/.exec(body.toString('latin1'))
  if (!found?.[1]) return undefined
  const token = new Secret(Buffer.from(found[1], 'latin1'))
  return { token, lifetimeMs: lifetime ? Number(lifetime[1]) * 1000 : 3_600_000 }
}
