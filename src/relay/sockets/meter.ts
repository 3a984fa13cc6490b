import { noUsage, onlyUnits, sumUsage } from '../../providers/index.js'
import { type Dialect, extraCounts, type Usage } from '../../providers/provider.js'
import type { SocketEndpoint, SocketReader } from '../../providers/sockets/socket.js'
import type { UsageSource } from '../../stores/records.js'
import { announcesUsage, needlesFor, stringBytes } from '../meter/sniff.js'

/** What of a connection is written down, once or in parts. */
export interface SocketPart {
  readonly usage: Usage | undefined
  readonly source: UsageSource
}

const bytesPerToken = 4
/** PCM of 24 kHz, 16 bits, as base64: OpenAI counts a token for each 100 ms heard and each 50 ms said (https://platform.openai.com/docs/guides/realtime-costs). */
const heardBytesPerToken = 6400
const saidBytesPerToken = 3200
/** Media that came later than this after the last is counted as if it were so long. */
const longestGapMs = 1_000
/** Shorter messages of a client are no media. */
const mediaBytes = 200

const audio = Buffer.from('audio')
const delta = Buffer.from('"delta":')
const transcript = Buffer.from('transcript')
const done = Buffer.from('.done"')

/** How a connection ended: what an answer without a report may have been billed as input, if there is one. */
export interface Unreported {
  readonly inputTokens: number | undefined
}

/** Reads the usage of a connection along as its messages pass. */
export class SocketMeter {
  readonly #row: SocketEndpoint | undefined
  readonly #read: SocketReader | undefined
  readonly #needles: readonly Buffer[]
  readonly #text: readonly Buffer[]
  /** By the provider's own counts. */
  #counted: Usage | undefined
  /** What has passed since the last of them, in estimated model tokens. */
  #heard = 0
  #heardSound = 0
  #said = 0
  #saidSound = 0
  #mediaMs = 0
  #lastMediaAt = 0
  #settled: Usage | undefined
  /** Which model the provider says that it counts, where that may change. */
  #model: string | undefined
  readonly #modelChanges: (model: string) => void

  /** `modelChanges`: what comes next is counted for another model than what was counted so far. */
  constructor(row: SocketEndpoint | undefined, dialect: Dialect | undefined, modelChanges: (model: string) => void) {
    this.#row = row
    this.#modelChanges = modelChanges
    this.#read = row?.reader()
    this.#needles = (row?.countMembers ?? []).map(name => Buffer.from(`"${name}`))
    this.#text = dialect === undefined ? [] : needlesFor(dialect).text
  }

  client(message: Buffer, now: number): void {
    if (this.#row?.estimates === 'audioSeconds') {
      if (message.length < mediaBytes) return
      // the first piece is as long as the ones that follow, which nobody knows yet
      this.#mediaMs += this.#lastMediaAt === 0 ? 0 : Math.min(longestGapMs, now - this.#lastMediaAt)
      this.#lastMediaAt = now
    } else if (this.#row?.estimates === 'tokens') {
      const isAudio = message.length > mediaBytes && message.subarray(0, mediaBytes).includes(audio)
      const tokens = message.length / (isAudio ? heardBytesPerToken : bytesPerToken)
      this.#heard += tokens
      if (isAudio) this.#heardSound += tokens
    }
  }

  get model(): string | undefined {
    return this.#model
  }

  /** Of seconds or characters, what was settled as parts. */
  get settledUnits(): number {
    return this.#settled?.units ?? 0
  }

