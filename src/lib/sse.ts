/** What a reader of a stream is told. */
export interface EventHandler {
  /**
   * The data of one whole event, its lines joined by LF; may be a view on a chunk that was fed, so it is not to be kept. With `filter`, true takes the event out
   * of the stream.
   */
  onData(data: Buffer): boolean
  /** With `filter`, at the end of a chunk within an event: whether its data, as far as they came, may still be taken out. */
  mayTake?(data: Buffer): boolean
}

export interface EventReaderOptions {
  /** `sse`: text/event-stream; `lines`: one document a line (NDJSON). */
  readonly format: 'sse' | 'lines'
  /** Whether events can be taken out; only then `feed` returns something of its own. */
  readonly filter?: boolean
  /** A larger event is passed without being read. */
  readonly maxEventBytes?: number
}

export interface EventReader {
  /** What goes on: the very same chunk, parts of it and of earlier ones, or nothing yet. */
  feed(chunk: Buffer): Buffer | readonly Buffer[] | undefined
  /** Reads what is left, a last event without its blank line too, and returns bytes that were still held. */
  end(): Buffer | undefined
}

const lf = 0x0a
const cr = 0x0d
const space = 0x20
const colon = 0x3a
// no event that is ever taken out is larger, so none is held longer
const maxHeldBytes = 16 * 1024
const nothing = Buffer.alloc(0)
const newLine = Buffer.from('\n')

/** Whether a line that begins like this can be a `data` line; `size` counts what there is of it. */
function beginsLikeData(line: Buffer): boolean {
  for (let i = 0; i < 4 && i < line.length; i++) if (line[i] !== 'data'.charCodeAt(i)) return false
  return line.length < 5 || line[4] === colon
}

/** The value of a `data` line; undefined for any other. */
function dataOf(line: Buffer): Buffer | undefined {
  if (line[0] !== 0x64 || line[1] !== 0x61 || line[2] !== 0x74 || line[3] !== 0x61) return undefined
  if (line.length === 4) return nothing
  if (line[4] !== colon) return undefined
  return line.subarray(line[5] === space ? 6 : 5)
}

function joined(parts: readonly Buffer[], separator?: Buffer): Buffer {
  const [only] = parts
  if (parts.length === 1 && only) return only
  return Buffer.concat(separator ? parts.flatMap((part, i) => (i === 0 ? [part] : [separator, part])) : parts)
}

function withoutBom(line: Buffer): Buffer {
  return line[0] === 0xef && line[1] === 0xbb && line[2] === 0xbf ? line.subarray(3) : line
}

/**
 * Splits a stream into events while it passes: LF, CRLF or CR, split anywhere, a byte order mark at the start, comments, data of several lines. Copies
 * nothing but what a chunk's end has cut, and keeps at most `maxEventBytes`.
 */
