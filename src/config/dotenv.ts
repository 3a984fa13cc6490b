export interface DotenvLine {
  readonly line: number
  readonly name: string
  readonly value: string
}

export interface Dotenv {
  readonly entries: readonly DotenvLine[]
  /** What cannot be read, by line number, never with the line's text: it may hold a secret. */
  readonly problems: readonly string[]
}

const newline = 0x0a

/**
 * Reads `NAME=value` lines. Comments are whole lines that begin with `#`. A value is taken as it stands, or stands whole between single or double quotes;
 * nothing is expanded and nothing escaped. What other readers of such files would take differently (a blank, a `#`, a quote or a backslash in a value without
 * quotes) is a problem, not a guess.
 */
export function parseDotenv(file: Buffer): Dotenv {
  const entries: DotenvLine[] = []
  const problems: string[] = []
  const seen = new Set<string>()
  let line = 0
  for (let start = 0; start < file.length; ) {
    const end = file.indexOf(newline, start)
    const stop = end === -1 ? file.length : end
    line++
    // a string of its own for every line, so that no value keeps the text of another one alive
    const problem = readLine(file.toString('utf8', start, stop), line, seen, entries)
    if (problem !== undefined) problems.push(`line ${line} ${problem}`)
    start = stop + 1
  }
  return { entries, problems }
}

function readLine(raw: string, line: number, seen: Set<string>, entries: DotenvLine[]): string | undefined {
  const text = (line === 1 ? raw.replace(/^\uFEFF/, '') : raw).trim()
  if (text === '' || text.startsWith('#')) return undefined
  if (/[\0-\x08\x0a-\x1f\x7f\uFFFD]/.test(text)) return 'holds control characters or is not UTF-8'
  const [, name, rest] = /^([A-Za-z_][A-Za-z0-9_]*)[ \t]*=[ \t]*(.*)$/.exec(text) ?? []
  if (name === undefined || rest === undefined) return 'is not NAME=value'
  if (seen.has(name)) return `sets ${name} a second time`
  seen.add(name)
  const quoted = /^(?:"([^"]*)"|'([^']*)')$/.exec(rest)
  const value = quoted ? (quoted[1] ?? quoted[2] ?? '') : rest
  if (!quoted && /[\s#"'\\]/.test(rest)) return `sets ${name} to a value that needs quotes around the whole of it`
  entries.push({ line, name, value })
  return undefined
}
