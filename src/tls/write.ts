import { randomBytes } from 'node:crypto'
import { chmod, link, mkdir, open, rename, unlink } from 'node:fs/promises'
import { SoakpError } from '../errors.js'

async function writeBeside(file: string, bytes: Buffer, mode: number): Promise<string> {
  const temporary = `${file}.${randomBytes(6).toString('hex')}.tmp`
  const handle = await open(temporary, 'wx', mode)
  try {
    await handle.writeFile(bytes)
    await handle.sync()
  } finally {
    await handle.close()
  }
  return temporary
}

/** Writes a file whole or not at all; one that is there is replaced. */
export async function replaceFile(file: string, bytes: Buffer, mode: number): Promise<void> {
  try {
    await rename(await writeBeside(file, bytes, mode), file)
  } catch (cause) {
    throw new SoakpError('file_refused', file, { cause })
  }
}

/** Writes a file whole unless there is one; tells whether it did. Of several processes, one does. */
export async function createFile(file: string, bytes: Buffer, mode: number): Promise<boolean> {
  let temporary: string | undefined
  try {
    temporary = await writeBeside(file, bytes, mode)
    await link(temporary, file)
    return true
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === 'EEXIST') return false
    throw new SoakpError('file_refused', file, { cause })
  } finally {
    if (temporary !== undefined) await unlink(temporary).catch(() => {})
  }
}

/** Makes a directory that only its owner can look into, if it is not there. */
export async function makeDirectory(dir: string): Promise<void> {
  try {
    const made = await mkdir(dir, { recursive: true, mode: 0o700 })
    // the umask may have taken more away than the owner can do without
    if (made !== undefined) await chmod(dir, 0o700)
  } catch (cause) {
    throw new SoakpError('file_refused', dir, { cause })
  }
}