export function createEventReader(
  handler: EventHandler,
  { format, filter = false, maxEventBytes = 1024 * 1024 }: EventReaderOptions,
): EventReader {
  let first = true
  /** The last chunk ended with a CR, whose LF may follow; `dropLf`: it belongs to an event that was taken out. */
  let skipLf = false
  let dropLf = false
  /** The line under way, as far as earlier chunks had it. */
  let line: Buffer[] = []
  let lineBytes = 0
  /** Data of the event under way. */
  let data: Buffer[] = []
  let eventBytes = 0
  let tooLarge = false
  /** Bytes of earlier chunks that wait for the end of their event. */
  let held: Buffer[] = []
  let heldBytes = 0
  let holding = false
  let released = false
  let passedOther = false
  /** The line under way began in an earlier chunk, and that part has gone on. */
  let passedLine = false

  const resetEvent = () => {
    data = []
    eventBytes = 0
    tooLarge = holding = released = passedOther = false
  }

  const takeLine = (chunk: Buffer, start: number, end: number): Buffer => {
    let whole = chunk.subarray(start, end)
    if (line.length > 0) {
      line.push(whole)
      whole = Buffer.concat(line)
      line = []
    }
    lineBytes = 0
    if (!first) return whole
    first = false
    return withoutBom(whole)
  }

  /** Whether the event that ends here is taken out. */
  const endEvent = (): boolean => {
    if (data.length === 0 || tooLarge) return false
    const take = handler.onData(joined(data, newLine))
    return take && filter && !released
  }

  const addData = (value: Buffer) => {
    eventBytes += value.length
    if (eventBytes > maxEventBytes) {
      tooLarge = true
      data = []
    } else if (!tooLarge) data.push(value)
  }

  const feed = (chunk: Buffer): Buffer | readonly Buffer[] | undefined => {
    const size = chunk.length
    const out: Buffer[] = []
    let passFrom = 0
    let holdFrom = 0
    let at = 0
    if (skipLf && size > 0) {
      skipLf = false
      if (chunk[0] === lf) {
        at = 1
        if (dropLf) passFrom = 1
      }
      dropLf = false
    }
    let lineStart = at
    for (; at < size; at++) {
      const c = chunk[at] as number
      if (c > cr || (c !== lf && c !== cr)) continue
      const lineEnd = at
      if (c === cr) {
        if (at + 1 === size) skipLf = true
        else if (chunk[at + 1] === lf) at++
      }
      const startedEarlier = lineBytes > 0
      const long = tooLarge && startedEarlier
      const whole = takeLine(chunk, lineStart, lineEnd)
      if (format === 'lines') {
        if (whole.length > 0 && !long) handler.onData(whole)
        tooLarge = false
      } else if (whole.length === 0 && !long) {
        if (endEvent()) {
          const from = held.length > 0 ? 0 : holdFrom
          if (from > passFrom) out.push(chunk.subarray(passFrom, from))
          passFrom = passedOther ? lineStart : at + 1
          dropLf = skipLf && !passedOther
        } else if (held.length > 0) out.push(...held)
        held = []
        heldBytes = 0
        resetEvent()
      } else {
        const value = long ? undefined : dataOf(whole)
        if (value) {
          addData(value)
          if (filter && passedLine) released = true
          else if (filter && !holding && !released) {
            holding = true
            holdFrom = lineStart
          }
        } else if (!holding) passedOther = true
      }
      lineStart = at + 1
      passedLine = false
    }
    if (lineStart < size) keepLine(chunk.subarray(lineStart))
    if (!filter) return chunk
    return pass(chunk, out, passFrom, holdFrom, lineStart)
  }

  const keepLine = (part: Buffer) => {
    lineBytes += part.length
    if (tooLarge) return
    if (eventBytes + lineBytes > maxEventBytes) {
      tooLarge = true
      line = []
      data = []
    } else line.push(part)
  }

  /** At the end of a chunk: what of it goes on now, and what waits. */
  const pass = (chunk: Buffer, out: Buffer[], passFrom: number, holdFrom: number, lineStart: number) => {
    const size = chunk.length
    if (!holding && !released && lineBytes > 0 && !passedLine) {
      const begun = joined(line)
      if (beginsLikeData(first ? withoutBom(begun) : begun)) {
        holding = true
        holdFrom = lineStart
      } else passedOther = true
    }
    if (holding && !mayStillBeTaken(size - (held.length > 0 ? 0 : holdFrom))) {
      holding = false
      released = true
      out.push(...held)
      held = []
      heldBytes = 0
    }
    passedLine = !holding && lineBytes > 0
    const until = holding ? (held.length > 0 ? 0 : holdFrom) : size
    if (until > passFrom) {
      if (out.length === 0 && passFrom === 0 && until === size) return chunk
      out.push(chunk.subarray(passFrom, until))
    }
    if (holding && until < size) {
      held.push(chunk.subarray(Math.max(until, passFrom)))
      heldBytes += size - until
    }
    return out.length > 1 ? out : out[0]
  }
  const mayStillBeTaken = (more: number): boolean => {
    if (tooLarge || heldBytes + more > maxHeldBytes) return false
    if (!handler.mayTake) return true
    const begun = lineBytes > 0 ? joined(line) : nothing
    const value = lineBytes > 0 ? dataOf(first ? withoutBom(begun) : begun) : undefined
    const parts = value ? [...data, value] : data
    return parts.length === 0 || handler.mayTake(joined(parts, newLine))
  }

  return {
    feed,
    end() {
      if (lineBytes > 0 && !tooLarge) {
        const whole = takeLine(nothing, 0, 0)
        if (format === 'lines') handler.onData(whole)
        else {
          const value = dataOf(whole)
          if (value) addData(value)
        }
      }
      const taken = format === 'sse' && endEvent()
      const rest = taken || held.length === 0 ? undefined : joined(held)
      held = []
      line = []
      lineBytes = 0
      resetEvent()
      return rest
    },
  }
}
