const quote = 0x22
const backslash = 0x5c
const maxValueBytes = 64 * 1024

export interface TopLevelReader {
  feed(chunk: Buffer): void
}

/**
 * Reads a JSON text of any size as it passes and reports members of its top level (also of each member of a top-level array) whose name is wanted and
 * whose value is an object: enough to find `usage` in a reply that is too large to keep. Trusts that the text is JSON.
 */
export function createTopLevelReader(names: readonly string[], onMember: (name: string, value: unknown) => void): TopLevelReader {
  const wanted = new Map(names.map(name => [`"${name}"`, name]))
  const longest = Math.max(...names.map(name => name.length + 2))
  let inText = false
  let oddBackslashes = false
  let depth = 0
  /** Depth at which members are looked at: 1, or 2 in an array of documents. */
  let level = 1
  /** The string being read may be a wanted name; its bytes so far, the opening quote included. */
  let name: Buffer[] | undefined
  let nameBytes = 0
  let candidate: string | undefined
  let capture: Buffer[] | undefined
  let captureBytes = 0

  const endCapture = (last: Buffer) => {
    const text = Buffer.concat([...(capture ?? []), last]).toString('utf8')
    capture = undefined
    try {
      onMember(candidate ?? '', JSON.parse(text))
    } catch {
      // no JSON after all: then there is nothing to read either
    }
    candidate = undefined
  }

  const endString = (chunk: Buffer, from: number, to: number) => {
    if (!name) return
    const text = Buffer.concat([...name, chunk.subarray(from, to)])
    name = undefined
    candidate = text.length <= longest ? wanted.get(text.toString('latin1')) : undefined
  }

  /** Finds the end of a string that `from` is within; the chunk's length where it does not end. */
  const skipText = (chunk: Buffer, from: number): number => {
    let at = from
    for (;;) {
      const end = chunk.indexOf(quote, at)
      const stop = end < 0 ? chunk.length : end
      let run = stop
      while (run > at && chunk[run - 1] === backslash) run--
      const odd = ((stop - run) % 2 === 1) !== (run === at && at === from && oddBackslashes)
      oddBackslashes = false
      if (end < 0) {
        oddBackslashes = odd
        return stop
      }
      if (!odd) {
        inText = false
        return end + 1
      }
      at = end + 1
    }
  }

  return {
    feed(chunk) {
      let at = 0
      let captureFrom = 0
      let nameFrom = 0
      while (at < chunk.length) {
        if (inText) {
          at = skipText(chunk, at)
          if (!inText) endString(chunk, nameFrom, at)
          continue
        }
        const c = chunk[at++]
        if (c === quote) {
          inText = true
          if (depth === level && !capture) {
            name = []
            nameBytes = 0
            nameFrom = at - 1
          }
        } else if (c === 0x7b || c === 0x5b) {
          if (depth === 0 && c === 0x5b) level = 2
          if (depth === level && candidate !== undefined && c === 0x7b) {
            capture = []
            captureBytes = 0
            captureFrom = at - 1
          } else if (depth <= level && !capture) candidate = undefined
          depth++
        } else if (c === 0x7d || c === 0x5d) {
          depth--
          if (capture && depth === level) endCapture(chunk.subarray(captureFrom, at))
        } else if (c === 0x2c && depth <= level && !capture) candidate = undefined
      }
      if (name) {
        name.push(chunk.subarray(nameFrom))
        nameBytes += chunk.length - nameFrom
        if (nameBytes > longest) name = undefined
      }
      if (capture) {
        capture.push(chunk.subarray(captureFrom))
        captureBytes += chunk.length - captureFrom
        if (captureBytes > maxValueBytes) capture = candidate = undefined
      }
    },
  }
}
