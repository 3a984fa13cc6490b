import { CommanderError } from 'commander'
import { SoakpError } from '../errors.js'
import { printable } from './format.js'

/** What is told of an error, and what the process ends with. */
export interface Failure {
  readonly exit: number
  /** One line without a full stop; absent where everything has been said. */
  readonly line?: string
  readonly hint?: string | undefined
}

/** Ends the process with this code, where all has been said. */
export class Exit extends Error {
  constructor(readonly exit: number) {
    super(`exit ${exit}`)
  }
}

/** `debug` adds the stack of an error that was not raised on purpose. */
export function failureOf(error: unknown, debug: boolean): Failure {
  if (error instanceof SoakpError) {
    // of wrong usage, what is wrong says it all
    const line = error.code === 'usage' && error.detail !== undefined ? error.detail : error.message
    return { exit: error.exit, line: sentence(line), hint: error.hint }
  }
  if (error instanceof Exit) return { exit: error.exit }
  if (error instanceof CommanderError) return usageFailure(error)
  const refused = fileFailure(error)
  if (refused) return failureOf(refused, debug)
  const internal = { exit: 70, line: 'something went wrong inside soakp' }
  if (!debug) return { ...internal, hint: 'SOAKP_LOG_LEVEL=debug shows where' }
  return { ...internal, hint: error instanceof Error ? (error.stack ?? error.message) : String(error) }
}

/** What the system says of a file: a mistake of who named it, or a disk that is full. */
function fileFailure(error: unknown): SoakpError | undefined {
  if (!(error instanceof Error)) return undefined
  const { code, syscall, path, dest } = error as NodeJS.ErrnoException & { readonly dest?: string }
  if (code === 'ERR_INVALID_ARG_VALUE' && error.message.includes('null bytes'))
    return new SoakpError('file_refused', 'No path holds a null byte.')
  if (code === undefined || syscall === undefined || path === undefined || !/^E[A-Z]+$/.test(code)) return undefined
  const why = reasons[code] ?? code
  return new SoakpError('file_refused', `${printable((dest ?? path).slice(0, 200))}: ${why}.`, { cause: error })
}

const reasons: Readonly<Record<string, string>> = {
  ENOENT: 'it, or its folder, is not there',
  EACCES: 'this user may not do that',
  EPERM: 'this user may not do that',
  EROFS: 'the file system can only be read',
  EISDIR: 'it is a folder',
  ENOTDIR: 'a part of its path is no folder',
  ENAMETOOLONG: 'its name is too long',
  EEXIST: 'it is there already',
  ENOSPC: 'the disk is full',
  EDQUOT: 'the disk is full for this user',
  EMFILE: 'too many files are open',
}

/** Commander repeats what was typed; what is not a plain word or flag is left out, as it may be a key. */
function usageFailure(error: CommanderError): Failure {
  if (error.exitCode === 0) return { exit: 0 }
  // the help of a group of commands that was called without one
  if (error.code === 'commander.help') return { exit: 2 }
  const [line = '', ...rest] = error.message.replace(/^error: /, '').split('\n')
  const suggestion = rest.find(text => /^\(Did you mean/.test(text))?.replace(/^\(|\)$/g, '')
  // what is missing is called by our own words
  const typed = error.code !== 'commander.missingArgument'
  return { exit: 2, line: sentence(typed ? line.replace(/'([^']*)'/g, quoted) : line), hint: suggestion ?? 'see --help' }
}

/** Options and placeholders of our own (`--name <text>`) stay; a value stays when it is a short word. */
function quoted(whole: string, inner: string): string {
  if (/^(-\w, )?--[a-z][-a-z]{0,24}( [<[][\w.]+[>\]])?$/.test(inner)) return whole
  const flag = /^--[a-z][-a-z]{0,24}(?==)/.exec(inner)
  if (flag) return `'${flag[0]}'`
  return /^[a-z][-a-z0-9.]{0,19}$/.test(inner) && !/^(sk|gsk|xai)-/.test(inner) ? whole : '[not shown]'
}

function sentence(text: string): string {
  const first = /^[A-Z][a-z ]/.test(text) ? text.charAt(0).toLowerCase() + text.slice(1) : text
  return first.replace(/\.$/, '').replaceAll('\n', ' ')
}
