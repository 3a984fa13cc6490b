import { createFrameReader } from '../../lib/event-frames.js'
import { createEventReader, type EventReader } from '../../lib/sse.js'
import { noUsage } from '../../providers/index.js'
import type { Dialect, Usage } from '../../providers/provider.js'
import type { UsageSource } from '../../stores/records.js'
import { countText, findModel, newReading, parse, type Reading, readValue } from './reading.js'
import { announcesUsage, backslash, choicesIn, needlesFor } from './sniff.js'
import { createTopLevelReader, type TopLevelReader } from './top-level.js'

export interface MeterOptions {
  readonly dialect: Dialect
  /** Of the provider's reply. */
  readonly status: number
  readonly contentType: string | undefined
  /** Undefined or `identity`: anything else cannot be read along. */
  readonly contentEncoding: string | undefined
  /** Usage was asked for on the client's behalf, so the chunk that brings it is taken out again. */
  readonly injectedUsage: boolean
  /** A call of this kind consumes model tokens: estimate where the reply tells none. */
  readonly estimate: boolean
  /** Bytes of prompt in the request (`promptBytes`), for an estimate. */
  readonly requestBytes: number
  /** What the reply's head stated. */
  readonly stated?: Usage | undefined
  /** Is shown each event of a stream before it goes on. */
  readonly onEvent?: (data: Buffer) => void
  /** What the request lets us tell of the bill, where the reply tells nothing. */
  readonly assumed?: Pick<Usage, 'units' | 'unit'> | undefined
}

export interface Metered {
  /** Bytes that were held back and are to be sent before the end. */
  readonly tail: Buffer | undefined
  readonly usage: Usage | undefined
  /** Which model answered, where the reply says so. */
  readonly model: string | undefined
  readonly source: UsageSource
}

/** Reads a reply's usage along as it passes. */
export interface Meter {
  /**
   * What goes on to the client: the very same chunk, unless usage was injected; then without the chunk of the stream that brought it. Nothing else is
   * changed, and nothing is held but the start of an event that may be that chunk.
   */
  feed(chunk: Buffer): Buffer | readonly Buffer[] | undefined
  /** What a stream has consumed so far, where that has become more since it was last asked: by a report of the provider's, or by 1 000 estimated model tokens. */
  soFar?(): Metered | undefined
  /** To be called once, however the reply ended. */
  end(): Metered
}

// a prompt's or a text's bytes to its tokens, for English about right, for other languages too few
const bytesPerToken = 4
const maxWholeBytes = 1024 * 1024
const watchedBytes = 1000 * bytesPerToken

function isUsageChunk(value: unknown): boolean {
  const { choices, usage } = (value ?? {}) as { choices?: unknown; usage?: unknown }
  return Array.isArray(choices) && choices.length === 0 && typeof usage === 'object' && usage !== null
}

const none = (tail?: Buffer): Metered => ({ tail, usage: undefined, model: undefined, source: 'none' })

/** For replies that bill nothing. */
export const unread: Meter = { feed: chunk => chunk, end: () => none() }

type Format = 'sse' | 'lines' | 'frames' | 'json' | 'other'

function formatOf(contentType: string | undefined): Format {
  if (contentType === undefined) return 'json'
  if (contentType.startsWith('application/json')) return 'json'
  if (contentType.startsWith('text/event-stream')) return 'sse'
  const type = contentType.toLowerCase().split(';', 1)[0]?.trim() ?? ''
  if (type === 'text/event-stream') return 'sse'
  if (
    type === 'application/x-ndjson' ||
    type === 'application/ndjson' ||
    type === 'application/jsonl' ||
    type === 'application/stream+json' ||
    type === 'application/x-jsonlines'
  )
    return 'lines'
  if (type === 'application/vnd.amazon.eventstream') return 'frames'
  return type.endsWith('json') ? 'json' : 'other'
}

function conclude(reading: Reading, options: MeterOptions, tail: Buffer | undefined): Metered {
  const { usage, model } = reading
  const { stated, assumed } = options
  const outputTokens = Math.ceil(reading.textBytes / bytesPerToken)
  if (usage && (outputTokens === 0 || usage === stated)) return { tail, usage, model, source: usage.isOpening ? 'estimated' : 'provider' }
  // the stream broke off before its last counts
  if (usage) return { tail, usage: { ...usage, outputTokens: usage.outputTokens + outputTokens }, model, source: 'estimated' }
  if (assumed) return { tail, usage: { ...noUsage, ...assumed }, model, source: 'estimated' }
  if (!options.estimate) return { tail, usage: undefined, model, source: 'none' }
  return { tail, usage: estimated(options.requestBytes, outputTokens), model, source: 'estimated' }
}

function estimated(requestBytes: number, outputTokens: number): Usage {
  return { ...noUsage, inputTokens: Math.ceil(requestBytes / bytesPerToken), outputTokens }
}

