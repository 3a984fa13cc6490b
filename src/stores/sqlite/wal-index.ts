import { closeSync, openSync, readSync } from 'node:fs'

/** Tells cheaply whether anything was committed to a database in WAL mode, by whichever process. */
export interface WalIndex {
  /** False: nothing was committed since the last call. True: something may have been. */
  moved(): boolean
  /** What was seen was not made use of: the next call says true. */
  forget(): void
  /** After the database is closed: closing a file drops the locks that this process holds on it. Harmless when repeated. */
  close(): void
}

/** Both copies of the header, which every commit rewrites (https://www.sqlite.org/walformat.html, "The WAL-Index Header"). */
const headerBytes = 96

/**
 * Reads the header of the shared-memory file that all connections map, a fraction of a microsecond where a statement costs ten: it takes no lock. Two equal readings
 * mean that no commit came between. Where a mapped file and a read one are not known to agree (Windows), it always says true.
 */
export function openWalIndex(file: string): WalIndex {
  if (process.platform === 'win32') return { moved: () => true, forget() {}, close() {} }
  const descriptor = openSync(`${file}-shm`, 'r')
  let open = true
  let seen = Buffer.alloc(headerBytes)
  let now = Buffer.alloc(headerBytes)
  return {
    moved() {
      const size = readSync(descriptor, now, 0, headerBytes, 0)
      if (size === headerBytes && now.equals(seen)) return false
      const swap = seen
      seen = now
      now = swap
      return true
    },
    forget() {
      seen.fill(0)
    },
    close() {
      if (open) closeSync(descriptor)
      open = false
    },
  }
}
