import { randomFillSync } from 'node:crypto'
import { Secret } from './secret.js'

/**
 * A secret that stays in memory for a while, under a one-time pad: without the pad its bytes say nothing at all, and both lie apart and outside the JavaScript heap, so
 * that no heap snapshot and no stray copy of one of them holds it.
 */
export class SealedBytes {
  readonly #pad: Buffer
  readonly #sealed: Buffer

  /** Takes a copy; the caller wipes its own. */
  constructor(plaintext: Uint8Array) {
    this.#pad = randomFillSync(Buffer.alloc(plaintext.length))
    this.#sealed = Buffer.alloc(plaintext.length)
    for (let at = 0; at < plaintext.length; at++) this.#sealed[at] = (plaintext[at] as number) ^ (this.#pad[at] as number)
  }

  /** The secret, for the caller to wipe. */
  open(): Secret {
    const secret = Secret.ofSize(this.#sealed.length)
    const bytes = secret.bytes()
    for (let at = 0; at < bytes.length; at++) bytes[at] = (this.#sealed[at] as number) ^ (this.#pad[at] as number)
    return secret
  }
}