/** Streams: each event is looked at when it is whole. */
function streamMeter(options: MeterOptions, format: 'sse' | 'lines'): Meter {
  const { dialect, injectedUsage } = options
  const needles = needlesFor(dialect)
  const reading = newReading(options.stated)
  const filter = injectedUsage && format === 'sse'
  const { onEvent } = options
  const onData = (data: Buffer): boolean => {
    if (onEvent) onEvent(data)
    findModel(reading, data, needles.model)
    countText(reading, data, needles)
    if (!announcesUsage(data, needles.usage)) return false
    const value = parse(data)
    readValue(reading, value, dialect)
    return filter && isUsageChunk(value)
  }
  // an event that is no object, or has choices, is not the chunk
  const mayTake = (data: Buffer) => {
    let at = 0
    while (data[at] === 0x20) at++
    return (at === data.length || data[at] === 0x7b) && choicesIn(data) !== 'some'
  }
  const reader: EventReader = createEventReader({ onData, mayTake }, { format, filter })
  let told = reading.usage
  let toldBytes = 0
  return {
    feed: chunk => reader.feed(chunk),
    soFar() {
      if (reading.usage === told && reading.textBytes < toldBytes + watchedBytes) return undefined
      told = reading.usage
      toldBytes = reading.textBytes
      return conclude(reading, options, undefined)
    },
    end: () => {
      const tail = reader.end()
      return conclude(reading, options, tail)
    },
  }
}

/** Binary event streams: each payload is a document, perhaps with another within. */
function frameMeter(options: MeterOptions): Meter {
  const { dialect } = options
  const needles = needlesFor(dialect)
  const reading = newReading(options.stated)
  const reader = createFrameReader(payload => {
    const data = dialect.unwrap?.(payload) ?? payload
    findModel(reading, data, needles.model)
    countText(reading, data, needles)
    if (announcesUsage(data, needles.usage)) readValue(reading, parse(data), dialect)
  })
  return {
    feed(chunk) {
      reader.feed(chunk)
      return chunk
    },
    end: () => conclude(reading, options, undefined),
  }
}

/** How much of a reply's end is looked at before the whole of it. */
const tailBytes = 2048

/**
 * The end of a document from its last mention of usage on, as a document of its own: cheaper to parse than all of it. It parses only if that mention is a member
 * of the top level; undefined says nothing.
 */
function usageAtEnd(body: Buffer, names: readonly string[]): unknown {
  const text = body.toString('latin1', Math.max(0, body.length - tailBytes))
  for (const name of names) {
    const at = text.lastIndexOf(`"${name}":`)
    if (at > 0 && text.charCodeAt(at - 1) !== backslash) return parse(`{${text.slice(at)}`)
  }
  return undefined
}

/** One JSON document, or an array of them that grows: kept whole up to a size, beyond it only looked through. */
function jsonMeter(options: MeterOptions): Meter {
  const { dialect } = options
  const needles = needlesFor(dialect)
  const reading = newReading(options.stated)
  let chunks: Buffer[] = []
  let size = 0
  let reader: TopLevelReader | undefined

  const look = (chunk: Buffer) => {
    findModel(reading, chunk, needles.model)
    countText(reading, chunk, needles)
    reader?.feed(chunk)
  }
  const lookThrough = () => {
    reader = createTopLevelReader(dialect.usageMembers, (name, value) => readValue(reading, { [name]: value }, dialect))
    for (const chunk of chunks) look(chunk)
    chunks = []
  }
  const readWhole = () => {
    const [only] = chunks
    const body = chunks.length === 1 && only ? only : Buffer.concat(chunks)
    findModel(reading, body, needles.model)
    readValue(reading, usageAtEnd(body, dialect.usageMembers), dialect)
    if (reading.usage !== options.stated) return
    if (announcesUsage(body, needles.usage)) {
      const value = parse(body)
      // cut within an array of documents or a document: what is whole in it still counts
      if (value === undefined) return lookThrough()
      for (const document of Array.isArray(value) ? value : [value]) readValue(reading, document, dialect)
    }
    if (!reading.usage && options.estimate) countText(reading, body, needles)
  }

  return {
    feed(chunk) {
      size += chunk.length
      if (reader) look(chunk)
      else {
        chunks.push(chunk)
        if (size > maxWholeBytes) lookThrough()
      }
      return chunk
    },
    end() {
      if (!reader && size > 0) readWhole()
      chunks = []
      return conclude(reading, options, undefined)
    },
  }
}

/** Replies nobody can look into: compressed, or no text. Their size is all there is. */
function blindMeter(options: MeterOptions): Meter {
  let size = 0
  return {
    feed(chunk) {
      size += chunk.length
      return chunk
    },
    end: () => ({
      tail: undefined,
      usage: estimated(options.requestBytes, Math.ceil(size / bytesPerToken)),
      model: undefined,
      source: 'estimated',
    }),
  }
}

/** Replies without a word in them, such as sound: what the head stated, or the request says. */
function silentMeter(options: MeterOptions): Meter {
  return { feed: chunk => chunk, end: () => conclude(newReading(options.stated), { ...options, estimate: false }, undefined) }
}

/** One meter a reply. An error reply consumed nothing. */
export function createMeter(options: MeterOptions): Meter {
  const { status, contentEncoding } = options
  if (status < 200 || status >= 300) return unread
  const format = formatOf(options.contentType)
  if ((contentEncoding && contentEncoding !== 'identity') || format === 'other') {
    if (options.stated || options.assumed) return silentMeter(options)
    return options.estimate ? blindMeter(options) : unread
  }
  if (format === 'frames') return frameMeter(options)
  return format === 'json' ? jsonMeter(options) : streamMeter(options, format)
}

export { promptBytes } from './sniff.js'
