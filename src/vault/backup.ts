import { type KeyObject, randomBytes } from 'node:crypto'
import { closeSync, existsSync, linkSync, mkdirSync, openSync, renameSync, rmSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { SoakpError } from '../errors.js'
import { syncFolder, writeAll, writeFileAtomic } from '../lib/atomic-file.js'
import { Secret } from '../lib/secret.js'
import type { Store } from '../stores/store.js'
import { type OpenBackup, openBackup, writeBackup } from './backup-file.js'
import { fits, type Keyring, keyringPath, openKeyring, readKeyringFile, unseal } from './keyring.js'
import { parseKeyringFile } from './keyring-file.js'
import { createVault } from './vault.js'

export interface BackupOptions {
  readonly home: string
  readonly store: Pick<Store, 'backupTo'>
  readonly keyring: Pick<Keyring, 'databaseKey'>
  /** Settings worth keeping, in the form of `.env`, without any that is secret. */
  readonly settings: string
  readonly now: () => number
}

/**
 * Writes `file`, mode 0600: the database, `keys.json` and the settings, everything secret in it encrypted. The master key is not in it. Throws
 * `file_exists`: a file that is there is not replaced.
 */
export async function createBackup(file: string, { home, store, keyring, settings, now }: BackupOptions): Promise<void> {
  if (existsSync(file)) throw new SoakpError('file_exists', file)
  const suffix = randomBytes(6).toString('hex')
  const temporary = { database: `${file}.${suffix}.db.tmp`, settings: `${file}.${suffix}.env.tmp`, backup: `${file}.${suffix}.tmp` }
  const open: number[] = []
  const opened = (fd: number): number => {
    open.push(fd)
    return fd
  }
  try {
    // first, so that a folder that cannot be written is told as one, and not as a fault of the database
    writeAll(opened(openSync(temporary.settings, 'wx+', 0o600)), Buffer.from(settings))
    await store.backupTo(temporary.database)
    const keys = keyringPath(home)
    const { instanceId, masterKeyVersion } = readKeyringFile(keys)
    const parts = new Map([
      ['keys.json', opened(openSync(keys, 'r'))],
      ['settings', open[0] as number],
      ['database', opened(openSync(temporary.database, 'r'))],
    ] as const)
    writeBackup(
      opened(openSync(temporary.backup, 'wx', 0o600)),
      { createdAtMs: now(), instanceId, masterKeyVersion },
      parts,
      keyring.databaseKey,
    )
    linkSync(temporary.backup, file)
    syncFolder(dirname(file))
  } catch (error) {
    throw refused(error, file)
  } finally {
    for (const fd of open) closeSync(fd)
    for (const name of Object.values(temporary)) rmSync(name, { force: true })
  }
}

export interface RestoreOptions {
  readonly home: string
  /** Where the database is to be. */
  readonly databaseFile: string
  /** The one that was in use when the backup was made. */
  readonly master: KeyObject
  readonly openStore: (databaseFile: string, databaseKey: KeyObject) => Promise<Store>
  readonly now: () => number
}

export interface Restored {
  readonly createdAtMs: number
  readonly instanceId: string
  readonly keys: number
  readonly grants: number
  /** Ids of keys that do not open; they did not when the backup was made. */
  readonly unreadableKeys: readonly string[]
  /** The settings of the backup; not written anywhere. */
  readonly settings: string
  /** Files of a home without keys and grants that was there, under their new names. */
  readonly replaced: readonly string[]
}

/**
 * Puts a backup into a home, after everything in it was opened with the master key. A home that holds keys or grants is refused with `home_exists`; nothing
 * is ever overwritten. `keys.json` comes last, and a home is one only with it: after a crash in between, try again. Throws `backup_damaged`,
 * `master_key_wrong`, `store_locked` where a daemon runs on that home.
 */
export async function restoreBackup(file: string, options: RestoreOptions): Promise<Restored> {
  const { home, databaseFile, now } = options
  const stage = `${databaseFile}.${randomBytes(6).toString('hex')}.restore`
  const backup = openBackup(file)
  try {
    await refuseUsed(options)
    mkdirSync(stage, { mode: 0o700 })
    const checked = await unpack(backup, file, join(stage, 'soakp.db'), options)
    const keysText = backup.text('keys.json')
    const replaced = setAside(home, databaseFile, now())
    renameSync(join(stage, 'soakp.db'), databaseFile)
    syncFolder(dirname(databaseFile))
    writeFileAtomic(keyringPath(home), keysText, { exclusive: true })
    const { createdAtMs, instanceId } = backup.header
    return { createdAtMs, instanceId, ...checked, settings: backup.text('settings'), replaced }
  } catch (error) {
    throw refused(error, file)
  } finally {
    backup.close()
    rmSync(stage, { recursive: true, force: true })
  }
}

/** Opens all that a backup holds, from a copy. */
async function unpack(
  backup: OpenBackup,
  file: string,
  target: string,
  { master, openStore, now }: RestoreOptions,
): Promise<Pick<Restored, 'keys' | 'grants' | 'unreadableKeys'>> {
  const content = parseKeyringFile(backup.text('keys.json'), file)
  if (!fits(content, master)) {
    throw new SoakpError('master_key_wrong', `${file} was made under another one.`, {
      hint: 'put the master key that was in use when the backup was made into the home as master.key, or name it by SOAKP_MASTER_KEY_FILE',
    })
  }
  const keyring = await unseal(content, master, file)
  backup.checkSeal(keyring.databaseKey)
  backup.copyTo('database', target)
  const store = await openStore(target, keyring.databaseKey)
  try {
    const faults = await store.verify()
    if (faults.length > 0)
      throw new SoakpError('backup_damaged', `${file}: the database in it is damaged.`, { cause: new Error(faults.join('; ')) })
    const vault = createVault({ store, keyring, now })
    const keys = await store.listKeys()
    const unreadableKeys: string[] = []
    for (const key of keys) {
      const secret = await Promise.resolve(vault.open(key)).catch(() => undefined)
      if (secret instanceof Secret) secret.wipe()
      else unreadableKeys.push(key.id)
    }
    return { keys: keys.length, grants: (await store.listGrants()).length, unreadableKeys }
  } finally {
    await store.close()
  }
}

/** Only a home that was made and never used may be replaced. */
async function refuseUsed({ home, databaseFile, master, openStore }: RestoreOptions): Promise<void> {
  const keys = keyringPath(home)
  // without keys.json nothing opens what may be there; it is left by a restore that was broken off
  if (!existsSync(keys) || !existsSync(databaseFile)) return
  const hint = 'nothing is overwritten: move the home away first, or restore into another one with --home'
  let used: boolean
  try {
    const keyring = await openKeyring(home, master)
    const store = await openStore(databaseFile, keyring.databaseKey)
    used = (await store.listKeys()).length + (await store.listGrants()).length > 0
    await store.close()
  } catch (cause) {
    throw new SoakpError('home_exists', `What is in ${home} cannot be opened, so it may be worth something.`, { cause, hint })
  }
  if (used) throw new SoakpError('home_exists', `${home} holds keys or access tokens.`, { hint })
  if (existsSync(`${databaseFile}-wal`)) throw new SoakpError('store_locked', databaseFile, { hint: 'stop the daemon that uses this home' })
}

/** Renames what is there; a log left behind would be taken for the new database's. */
function setAside(home: string, databaseFile: string, atMs: number): string[] {
  const suffix = `replaced-${new Date(atMs).toISOString().replace(/\D/g, '').slice(0, 14)}-${randomBytes(3).toString('hex')}`
  const found = [keyringPath(home), databaseFile, `${databaseFile}-wal`, `${databaseFile}-shm`].filter(name => existsSync(name))
  return found.map(name => {
    renameSync(name, `${name}.${suffix}`)
    syncFolder(dirname(name))
    return `${name}.${suffix}`
  })
}

function refused(error: unknown, file: string): unknown {
  if (error instanceof SoakpError) return error
  const { code } = error as NodeJS.ErrnoException
  if (code === 'EEXIST') return new SoakpError('file_exists', file, { cause: error })
  if (code === 'ENOSPC' || code === 'EDQUOT') return new SoakpError('store_full', file, { cause: error })
  return new SoakpError('file_refused', file, { cause: error })
}
