import { inspect } from 'node:util'

/**
 * A value that cannot be printed: strings, JSON and `inspect` show `[secret]`. The bytes live in a buffer, outside the JavaScript heap, so that a
 * heap snapshot does not hold them. `expose()` is the only way to a string; what it returns must not outlive the use it was made for.
 */
export class Secret {
  readonly #bytes: Buffer

  /** Takes a copy; the caller wipes its own. */
  constructor(value: string | Uint8Array) {
    const size = typeof value === 'string' ? Buffer.byteLength(value) : value.length
    // not from the pool, so that wiping it touches nobody else's bytes
    this.#bytes = Buffer.alloc(size)
    if (typeof value === 'string') this.#bytes.write(value)
    else this.#bytes.set(value)
  }

  /** As many zero bytes, for the caller to fill in through `bytes()`. */
  static ofSize(size: number): Secret {
    return new Secret(new Uint8Array(size))
  }

  /** The value as UTF-8 text. */
  expose(): string {
    return this.#bytes.toString('utf8')
  }

  /** The bytes themselves, not a copy: do not keep them. */
  bytes(): Buffer {
    return this.#bytes
  }

  /** Overwrites the bytes; afterwards the value is zeros. */
  wipe(): void {
    this.#bytes.fill(0)
  }

  toString(): string {
    return '[secret]'
  }

  toJSON(): string {
    return '[secret]'
  }

  [inspect.custom](): string {
    return '[secret]'
  }
}
