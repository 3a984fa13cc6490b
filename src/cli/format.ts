/** Makes text safe to print: control and direction-changing characters, which could rewrite a terminal, become escapes. */
export function printable(text: string): string {
  return text.replace(/[\u0000-\u001f\u007f-\u009f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]/g, character => {
    return `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`
  })
}

export interface Column<Row> {
  readonly title: string
  readonly value: (row: Row) => string | number | null | undefined
  readonly right?: boolean
}

/** Columns of equal width, two spaces apart; nothing is shown as `-`. */
export function table<Row>(rows: readonly Row[], columns: readonly Column<Row>[]): string {
  const lines = [columns.map(column => column.title), ...rows.map(row => columns.map(column => cell(column.value(row))))]
  // not as arguments of one call: there may be more rows than a call takes
  const widths = columns.map((_, index) => lines.reduce((most, line) => Math.max(most, line[index]?.length ?? 0), 0))
  return lines
    .map(line =>
      line.map((text, index) => (columns[index]?.right ? text.padStart(widths[index] ?? 0) : text.padEnd(widths[index] ?? 0))).join('  '),
    )
    .map(line => line.trimEnd())
    .join('\n')
}

/** Names and values in two columns. */
export function facts(pairs: readonly (readonly [name: string, value: string | number | null | undefined])[]): string {
  const width = Math.max(...pairs.map(([name]) => name.length))
  return pairs.map(([name, value]) => `${name.padEnd(width)}  ${cell(value)}`).join('\n')
}

function cell(value: string | number | null | undefined): string {
  return value === null || value === undefined || value === '' ? '-' : printable(String(value))
}

/** RFC 4180. A text that a spreadsheet would run as a formula gets a leading apostrophe. */
export function csv(rows: readonly (readonly (string | number | null)[])[]): string {
  return rows.map(row => `${row.map(field).join(',')}\r\n`).join('')
}

function field(value: string | number | null): string {
  if (value === null) return ''
  if (typeof value === 'number') return String(value)
  const inert = /^[=+\-@\t\r]/.test(value) ? `'${value}` : value
  return /[",\r\n]/.test(inert) ? `"${inert.replaceAll('"', '""')}"` : inert
}

/** RFC 3339 in UTC. */
export function time(atMs: number): string
export function time(atMs: number | null): string | null
export function time(atMs: number | null): string | null {
  return atMs === null ? null : new Date(atMs).toISOString()
}

/** `2026-11-22 05:40` in UTC, for tables. */
export function minute(atMs: number | null): string | null {
  return atMs === null ? null : new Date(atMs).toISOString().slice(0, 16).replace('T', ' ')
}

/** A path as one word of a POSIX shell. */
export function shellQuoted(path: string): string {
  return /^[\w./-]+$/.test(path) ? path : `'${path.replaceAll("'", `'\\''`)}'`
}
