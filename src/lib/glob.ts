/** A matcher for globs in which `*` stands for any characters and nothing else is special. No pattern takes more than linear time per `*`. */
export function compileGlobs(globs: readonly string[]): (text: string) => boolean {
  const exact = new Set(globs.filter(glob => !glob.includes('*')))
  const parts = globs.filter(glob => glob.includes('*')).map(glob => glob.split('*'))
  return text => exact.has(text) || parts.some(pieces => matches(pieces, text))
}

function matches(pieces: readonly string[], text: string): boolean {
  const first = pieces[0] ?? ''
  const last = pieces.at(-1) ?? ''
  if (text.length < first.length + last.length || !text.startsWith(first) || !text.endsWith(last)) return false
  let from = first.length
  const end = text.length - last.length
  for (const piece of pieces.slice(1, -1)) {
    const at = text.indexOf(piece, from)
    if (at === -1 || at + piece.length > end) return false
    from = at + piece.length
  }
  return true
}
