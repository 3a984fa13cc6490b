import { chmod, mkdir } from 'node:fs/promises'
import { SoakpError } from '../errors.js'
import { writeFileAtomic } from '../lib/atomic-file.js'

/** Writes a file whole or not at all; one that is there is replaced. */
export function replaceFile(file: string, bytes: Buffer, mode: number): void {
  try {
    writeFileAtomic(file, bytes, { mode })
  } catch (cause) {
    throw new SoakpError('file_refused', file, { cause })
  }
}

/** Writes a file whole unless there is one; tells whether it did. Of several processes, one does. */
export function createFile(file: string, bytes: Buffer, mode: number): boolean {
  try {
    writeFileAtomic(file, bytes, { mode, exclusive: true })
    return true
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === 'EEXIST') return false
    throw new SoakpError('file_refused', file, { cause })
  }
}

/** Makes a directory that only its owner can look into, if it is not there. */
export async function makeDirectory(dir: string): Promise<void> {
  try {
    const made = await mkdir(dir, { recursive: true, mode: 0o700 })
    // the umask may have taken away more than the owner can do without
    if (made !== undefined) await chmod(dir, 0o700)
  } catch (cause) {
    throw new SoakpError('file_refused', dir, { cause })
  }
}
