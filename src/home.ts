import { existsSync, mkdirSync, statSync } from 'node:fs'
import { hostname } from 'node:os'
import { dirname, join } from 'node:path'
import type { Settings } from './config/settings.js'
import { settingsFile } from './config/settings-file.js'
import { SoakpError } from './errors.js'
import { writeFileAtomic } from './lib/atomic-file.js'
import { silentLog } from './lib/silent-log.js'
import { locate, openStore } from './stores/index.js'
import { type CertificateOptions, type Certificates, openCertificates } from './tls/certificates.js'
import { ensureLocalCertificate } from './tls/local-ca.js'
import { type Restored, restoreBackup } from './vault/backup.js'
import { createKeyring, type Keyring, keyringPath } from './vault/keyring.js'
import { createMasterKey, loadMasterKey, masterKeyPath } from './vault/master-key.js'
import { openHome } from './vault/rotation.js'

export interface InitOptions {
  /** Under which the daemon will be reached from outside; goes into the settings and the local certificate. */
  readonly domain?: string | undefined
  /** Epoch milliseconds. */
  readonly now?: () => number
}

export interface InitReport {
  readonly home: string
  readonly instanceId: string
  /** Absolute paths, in the order they were made; what was there is not among them. */
  readonly made: readonly string[]
  /** `undefined`: the master key comes from the environment. */
  readonly masterKeyFile: string | undefined
  /** Certificate of the local CA, for clients to trust. */
  readonly caFile: string
  /** Names that the local CA, made earlier, may not certify. */
  readonly refusedNames: readonly string[]
}

/**
 * Makes what is missing of a home, and nothing twice: run again, it completes what was interrupted. Throws `home_exists` where nothing is missing, and the
 * error of the part where something is there that does not fit: a database without its `keys.json`, a `keys.json` without its master key.
 */
export async function initHome(settings: Settings, { domain, now = Date.now }: InitOptions = {}): Promise<InitReport> {
  const { home } = settings
  const made: string[] = []
  makeFolder(home)
  makeSettings(join(home, '.env'), settings, domain, made)
  const keyring = await makeKeys(settings, now, made)
  await makeDatabase(settings, keyring, now, made)
  const certs = await ensureLocalCertificate(join(home, 'certs'), namesFor(settings, domain), now())
  if (certs.caMade || certs.leafMade) made.push(join(home, 'certs'))
  if (made.length === 0)
    throw new SoakpError('home_exists', home, { hint: 'nothing is missing from it; `soakp doctor` checks that it is sound' })
  const masterKeyFile = masterKeyPath(settings)
  return { home, instanceId: keyring.instanceId, made, masterKeyFile, caFile: certs.caFile, refusedNames: certs.refusedNames }
}

/** The certificates that a home serves, kept up to date until they are closed; undefined where it serves plain HTTP. Throws `certificate_invalid`. */
export async function openHomeCertificates(
  settings: Settings,
  { log, now = Date.now }: { readonly log?: CertificateOptions['log'] | undefined; readonly now?: () => number } = {},
): Promise<Certificates | undefined> {
  if (settings.http) return undefined
  return openCertificates({
    log: log ?? (await silentLog()),
    now,
    certsDir: join(settings.home, 'certs'),
    certFile: settings.tlsCertFile,
    keyFile: settings.tlsKeyFile,
    names: namesFor(settings),
    publicName: settings.publicUrl === undefined ? undefined : new URL(settings.publicUrl).hostname,
  })
}

/** The names that the local certificate is for, beside those of the machine. */
export function namesFor(settings: Pick<Settings, 'publicUrl'>, domain?: string): string[] {
  const publicName = settings.publicUrl === undefined ? [] : [new URL(settings.publicUrl).hostname]
  return [...new Set([...(domain === undefined ? [] : [domain]), ...publicName])].filter(
    name => name !== 'localhost' && name !== hostname(),
  )
}

/** Puts a backup into a home that holds nothing yet, and makes what no backup holds. Throws as `restoreBackup` does. */
export async function restoreHome(settings: Settings, file: string, now: () => number): Promise<Restored & { readonly home: string }> {
  const { home } = settings
  const database = databaseFile(settings)
  if (database === undefined) throw new SoakpError('usage', 'SOAKP_DATABASE_URL names no file, and a backup holds one.')
  makeFolder(home)
  const restored = await restoreBackup(file, {
    home,
    databaseFile: database,
    master: loadMasterKey(settings),
    openStore: (path, databaseKey) => openStore(`sqlite:${path}`, home, { databaseKey, durability: 'full', create: false, now }),
    now,
  })
  const env = join(home, '.env')
  if (!existsSync(env)) write(env, restored.settings)
  await ensureLocalCertificate(join(home, 'certs'), namesFor(settings), now())
  return { ...restored, home }
}

