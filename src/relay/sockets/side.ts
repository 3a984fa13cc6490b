import type { OpenSocket } from '../../lib/outbound-socket.js'

/** What one end of a connection tells the other. */
export interface SideListener {
  message(data: Buffer, isBinary: boolean): void
  /** It says goodbye with this code and reason, or broke the protocol (`fault`, a code of ws); its close frame is not answered before `close`. Comes once, and not after `gone`. */
  closing(code: number, reason: Buffer, fault: string | undefined): void
  /** The connection is no more. */
  gone(): void
  /** What was written has left, down to where the other end may go on. */
  drained(): void
}

/** So much may wait to be written to one end before the other end is not read any more. */
const fullBytes = 256 * 1024

/** Whoever takes less than this of what waits for him is not waited for: less than any sound needs. */
const leastBytesPerSecond = 32 * 1024

const noReason = Buffer.alloc(0)

/** Codes that may stand in a close frame (RFC 6455, section 7.4). */
function isSendable(code: number): boolean {
  return (code >= 1000 && code <= 1014 && code !== 1004 && code !== 1005 && code !== 1006) || (code >= 3000 && code <= 4999)
}

/** One end of a connection: its close is held until we say so, it can be paused, and its silence is noticed. */
export class Side {
  readonly #socket: OpenSocket['socket']
  readonly #connection: OpenSocket['connection']
  readonly #listener: SideListener
  readonly #clock: () => number
  readonly #close: OpenSocket['socket']['close']
  readonly #sent = (error?: Error | null) => this.#afterSend(error)
  #fault: string | undefined
  #isClosing = false
  #isPaused = false
  #isFull = false
  /** When it last gave a sign of life, on the steady clock. */
  #heardAt: number
  #pingedAt: number
  /** Of the connection, when it was last looked at. */
  #bytesRead = 0

  constructor({ socket, connection }: OpenSocket, listener: SideListener, clock: () => number) {
    this.#socket = socket
    this.#connection = connection
    this.#listener = listener
    this.#clock = clock
    this.#heardAt = clock()
    this.#pingedAt = this.#heardAt
    // ws answers a close frame, or a fault, by calling this
    this.#close = socket.close.bind(socket)
    socket.close = (code, reason) => this.#hold(code, reason)
    socket.on('message', (data, isBinary) => {
      if (!this.#isClosing) listener.message(data, isBinary)
    })
    socket.on('error', error => {
      this.#fault = (error as NodeJS.ErrnoException).code
    })
    socket.on('close', () => listener.gone())
  }

  #hold(code: number | undefined, reason: string | Buffer | undefined): void {
    if (this.#isClosing) return
    this.#isClosing = true
    const said = typeof reason === 'string' ? Buffer.from(reason) : (reason ?? noReason)
    // a view into what was received, which may be used again
    const kept = said.length === 0 ? noReason : Buffer.from(said)
    // the fault is told after the call
    process.nextTick(() => this.#listener.closing(code ?? 1005, kept, this.#fault))
  }

  send(data: Buffer, isBinary: boolean): void {
    this.#socket.send(data, { binary: isBinary, compress: false }, this.#sent)
    if (this.#socket.bufferedAmount > fullBytes) this.#isFull = true
  }

  #afterSend(error: Error | null | undefined): void {
    if (error) return
    this.#heardAt = this.#clock()
    if (!this.#isFull || this.#socket.bufferedAmount > fullBytes / 4) return
    this.#isFull = false
    this.#listener.drained()
  }

  /** It takes more slowly than it is given. */
  get isFull(): boolean {
    return this.#isFull
  }

  pause(): void {
    if (this.#isPaused) return
    this.#isPaused = true
    this.#socket.pause()
  }

  resume(): void {
    if (!this.#isPaused) return
    this.#isPaused = false
    this.#heardAt = this.#clock()
    this.#socket.resume()
  }

  /** Sends the close frame, or answers the one that came. A code that may not stand in one is left out. */
  close(code: number, reason: Buffer | string = noReason): void {
    this.#isClosing = true
    // what it still sends has to be read, for its answer comes behind it
    this.resume()
    if (isSendable(code)) this.#close.call(this.#socket, code, reason)
    else this.#close.call(this.#socket)
  }

  terminate(): void {
    this.#isClosing = true
    this.#socket.terminate()
  }

  /**
   * Pings when it is time. False: there was no sign of life for twice as long. Each byte of a message that is on its way is one; behind one of ours that takes its time no ping can
   * have arrived.
   */
  tick(now: number, pingMs: number): boolean {
    const { bytesRead } = this.#connection
    if (bytesRead !== this.#bytesRead) {
      this.#bytesRead = bytesRead
      this.#heardAt = now
    }
    // of one that is not read nothing can be heard
    if (this.#isPaused) return true
    if (now - this.#heardAt > 2 * pingMs + (this.#socket.bufferedAmount * 1000) / leastBytesPerSecond) return false
    if (now - Math.max(this.#heardAt, this.#pingedAt) >= pingMs) {
      this.#pingedAt = now
      this.#socket.ping()
    }
    return true
  }
}
