/** Segments of unreserved characters and plain punctuation, none empty, none beginning with a dot: nothing about such a path can be read in two ways. */
const plain = /^(?:\/[A-Za-z0-9_\-~:@!$&'()*+,=][A-Za-z0-9_\-~:@!$&'()*+,=.]*)+$/

export function isPlain(path: string): boolean {
  return plain.test(path) && !endsInDot(path)
}

/** Some servers drop dots and blanks at the end of a segment. */
const endsInDot = (path: string) => path.endsWith('.') || path.includes('./')

const badEscape = /%(?![0-9a-fA-F]{2})/
// a backslash, a control byte, DEL, or a byte that no UTF-8 has: lax parsers read dots and slashes out of such
const badCharacter = /[\\\u0000-\u001f\u007f\u00c0\u00c1\u00f5-\u00ff]/
const dotSegment = /(?:^|\/)\.{1,2}(?:;[^/]*)?(?:\/|$)/
const escapedByte = /%[0-9a-fA-F]{2}/g

/** One pass of percent-decoding, byte by byte as Latin-1: what matters here is all ASCII. */
function decodeOnce(path: string): string {
  return path.includes('%') ? path.replace(escapedByte, code => String.fromCharCode(Number.parseInt(code.slice(1), 16))) : path
}

/**
 * Why a path (from its first `/`, without the query) must not travel, as an end of a sentence; undefined where it may. Checked as received and after
 * each of up to three decodings, because a server behind a server may decode again.
 */
export function checkPath(path: string): string | undefined {
  if (plain.test(path)) return undefined
  if (!path.startsWith('/')) return 'it does not begin with a slash'
  if (badEscape.test(path)) return 'a percent sign is not followed by two hexadecimal digits'
  if (path.includes('?') || path.includes('#')) return 'it holds a query or a fragment'
  let reading = path
  for (let pass = 0; ; pass++) {
    const look = folded(reading)
    if (badCharacter.test(reading) || look.includes('\\')) return 'it holds a backslash, a control byte or a byte that is no text'
    if (dotSegment.test(look)) return 'it holds a dot segment'
    const next = decodeOnce(reading)
    if (next === reading) return undefined
    if (pass === 3) return 'it is encoded more than three times'
    reading = next
  }
}

const high = /[\u0080-\u00ff]/

/** Letters, dots and slashes that only look like plain ones (fullwidth and the like) as the plain ones, which some servers take them for. */
function folded(reading: string): string {
  if (!high.test(reading)) return reading
  return Buffer.from(Buffer.from(reading, 'latin1').toString('utf8').normalize('NFKC')).toString('latin1')
}

/** Without the dots and blanks at the ends of segments. */
function trimmed(path: string): string {
  if (!path.includes('.') && !path.includes(' ')) return path
  return path.split('/').map(withoutEnd).join('/')
}

function withoutEnd(segment: string): string {
  let end = segment.length
  while (end > 0 && (segment[end - 1] === '.' || segment[end - 1] === ' ')) end--
  return segment.slice(0, end)
}

function withoutParameters(path: string): string {
  return /[;?#]/.test(path) ? path.replace(/[?#].*$/s, '').replace(/;[^/]*/g, '') : path
}

function normalSlashes(path: string): string {
  const merged = path.includes('//') ? path.replace(/\/{2,}/g, '/') : path
  return merged.length > 1 && merged.endsWith('/') ? merged.slice(0, -1) : merged
}

const escapedSlash = /%2f/gi

/** Stands for an encoded `/` read as data. It cannot occur otherwise: control bytes are refused. */
const dataSlash = '\u0001'

/**
 * Every way a server might read a path, the plainest first: encoded slashes as data or as separators, decoded once or more, `;parameters` and an
 * encoded query kept or dropped, slashes merged, a last slash dropped, so are dots and blanks at the end of a segment, letters that look like others read as these.
 */
export function readings(path: string): string[] {
  const asData = decodeOnce(path.replace(escapedSlash, dataSlash))
  const decoded = decodeOnce(path)
  const found = new Set<string>()
  for (const reading of [asData, decoded, decodeOnce(decoded), decodeOnce(decodeOnce(decoded))]) {
    for (const form of [reading, withoutParameters(reading), folded(reading)]) {
      found
        .add(form)
        .add(normalSlashes(form))
        .add(normalSlashes(trimmed(form)))
    }
  }
  return [...found]
}

const ascii = /^[\u0002-\u007f]*$/

/** A part of a reading as text: data slashes put back, bytes read as UTF-8. */
export function readingText(part: string): string {
  return ascii.test(part) ? part : Buffer.from(part.replaceAll(dataSlash, '/'), 'latin1').toString('utf8')
}
