import { SoakpError } from '../../errors.js'

/**
 * A command as a user writes it, as program and arguments: either a JSON array of strings, or words with quotes as in a shell. Nothing is expanded, and what only a
 * shell would understand is refused, because it would silently mean something else. Throws `usage`.
 */
export function commandLine(text: string, option: string): string[] {
  const words = text.trimStart().startsWith('[') ? fromJson(text, option) : splitWords(text, option)
  if (words.length === 0 || words[0] === '' || words.some(word => word.includes('\0'))) throw wrong(option, 'names no program')
  return words
}

function fromJson(text: string, option: string): string[] {
  let data: unknown
  try {
    data = JSON.parse(text)
  } catch {
    data = undefined
  }
  if (!Array.isArray(data) || !data.every(each => typeof each === 'string'))
    throw wrong(option, 'begins with [ and is no JSON array of texts')
  return data
}

const part = /\s+|'([^']*)'|"((?:[^"\\]|\\.)*)"|\\(.)|([^\s'"\\|&;<>()$`*?#~]+)|(.)/gsy

function splitWords(text: string, option: string): string[] {
  const words: string[] = []
  let word: string | undefined
  for (const [whole, single, double, escaped, plain, special] of text.matchAll(part)) {
    if (special !== undefined)
      throw wrong(
        option,
        special === "'" || special === '"' ? 'has a quote that does not end' : `holds ${special}, and there is no shell to understand it`,
      )
    const piece = single ?? double?.replace(/\\([\\"])/g, '$1') ?? escaped ?? plain
    if (piece !== undefined) word = (word ?? '') + piece
    else if (whole.trim() === '' && word !== undefined) {
      words.push(word)
      word = undefined
    }
  }
  return word === undefined ? words : [...words, word]
}

function wrong(option: string, what: string): SoakpError {
  return new SoakpError('usage', `The command of ${option} ${what}.`, {
    hint: 'Name a program and its arguments, put quotes around what holds blanks; for more, write a script and name that.',
  })
}
