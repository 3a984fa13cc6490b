import { readFileSync, statSync } from 'node:fs'
import { SoakpError } from '../errors.js'
import { type Dotenv, parseDotenv } from './dotenv.js'

/** What a home's `.env` holds. One that is not there holds nothing. Throws `file_refused` where it cannot be read, or others can read it. */
export function readEnvFile(file: string): Dotenv {
  let content: Buffer
  try {
    const { mode } = statSync(file)
    // group-readable is how mounted secrets arrive; anything wider shows the file to strangers or lets them write it
    if (process.platform !== 'win32' && (mode & 0o026) !== 0) {
      throw new SoakpError('file_refused', `${file} can be read or changed by other users of this machine.`, { hint: `chmod 600 ${file}` })
    }
    content = readFileSync(file)
  } catch (cause) {
    if (cause instanceof SoakpError) throw cause
    if (isCode(cause, 'ENOENT') || isCode(cause, 'ENOTDIR')) return { entries: [], problems: [] }
    throw new SoakpError('file_refused', `${file} cannot be read.`, { cause })
  }
  const dotenv = parseDotenv(content)
  content.fill(0)
  return dotenv
}

const isCode = (error: unknown, code: string) => error instanceof Error && (error as NodeJS.ErrnoException).code === code
