import { readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { SoakpError } from '../../errors.js'
import { withFileLock } from '../../lib/file-lock.js'
import { makeDirectory, replaceFile } from '../files.js'

/** Another run may only be looking whether anything is due. */
const patienceMs = 2_000
const stepMs = 100

/**
 * Runs `work` while no other process, be it cron's, a person's or the daemon, works on these certificates. Throws `certificate_busy`, naming the process that does. The
 * kernel gives the lock back however a process ends.
 */
export async function withCertificatesLock<T>(certsDir: string, work: () => Promise<T>, waitMs: number = patienceMs): Promise<T> {
  await makeDirectory(certsDir)
  const holder = join(certsDir, 'holder')
  for (let waitedMs = 0; ; waitedMs += stepMs) {
    const done = await withFileLock(join(certsDir, 'lock'), async () => {
      replaceFile(holder, Buffer.from(`${process.pid}\n`), 0o600)
      try {
        return { value: await work() }
      } finally {
        rmSync(holder, { force: true })
      }
    }).catch(cause => {
      throw cause instanceof SoakpError || !isFileError(cause) ? cause : new SoakpError('file_refused', certsDir, { cause })
    })
    if (done !== undefined) return done.value
    if (waitedMs >= waitMs) throw busy(holder)
    await sleep(stepMs)
  }
}

/** Of a folder that is not ours, or a full disk. */
function isFileError(error: unknown): boolean {
  return error instanceof Error && 'syscall' in error
}

function busy(holder: string): SoakpError {
  let pid = ''
  try {
    pid = readFileSync(holder, 'utf8').trim()
  } catch {
    // it has not said so yet, or has just ended
  }
  const who = /^\d+$/.test(pid) ? `It is process ${pid}.` : undefined
  return new SoakpError('certificate_busy', who, {
    hint: 'Wait until it has ended; a renewal by cron or by the daemon takes a minute or two.',
  })
}
