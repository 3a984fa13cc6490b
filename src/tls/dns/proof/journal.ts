import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { SoakpError } from '../../../errors.js'
import { syncFolder, writeFileAtomic } from '../../../lib/atomic-file.js'
import { withFileLock } from '../../../lib/file-lock.js'
import { randomBase62 } from '../../../lib/id.js'
import type { TxtRecord, Zone } from '../provider.js'

/** What was or may have been written to a zone and is not removed yet. */
export interface JournalWrite {
  readonly zone: Zone
  readonly records: readonly TxtRecord[]
}

/** What one run has open at one provider; the run holds it locked as long as it lives. */
export interface Journal {
  /** Written and on the disk when this returns: before the provider is told. */
  add(write: JournalWrite): void
  /** Removed from the provider. */
  remove(write: JournalWrite): void
  /** Lets go. What is still in it is left to the next start. Harmless to call twice. */
  close(): Promise<void>
}

interface Page {
  readonly version: 1
  readonly provider: string
  readonly writes: readonly JournalWrite[]
}

const suffix = '.json'

/** A journal of its own for this run, in `folder`, which is made if it is not there. */
export async function openJournal(folder: string, provider: string): Promise<Journal> {
  const file = join(folder, `${randomBase62(16)}${suffix}`)
  try {
    mkdirSync(folder, { recursive: true, mode: 0o700 })
    const lock = await hold(`${file}.lock`)
    let writes: JournalWrite[] = []
    const save = () => {
      const page: Page = { version: 1, provider, writes }
      if (writes.length > 0) return writeFileAtomic(file, JSON.stringify(page, null, 1))
      rmSync(file, { force: true })
      syncFolder(folder)
    }
    return {
      add(write) {
        writes.push(write)
        save()
      },
      remove(write) {
        writes = writes.filter(one => one !== write)
        save()
      },
      async close() {
        await lock?.()
        rmSync(`${file}.lock`, { force: true })
      },
    }
  } catch (cause) {
    throw new SoakpError('file_refused', `${folder}: what is written to the DNS is noted there first, and cannot be.`, { cause })
  }
}

/** Locks a file until the returned function is called; undefined where another process holds it. */
async function hold(file: string): Promise<(() => Promise<void>) | undefined> {
  let release = () => {}
  const held = new Promise<void>(resolve => {
    release = resolve
  })
  return new Promise((resolve, reject) => {
    const done = withFileLock(file, async () => {
      resolve(async () => {
        release()
        await done
      })
      await held
    })
    done.then(() => resolve(undefined), reject)
  })
}

/** How leftovers are removed, and what is said of those that are not. */
export interface LeftoverWork {
  /** Removes own values. Throws what stands in the way. */
  remove(provider: string, write: JournalWrite): Promise<void>
  readonly tell: (line: string) => void
}

/**
 * Removes what runs that ended early have left at their providers. Journals of runs that live are left alone; those that cannot be worked off (credentials are gone, the provider fails)
 * stay, and it is said why. Answers how many values were removed and how many stay.
 */
export async function cleanLeftovers(folder: string, { remove, tell }: LeftoverWork): Promise<{ removed: number; kept: number }> {
  let [removed, kept] = [0, 0]
  const names = existsSync(folder) ? readdirSync(folder).filter(name => name.endsWith(suffix)) : []
  for (const name of names.sort()) {
    const file = join(folder, name)
    const done = await withFileLock(`${file}.lock`, async () => {
      const page = existsSync(file) ? read(file) : undefined
      if (page === 'unreadable') return tell(`${file} cannot be read: it names values in the DNS that an interrupted run has left`)
      if (page === undefined) return
      let left = page.writes
      for (const write of page.writes) {
        try {
          await remove(page.provider, write)
          removed += write.records.length
          left = left.filter(one => one !== write)
          if (left.length > 0) writeFileAtomic(file, JSON.stringify({ ...page, writes: left }, null, 1))
        } catch (error) {
          if (!(error instanceof SoakpError)) throw error
          kept += write.records.length
          const names = [...new Set(write.records.map(record => record.name))].join(', ')
          tell(`an interrupted run has left TXT values at ${names} (${page.provider}), which stay: ${error.message}`)
        }
      }
      if (left.length === 0) rmSync(file, { force: true })
      return left.length === 0
    })
    if (done) rmSync(`${file}.lock`, { force: true })
  }
  return { removed, kept }
}

function read(file: string): Page | 'unreadable' {
  try {
    const page: unknown = JSON.parse(readFileSync(file, 'utf8'))
    return isPage(page) ? page : 'unreadable'
  } catch {
    return 'unreadable'
  }
}

function isPage(page: unknown): page is Page {
  if (typeof page !== 'object' || page === null) return false
  const { version, provider, writes }: { version?: unknown; provider?: unknown; writes?: unknown } = page
  return version === 1 && typeof provider === 'string' && Array.isArray(writes) && writes.every(isWrite)
}

function isWrite(write: unknown): write is JournalWrite {
  if (typeof write !== 'object' || write === null) return false
  const { zone, records }: { zone?: unknown; records?: unknown } = write
  const texts = (value: unknown, ...names: readonly string[]) =>
    typeof value === 'object' &&
    value !== null &&
    names.every(name => name in value && typeof Object.entries(value).find(([key]) => key === name)?.[1] === 'string')
  return texts(zone, 'name', 'id') && Array.isArray(records) && records.every(record => texts(record, 'name', 'value'))
}
