/** What becomes of a text's lines; without their ends. */
export interface LineReader {
  line(bytes: Buffer): void
  /** One that is longer than is kept. */
  tooLong(): void
}

const newline = 0x0a

/** Cuts bytes that come in pieces into lines, and keeps no more than one of them. */
export class Lines {
  readonly #reader: LineReader
  readonly #mostBytes: number
  #pieces: Buffer[] = []
  #size = 0
  #isTooLong = false

  constructor(mostBytes: number, reader: LineReader) {
    this.#reader = reader
    this.#mostBytes = mostBytes
  }

  feed(bytes: Buffer): void {
    let start = 0
    for (let at = bytes.indexOf(newline); at >= 0; at = bytes.indexOf(newline, start)) {
      this.#keep(bytes.subarray(start, at))
      this.#finish()
      start = at + 1
    }
    this.#keep(bytes.subarray(start))
  }

  /** A last line need not have an end. */
  end(): void {
    if (this.#size > 0 || this.#isTooLong) this.#finish()
  }

  #keep(bytes: Buffer): void {
    if (bytes.length === 0 || this.#isTooLong) return
    this.#size += bytes.length
    if (this.#size <= this.#mostBytes) {
      // the piece it was cut from may be used again
      this.#pieces.push(Buffer.from(bytes))
      return
    }
    this.#isTooLong = true
    this.#pieces = []
  }

  #finish(): void {
    const pieces = this.#pieces
    const isTooLong = this.#isTooLong
    this.#pieces = []
    this.#size = 0
    this.#isTooLong = false
    if (isTooLong) this.#reader.tooLong()
    else this.#reader.line(pieces.length === 1 ? (pieces[0] as Buffer) : Buffer.concat(pieces))
  }
}