/** Whether a home is there: what holds data, not what can be made again. */
export function homeIsThere(settings: Settings): boolean {
  return existsSync(keyringPath(settings.home))
}

/** Throws `home_of_another` where root would write into another user's home: the daemon, which runs as that user, could not read it, and would stop renewing. */
export function refuseForeignRoot({ home }: Pick<Settings, 'home'>): void {
  if (process.geteuid?.() !== 0) return
  const { uid } = statSync(keyringPath(home))
  if (uid === 0) return
  throw new SoakpError('home_of_another', `What root writes into ${home}, user ${uid} could not read, as whom the daemon runs.`, {
    hint: `run it as that user: sudo -u '#${uid}' soakp --home ${home} …`,
  })
}

/** Folder by folder: Node's own recursive way never ends where a parent does not take folders (`/proc`). */
function makeFolder(folder: string): void {
  if (isFolder(folder)) return
  if (dirname(folder) !== folder) makeFolder(dirname(folder))
  try {
    mkdirSync(folder, { mode: 0o700 })
  } catch (cause) {
    // another init was faster
    if (!isFolder(folder)) throw new SoakpError('file_refused', `${folder} cannot be made.`, { cause })
  }
}

function isFolder(path: string): boolean {
  try {
    return statSync(path).isDirectory()
  } catch {
    return false
  }
}

function makeSettings(file: string, settings: Settings, domain: string | undefined, made: string[]): void {
  if (existsSync(file)) return
  const content = settingsFile(domain === undefined ? {} : { publicUrl: `https://${domain}:${settings.port}` })
  write(file, content)
  made.push(file)
}

/** Master key and `keys.json`: the second is sealed under the first, so neither is made beside an old half. */
async function makeKeys(settings: Settings, now: () => number, made: string[]): Promise<Keyring> {
  const masterKeyFile = masterKeyPath(settings)
  const keyringFile = keyringPath(settings.home)
  refuseOrphan(settings, keyringFile)
  if (masterKeyFile !== undefined && !existsSync(masterKeyFile) && !existsSync(keyringFile)) {
    if (unlessMadeMeanwhile('file_exists', () => createMasterKey(masterKeyFile))) made.push(masterKeyFile)
  }
  if (existsSync(keyringFile)) return openHome(settings)
  try {
    const keyring = await createKeyring(settings.home, loadMasterKey(settings), now)
    made.push(keyringFile)
    return keyring
  } catch (error) {
    // another init was faster
    if (error instanceof SoakpError && error.code === 'home_exists') return openHome(settings)
    throw error
  }
}

/** A database whose keys are gone cannot be opened; new keys beside it would only hide that. */
function refuseOrphan(settings: Settings, keyringFile: string): void {
  const database = databaseFile(settings)
  if (database !== undefined && existsSync(database) && !existsSync(keyringFile)) {
    throw new SoakpError('vault_damaged', `${database} is there, but ${keyringFile}, without which it does not open, is not.`, {
      hint: 'put keys.json back, restore a backup with `soakp restore FILE`, or move the database away to start anew',
    })
  }
}

async function makeDatabase(settings: Settings, keyring: Keyring, now: () => number, made: string[]): Promise<void> {
  const file = databaseFile(settings)
  const missing = file !== undefined && !existsSync(file)
  const { databaseKey } = keyring
  const store = await openStore(settings.databaseUrl, settings.home, { databaseKey, durability: 'full', create: true, now })
  await store.close()
  if (missing) made.push(file)
}

/** `undefined`: the store is no file. */
export function databaseFile(settings: Pick<Settings, 'databaseUrl' | 'home'>): string | undefined {
  const { kind, location } = locate(settings.databaseUrl, settings.home)
  return kind.scheme === 'sqlite' ? location : undefined
}

function unlessMadeMeanwhile(code: string, make: () => unknown): boolean {
  try {
    make()
    return true
  } catch (error) {
    if (error instanceof SoakpError && error.code === code) return false
    throw error
  }
}

function write(file: string, content: string): void {
  try {
    writeFileAtomic(file, content, { exclusive: true })
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === 'EEXIST') return
    throw new SoakpError('file_refused', `${file} cannot be written.`, { cause })
  }
}
