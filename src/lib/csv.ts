/**
 * Rows of comma-separated values (RFC 4180), or of tab-separated ones where the first line has tabs and no commas. Quoted fields may hold separators, quotes and line
 * ends; a mark of the byte order at the start and empty lines are passed over.
 */
export function parseCsv(text: string): string[][] {
  const body = text.replace(/^\ufeff/, '')
  const [first = ''] = body.split('\n', 1)
  const separator = first.includes('\t') && !first.includes(',') ? '\t' : ','
  const rows: string[][] = []
  let row: string[] = []
  let at = 0
  while (at < body.length) {
    let field = ''
    if (body[at] === '"') {
      for (at++; at < body.length; at++) {
        const quote = body.indexOf('"', at)
        const end = quote === -1 ? body.length : quote
        field += body.slice(at, end)
        at = end + 1
        if (body[at] !== '"') break
        field += '"'
      }
    } else {
      const from = at
      while (at < body.length && body[at] !== separator && body[at] !== '\n') at++
      field = body.slice(from, at)
    }
    if (body[at] === '\r') at++
    row.push(field.replace(/\r$/, ''))
    const isEnd = at >= body.length || body[at] === '\n'
    at++
    if (!isEnd) {
      if (at >= body.length) row.push('')
      else continue
    }
    if (row.length > 1 || row[0] !== '') rows.push(row)
    row = []
  }
  return rows
}
