import { randomBytes } from 'node:crypto'
import { closeSync, fsyncSync, linkSync, openSync, readdirSync, renameSync, rmSync, statSync, writeSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'

export interface AtomicWriteOptions {
  /** Of the new file; 0600 unless told. */
  readonly mode?: number
  /** Fail with `EEXIST` where there is a file of that name, instead of replacing it. */
  readonly exclusive?: boolean
}

/**
 * Writes a file so that a crash at any moment leaves the old content or the new, never a part: temporary file beside it, fsync, rename, fsync of the
 * folder. Raises the file system's own errors.
 */
export function writeFileAtomic(
  file: string,
  content: string | Uint8Array,
  { mode = 0o600, exclusive = false }: AtomicWriteOptions = {},
): void {
  removeForgotten(file)
  const temporary = `${file}.${randomBytes(6).toString('hex')}.tmp`
  try {
    const fd = openSync(temporary, 'wx', mode)
    try {
      writeAll(fd, typeof content === 'string' ? Buffer.from(content) : content)
      fsyncSync(fd)
    } finally {
      closeSync(fd)
    }
    // a link, unlike a rename, never replaces what is there
    if (exclusive) linkSync(temporary, file)
    else renameSync(temporary, file)
  } finally {
    rmSync(temporary, { force: true })
  }
  syncFolder(dirname(file))
}

const forgottenAfterMs = 600_000

/** What a process that was killed has left beside the file: it may hold what the file is kept secret for. */
function removeForgotten(file: string): void {
  const begins = `${basename(file)}.`
  const folder = dirname(file)
  try {
    for (const name of readdirSync(folder)) {
      if (!name.startsWith(begins) || !/^[0-9a-f]{12}\.tmp$/.test(name.slice(begins.length))) continue
      const left = join(folder, name)
      if (Date.now() - statSync(left).mtimeMs > forgottenAfterMs) rmSync(left, { force: true })
    }
  } catch {
    // somebody else was faster, or the folder tells when it is written to
  }
}

/** Writes all of it, however little one write takes. */
export function writeAll(fd: number, bytes: Uint8Array): void {
  for (let done = 0; done < bytes.length; ) done += writeSync(fd, bytes, done)
}

/** Makes renames and new names in a folder survive power loss. */
export function syncFolder(folder: string): void {
  const fd = openSync(folder, 'r')
  try {
    fsyncSync(fd)
  } finally {
    closeSync(fd)
  }
}
