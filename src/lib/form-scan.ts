/** Reads along a `multipart/form-data` body (RFC 7578) for the values of a few fields, without keeping the rest. */
export interface FormScan {
  /** Why the body cannot be read without doubt, as soon as that shows. */
  feed(chunk: Buffer): string | undefined
  /** `ambiguous`: a wanted field stands twice, or under a name that some parser takes for it. */
  end(): FormReading
  /** The closing boundary has no more bytes than this. */
  readonly closingBytes: number
}

export interface FormReading {
  readonly fault?: string
  readonly values: readonly string[]
  readonly fields: ReadonlyMap<string, string>
  readonly spans: readonly Span[]
  /** Every part, where the scan was asked for them. */
  readonly parts: readonly Part[]
}

/** Where a value lies in the body, in bytes; `end` is behind its last. */
export interface Span {
  readonly start: number
  readonly end: number
}

/** A part's value, by its place in the body. */
export interface Part extends Span {
  readonly name: string
  /** It names a file, and so is one. */
  readonly isFile: boolean
}

const mostHeaderBytes = 16 * 1024
const mostValueBytes = 1024
const cr = 13

type State = 'preamble' | 'delimiter' | 'headers' | 'content' | 'epilogue'

/** A field whose content is looked at as it passes, however long it is. */
export interface PassedField {
  readonly name: string
  take(bytes: Buffer): void
}

/** `contentType` as it was sent. `tellsParts`: only for forms that are read whole, since there is one for each few bytes. Parsers differ where a form is not written by the book; what is not, is a fault here. */
export function createFormScan(contentType: string, wanted: ReadonlySet<string>, tellsParts = false, passed?: PassedField): FormScan {
  const boundary = boundaryOf(contentType)
  const mark = Buffer.from(`\n--${boundary ?? ''}`)
  const values = new Map<string, string>()
  const spans: Span[] = []
  const parts: Part[] = []
  let partName: Pick<Part, 'name' | 'isFile'> | undefined
  let fed = 0
  let fieldStart = 0
  let state: State = 'preamble'
  // as if a line had ended before the first boundary
  let rest: Buffer = Buffer.from('\r\n')
  let field: string | undefined
  let value: Buffer[] = []
  let isPassed = false
  let passes = 0
  let fault = boundary === undefined ? 'the form has no boundary' : undefined

  function feed(chunk: Buffer): string | undefined {
    if (fault !== undefined) return fault
    rest = rest.length === 0 ? chunk : Buffer.concat([rest, chunk])
    fed += chunk.length
    while (fault === undefined && step()) {
      // each step takes something off `rest`
    }
    return fault === 'ambiguous' ? undefined : fault
  }

  function step(): boolean {
    switch (state) {
      case 'preamble':
      case 'content':
        return content()
      case 'delimiter':
        return delimiter()
      case 'headers':
        return headers()
      case 'epilogue':
        if (rest.length > 0 && !/^\s*$/.test(rest.toString('latin1'))) fault = 'something follows the end of the form'
        rest = rest.subarray(rest.length)
        return false
    }
  }

  function content(): boolean {
    const at = rest.indexOf(mark)
    if (at === -1) {
      const done = Math.max(0, rest.length - mark.length - 1)
      keep(rest.subarray(0, done))
      rest = rest.subarray(done)
      return false
    }
    if (rest[at - 1] !== cr) {
      fault = 'a boundary does not begin on a line of its own'
      return false
    }
    keep(rest.subarray(0, at - 1))
    if (state === 'preamble' && at > 1) fault = 'something precedes the first boundary'
    if (partName) parts.push({ ...partName, start: fieldStart, end: fed - rest.length + at - 1 })
    partName = undefined
    finishField()
    rest = rest.subarray(at + mark.length)
    state = 'delimiter'
    return true
  }

  function delimiter(): boolean {
    if (rest.length < 2) return false
    const next = rest.toString('latin1', 0, 2)
    if (next !== '--' && next !== '\r\n') fault = 'a boundary is followed by something else'
    state = next === '--' ? 'epilogue' : 'headers'
    rest = rest.subarray(2)
    return true
  }

  function headers(): boolean {
    const at = rest.indexOf('\r\n\r\n')
    if (at === -1) {
      if (rest.length > mostHeaderBytes) fault = 'the headers of a part are too long'
      return false
    }
    const text = rest.toString('utf8', 0, at)
    const name = nameOf(text)
    rest = rest.subarray(at + 4)
    fieldStart = fed - rest.length
    state = 'content'
    if (tellsParts && name !== undefined) partName = { name, isFile: /;\s*filename/i.test(text) }
    if (name === undefined) fault = 'a part does not say by the book which field it is'
    else enter(name)
    return true
  }

  function enter(name: string): void {
    field = wanted.has(name) ? name : undefined
    isPassed = name === passed?.name
    if (isPassed && ++passes > 1) fault = 'ambiguous'
    if (field === undefined && [...wanted].some(one => one === name.trim().toLowerCase())) fault = 'ambiguous'
    if (field !== undefined && values.has(field)) fault = 'ambiguous'
  }

  function keep(bytes: Buffer): void {
    if (isPassed && state === 'content' && bytes.length > 0) passed?.take(bytes)
    if (field === undefined || bytes.length === 0) return
    value.push(bytes)
    if (value.reduce((sum, piece) => sum + piece.length, 0) > mostValueBytes) fault = 'a field is longer than it can be'
  }

  function finishField(): void {
    isPassed = false
    if (field === undefined) return
    const whole = Buffer.concat(value)
    values.set(field, whole.toString('utf8'))
    spans.push({ start: fieldStart, end: fieldStart + whole.length })
    field = undefined
    value = []
  }

  return {
    feed,
    end() {
      if (fault === undefined && state !== 'epilogue') fault = 'the form is not complete'
      return { ...(fault === undefined ? {} : { fault }), values: [...values.values()], fields: values, spans, parts }
    },
    // CR, the mark, two dashes, CR LF
    closingBytes: mark.length + 5,
  }
}

function boundaryOf(contentType: string): string | undefined {
  const found = [...contentType.matchAll(/;\s*boundary=(?:"([^"\\]{1,70})"|([^\s;",]{1,70}))/gi)]
  return found.length === 1 ? (found[0]?.[1] ?? found[0]?.[2]) : undefined
}

/** The field's name, where it is stated once and plainly. */
function nameOf(text: string): string | undefined {
  const lines = text.split('\r\n')
  if (lines.some(line => /^[ \t]/.test(line) || line.includes('\n') || line.includes('\r'))) return undefined
  const dispositions = lines.filter(line => /^content-disposition\s*:/i.test(line))
  if (dispositions.length !== 1 || lines.some(line => /^content-transfer-encoding\s*:/i.test(line))) return undefined
  const line = dispositions[0] ?? ''
  if (/;\s*name\*/i.test(line)) return undefined
  const names = [...line.matchAll(/;\s*name\s*=\s*(?:"([^"\\]*)"|([^\s;"]+))/gi)]
  return names.length === 1 ? (names[0]?.[1] ?? names[0]?.[2]) : undefined
}
