/** So much of a body that streams is kept, for the case that another key has to be tried. */
export const mostKeptBytes = 1024 * 1024

/** A body on its way out, kept as it passes while it is small. */
export class Kept {
  #pieces: Buffer[] = []
  #size = 0
  #whole = false
  #dropped = false

  add(piece: Buffer): void {
    if (this.#dropped) return
    this.#size += piece.length
    if (this.#size <= mostKeptBytes) this.#pieces.push(piece)
    else this.drop()
  }

  /** The client has sent all of it, and every rule has let it pass. */
  end(): void {
    this.#whole = true
  }

  drop(): void {
    this.#dropped = true
    this.#pieces = []
  }

  /** The body, where all of it is here. */
  get body(): Buffer | undefined {
    if (this.#dropped || !this.#whole) return undefined
    if (this.#pieces.length !== 1) this.#pieces = [Buffer.concat(this.#pieces, this.#size)]
    return this.#pieces[0]
  }
}
