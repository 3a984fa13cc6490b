import type { KeyObject } from 'node:crypto'
import { existsSync, renameSync, rmSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { SoakpError } from '../errors.js'
import { syncFolder, writeFileAtomic } from '../lib/atomic-file.js'
import { withFileLock } from '../lib/file-lock.js'
import { fits, type Keyring, keyringPath, readKeyringFile, rewrap, serialize, unseal } from './keyring.js'
import type { KeyringFile } from './keyring-file.js'
import { createMasterKey, loadMasterKey, type MasterKeySource, masterKeyPath, readMasterKey } from './master-key.js'

/** The moments of a rotation, in order, each durable before the next begins. */
export type RotationStep = 'begun' | 'key written' | 'vault rewrapped' | 'done'

export interface RotateOptions extends MasterKeySource {
  /**
   * Where the new key is, or is put if there is no such file. Without it the new key replaces the old one's file; needed where the old key does not
   * come from a file. The operator then points the settings to it.
   */
  readonly newKeyFile?: string | undefined
  /** Told each step as it is reached. */
  readonly onStep?: (step: RotationStep) => void
}

export interface Rotated {
  readonly masterKeyVersion: number
  /** The file the new master key is in. */
  readonly keyFile: string
}

/**
 * The opened secrets of a home. A rotation that was broken off is finished where `keys.json` is wrapped under the new key already, and has changed nothing
 * where it is not. Throws `home_missing`, `master_key_missing`, `master_key_weak`, `master_key_wrong`, `vault_damaged`.
 */
export async function openHome(source: MasterKeySource): Promise<Keyring> {
  const { content, master, file } = findMaster(source, false)
  const keyring = await unseal(content, master, file)
  await undo(source)
  return keyring
}

/**
 * Wraps `keys.json` under a new master key. Running daemons go on: they hold what is wrapped, which stays the same. Backups made before open with the
 * old key only. May be tried again after a crash at any moment.
 */
export async function rotateMaster({ newKeyFile, onStep = () => undefined, ...source }: RotateOptions): Promise<Rotated> {
  readKeyringFile(keyringPath(source.home))
  const rotated = await withFileLock(lockFile(source.home), () => rotate(source, newKeyFile, onStep)).catch(error => {
    throw error instanceof SoakpError ? error : new SoakpError('file_refused', source.home, { cause: error })
  })
  if (rotated === undefined) throw new SoakpError('store_locked', 'Another rotation of the master key is under way.')
  return rotated
}

async function rotate(source: MasterKeySource, newKeyFile: string | undefined, onStep: (step: RotationStep) => void): Promise<Rotated> {
  if (newKeyFile !== undefined && existsSync(newKeyFile)) {
    const done = alreadyUnder(newKeyFile, source)
    if (done !== undefined) return done
  }
  const { content, master, file } = findMaster(source, true)
  await unseal(content, master, file)
  const oldKeyFile = masterKeyPath(source)
  if (newKeyFile === undefined && oldKeyFile === undefined) {
    throw new SoakpError('usage', 'The master key comes from the environment.', {
      hint: 'say where the new one is to be put: --new-key-file FILE',
    })
  }
  onStep('begun')
  const target = newKeyFile ?? nextFile(oldKeyFile as string)
  if (newKeyFile === undefined) rmSync(target, { force: true })
  if (!existsSync(target)) createMasterKey(target)
  const next = readMasterKey(target)
  onStep('key written')
  const after = rewrap(content, master, next, file)
  await unseal(after, next, file)
  write(file, serialize(after))
  onStep('vault rewrapped')
  if (newKeyFile === undefined) moveIntoPlace(target, oldKeyFile as string)
  onStep('done')
  return { masterKeyVersion: after.masterKeyVersion, keyFile: newKeyFile ?? (oldKeyFile as string) }
}

/** A rotation to this file that was broken off after its last write; the settings may name the old key still. */
function alreadyUnder(newKeyFile: string, source: MasterKeySource): Rotated | undefined {
  const content = readKeyringFile(keyringPath(source.home))
  if (!fits(content, readMasterKey(newKeyFile))) return undefined
  if (newKeyFile === masterKeyPath(source))
    throw new SoakpError('usage', `${newKeyFile} is the master key in use.`, { hint: 'name another file' })
  return { masterKeyVersion: content.masterKeyVersion, keyFile: newKeyFile }
}

interface Found {
  readonly content: KeyringFile
  readonly master: KeyObject
  readonly file: string
}

/** The master key that `keys.json` is wrapped under now. `mustFinish`: a broken-off rotation that cannot be finished is an error. */
function findMaster(source: MasterKeySource, mustFinish: boolean): Found {
  const file = keyringPath(source.home)
  const keyFile = masterKeyPath(source)
  // a rotation may come between reading one file and the other, but not every time
  for (let attempt = 1; ; attempt++) {
    const content = readKeyringFile(file)
    const master = loadMasterKey(source)
    if (fits(content, master)) return { content, master, file }
    const next = keyFile === undefined ? undefined : readNext(keyFile)
    if (keyFile !== undefined && next !== undefined && fits(content, next)) {
      finish(keyFile, mustFinish)
      return { content, master: next, file }
    }
    if (attempt === 3) {
      throw new SoakpError('master_key_wrong', `${file} was made with another one.`, {
        hint: 'give back the master key of this home; without it nothing in it can be opened',
      })
    }
  }
}

function finish(keyFile: string, must: boolean): void {
  try {
    moveIntoPlace(nextFile(keyFile), keyFile)
  } catch (error) {
    // where the key's folder cannot be written the key is found beside it each time
    if (must) throw error
  }
}

/** Takes away the new key of a rotation that was broken off before anything was wrapped under it. */
async function undo(source: MasterKeySource): Promise<void> {
  const keyFile = masterKeyPath(source)
  if (keyFile === undefined || !existsSync(nextFile(keyFile))) return
  const remove = async (): Promise<void> => {
    // looked at again under the lock: until then it may have been a rotation under way
    const { content } = findMaster(source, true)
    const next = readNext(keyFile)
    if (next !== undefined && !fits(content, next)) rmSync(nextFile(keyFile))
  }
  // it opens nothing and the next rotation replaces it: no reason not to start
  await withFileLock(lockFile(source.home), remove).catch(() => undefined)
}

function lockFile(home: string): string {
  return join(home, 'rotation.lock')
}

function nextFile(keyFile: string): string {
  return `${keyFile}.next`
}

function readNext(keyFile: string): KeyObject | undefined {
  try {
    return readMasterKey(nextFile(keyFile))
  } catch (error) {
    if (error instanceof SoakpError && error.code === 'master_key_missing') return undefined
    throw error
  }
}

function moveIntoPlace(next: string, keyFile: string): void {
  try {
    renameSync(next, keyFile)
    syncFolder(dirname(keyFile))
  } catch (error) {
    // another process that opens the home may have been faster
    if ((error as NodeJS.ErrnoException).code === 'ENOENT' && existsSync(keyFile)) return
    throw new SoakpError('file_refused', `The new master key is in ${next} and cannot be moved to ${keyFile}.`, {
      cause: error,
      hint: 'move it there by hand',
    })
  }
}

function write(file: string, text: string): void {
  try {
    writeFileAtomic(file, text)
  } catch (error) {
    throw new SoakpError('file_refused', file, { cause: error })
  }
}
