import { type FSWatcher, watch } from 'node:fs'
import { realpath } from 'node:fs/promises'
import { dirname } from 'node:path'

const defaultPollMs = 60_000

/** Files are written in several steps, and a pair is two files: look when it has been quiet for this long. */
const settleMs = 250

/**
 * Calls back, some time after the files may have changed; which they are is asked anew at each change. Directories are watched rather than files, because a file that is replaced by renaming is another file, and so
 * are the directories that symbolic links lead to (Certbot's `live/`, mounted secrets). Network file systems tell nothing, so it also calls back at every poll: the
 * callback finds out whether anything is new. From when this resolves, no change is missed.
 */
export async function watchFiles(
  files: () => readonly string[],
  changed: () => void,
  pollMs: number = defaultPollMs,
): Promise<{ close(): void }> {
  const watchers = new Map<string, FSWatcher>()
  let settling: NodeJS.Timeout | undefined
  let closed = false

  function stir(): void {
    clearTimeout(settling)
    settling = setTimeout(() => {
      // links may lead elsewhere now
      void arm().then(changed)
    }, settleMs)
    settling.unref()
  }

  function drop(directory: string): void {
    watchers.get(directory)?.close()
    watchers.delete(directory)
  }

  async function arm(): Promise<void> {
    const wanted = new Set<string>()
    for (const file of files()) {
      wanted.add(dirname(file))
      const target = await realpath(file).catch(() => undefined)
      if (target !== undefined) wanted.add(dirname(target))
    }
    if (closed) return
    for (const directory of watchers.keys()) if (!wanted.has(directory)) drop(directory)
    for (const directory of wanted) {
      if (watchers.has(directory)) continue
      try {
        const watcher = watch(directory, { persistent: false }, stir)
        watcher.on('error', () => drop(directory))
        watchers.set(directory, watcher)
      } catch {
        // not there, or out of watches: the poll has to do
      }
    }
  }

  const poll = setInterval(() => {
    // a directory that was itself replaced leaves its watch on the old one: begin anew
    for (const directory of [...watchers.keys()]) drop(directory)
    void arm().then(changed)
  }, pollMs)
  poll.unref()
  await arm()

  return {
    close() {
      closed = true
      clearInterval(poll)
      clearTimeout(settling)
      for (const directory of [...watchers.keys()]) drop(directory)
    },
  }
}
