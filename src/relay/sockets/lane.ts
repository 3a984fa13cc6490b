interface Message {
  readonly data: Buffer
  readonly isBinary: boolean
}

/** The messages of one direction. They keep their order: while one of them waits for something, those behind it wait too. */
export class Lane {
  readonly #take: (data: Buffer, isBinary: boolean) => void
  readonly #idle: () => void
  #waiting: Message[] | undefined
  #isDraining = false
  #after: (() => void) | undefined

  /** `take` handles one message, and may call `wait`. `idle`: nothing waits any more. */
  constructor(take: (data: Buffer, isBinary: boolean) => void, idle: () => void) {
    this.#take = take
    this.#idle = idle
  }

  get isWaiting(): boolean {
    return this.#waiting !== undefined
  }

  push(data: Buffer, isBinary: boolean): void {
    // a view into what was received, which may be used again
    if (this.#waiting) this.#waiting.push({ data: Buffer.from(data), isBinary })
    else this.#take(data, isBinary)
  }

  /** Messages that come before this is settled stay here. */
  wait(until: Promise<void>): void {
    this.#waiting ??= []
    until.then(() => this.#drain())
  }

  /** Runs it when nothing waits, which may be at once. Only the last one counts. */
  afterwards(run: () => void): void {
    if (this.#waiting) this.#after = run
    else run()
  }

  #drain(): void {
    if (this.#isDraining) return
    this.#isDraining = true
    const messages = this.#waiting ?? []
    this.#waiting = undefined
    for (let at = 0; at < messages.length; at++) {
      const { data, isBinary } = messages[at] as Message
      this.#take(data, isBinary)
      if (!this.isWaiting) continue
      this.#waiting = messages.slice(at + 1)
      break
    }
    this.#isDraining = false
    if (this.isWaiting) return
    this.#idle()
    this.#after?.()
  }
}
