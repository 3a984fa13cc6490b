import type { SocketBound } from '../../providers/sockets/socket.js'
import type { Exchange } from '../exchange.js'
import type { Ahead, Amounts, Read, Worth } from './ahead.js'

/** What nothing bounds is held as the grant assumes, once. */
export class AssumedAhead implements Ahead {
  readonly coversReported = false
  readonly unreported = undefined
  readonly #worth: Worth

  constructor(worth: Worth) {
    this.#worth = worth
  }

  client(): boolean {
    return false
  }

  takeBack(): void {}

  server(): boolean {
    return false
  }

  tick(): boolean {
    return false
  }

  needs(): Amounts {
    return this.#worth(undefined)
  }

  takeOwed(): number {
    return 0
  }
}

/** A step of what is billed by time or by characters, of which a thousand are said in about a minute. */
const steps = { audioSeconds: 60, characters: 1000 } as const
/** A step is added so long before the one before it is used up. */
const earlySeconds = 2
/** Sound of fewer bytes a second hardly is any: more of them than that were sent faster than they were spoken. */
const leastBytesPerSecond = 4000

export class UnitsAhead implements Ahead {
  readonly coversReported = true
  readonly unreported = undefined
  readonly #unit: 'audioSeconds' | 'characters'
  readonly #worth: Worth
  readonly #channels: number
  readonly #bytesPerSecond: number
  #bytes = 0
  #seconds = 0
  #covered: number

  constructor({ call }: Exchange, bound: Extract<SocketBound, { by: 'audioSeconds' | 'characters' }>, worth: Worth) {
    this.#unit = bound.by
    this.#worth = worth
    const query = new URLSearchParams(call.query)
    this.#channels = query.get('multichannel') === 'true' ? Math.max(1, Number(query.get('channels')) || 2) : 1
    this.#bytesPerSecond = Math.max(leastBytesPerSecond, bytesOfSecond(query))
    this.#covered = steps[bound.by]
  }

  client({ message, characters }: Read): boolean {
    if (this.#unit === 'characters') this.#reach(characters, 0)
    else {
      this.#bytes += message.length
      this.#reach(Math.max(this.#seconds, this.#bytes / this.#bytesPerSecond), earlySeconds)
    }
    return false
  }

  takeBack(): void {}

  server(): boolean {
    return false
  }

  tick(elapsedMs: number): boolean {
    if (this.#unit === 'characters') return false
    this.#seconds = elapsedMs / 1000
    return this.#reach(this.#seconds, earlySeconds)
  }

  #reach(units: number, early: number): boolean {
    const step = steps[this.#unit]
    const covered = Math.max(this.#covered, (Math.floor((units + early) / step) + 1) * step)
    if (covered === this.#covered) return false
    this.#covered = covered
    return true
  }

  needs(settledUnits: number): Amounts {
    const units = Math.max(0, this.#covered * this.#channels - settledUnits)
    return this.#worth({ inputTokens: 0, maxOutputTokens: 0, units, unit: this.#unit })
  }

  takeOwed(): number {
    return 0
  }
}

const sampleBytes: Readonly<Record<string, number>> = { linear16: 2, linear32: 4, pcm_s16le: 2, mulaw: 1, alaw: 1, pcm_mulaw: 1 }

/** Of plain samples, as the upgrade describes them; 0 where it says nothing of them. */
function bytesOfSecond(query: URLSearchParams): number {
  const bytes = sampleBytes[query.get('encoding') ?? '']
  const rate = Number(query.get('sample_rate') ?? '')
  return bytes === undefined || !(rate > 0) ? 0 : bytes * rate * Math.max(1, Number(query.get('channels')) || 1)
}