  /** True where the provider's counts have changed. */
  server(message: Buffer): boolean {
    if (this.#read && announcesUsage(message, this.#needles)) {
      const event = parse(message)
      const before = this.#counted
      const counted = this.#read(event, before)
      if (counted !== before) {
        this.#noteModel(event)
        this.#counted = counted
        this.#heard = this.#heardSound = 0
        this.#said = this.#saidSound = 0
        return true
      }
    }
    if (this.#row?.estimates === 'tokens') this.#said += this.#tokensIn(message)
    return false
  }

  #noteModel(event: unknown): void {
    if (this.#row?.bound?.by !== 'calls') return
    const model = (event as { response?: { model?: unknown } } | undefined)?.response?.model
    if (typeof model !== 'string' || model === this.#model) return
    this.#modelChanges(model)
    this.#model = model
  }

  #tokensIn(message: Buffer): number {
    const at = message.indexOf(delta)
    const size = at < 0 ? -1 : stringBytes(message, at + delta.length)
    if (size > 0) {
      const type = message.subarray(0, Math.min(at, mediaBytes))
      const isSound = type.includes(audio) && !type.includes(transcript)
      if (isSound) this.#saidSound += size / saidBytesPerToken
      return size / (isSound ? saidBytesPerToken : bytesPerToken)
    }
    for (const needle of this.#text) {
      const found = message.indexOf(needle)
      const length = found < 0 ? 0 : stringBytes(message, found + needle.length)
      // what is repeated whole in later events was counted as it came
      if (length > 0) return message.includes(done) ? 0 : length / bytesPerToken
    }
    return 0
  }

  /** All so far. `characters` of texts that were sent. */
  #total(characters: number, last: Unreported | undefined): SocketPart {
    if (characters > 0) return { usage: onlyUnits('characters', characters), source: 'estimated' }
    if (this.#row?.estimates === 'audioSeconds' && this.#counted === undefined)
      return { usage: onlyUnits('audioSeconds', this.#mediaMs / 1000), source: 'estimated' }
    // something was being said when it broke off
    if (last && (this.#said >= 1 || last.inputTokens !== undefined)) {
      const inputTokens = last.inputTokens ?? Math.ceil(this.#heard)
      const more = {
        ...noUsage,
        inputTokens,
        outputTokens: Math.ceil(this.#said),
        audioInputTokens: Math.min(inputTokens, Math.ceil(this.#heardSound)),
        audioOutputTokens: Math.min(Math.ceil(this.#said), Math.ceil(this.#saidSound)),
      }
      return { usage: sumUsage(this.#counted, more), source: 'estimated' }
    }
    return { usage: this.#counted, source: this.#counted === undefined ? 'none' : 'provider' }
  }

  /** What has been consumed since the last part. `last`: nothing comes after it. */
  part(characters: number, last?: Unreported): SocketPart {
    const part = this.#sinceSettled(characters, last)
    const { usage } = this.#total(characters, last)
    this.#settled = usage ?? this.#settled
    return part
  }

  /** The same, and it goes on counting as part of the next. */
  peek(characters: number): Usage | undefined {
    return this.#sinceSettled(characters, undefined).usage
  }

  #sinceSettled(characters: number, last: Unreported | undefined): SocketPart {
    const { usage, source } = this.#total(characters, last)
    return { usage: usage && this.#settled ? minus(usage, this.#settled) : usage, source }
  }
}

type CountName = Exclude<keyof Usage, 'unit' | 'tier' | 'isOpening' | 'largestInput' | 'parts'>

function minus(usage: Usage, before: Usage): Usage {
  const less = (name: CountName) => Math.max(0, (usage[name] ?? 0) - (before[name] ?? 0))
  return {
    inputTokens: less('inputTokens'),
    outputTokens: less('outputTokens'),
    cachedInputTokens: less('cachedInputTokens'),
    cacheWriteInputTokens: less('cacheWriteInputTokens'),
    reasoningTokens: less('reasoningTokens'),
    audioInputTokens: less('audioInputTokens'),
    audioOutputTokens: less('audioOutputTokens'),
    ...Object.fromEntries(extraCounts.flatMap(name => (usage[name] === undefined ? [] : [[name, less(name)]]))),
    ...(usage.tier === undefined ? {} : { tier: usage.tier }),
    ...(usage.unit === undefined ? {} : { unit: usage.unit, units: Math.max(0, (usage.units ?? 0) - (before.units ?? 0)) }),
  }
}

function parse(message: Buffer): unknown {
  try {
    return JSON.parse(message.toString('utf8'))
  } catch {
    return undefined
  }
}
