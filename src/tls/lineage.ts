import {
  chmodSync,
  chownSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readlinkSync,
  renameSync,
  rmSync,
  type Stats,
  statSync,
  symlinkSync,
} from 'node:fs'
import { basename, join } from 'node:path'
import { SoakpError } from '../errors.js'
import { syncFolder, writeFileAtomic } from '../lib/atomic-file.js'
import { type LocalFiles, localName } from './local-ca.js'
import { checkPair, type ServedPair } from './pair.js'

/**
 * Certificates on disk, laid out as Certbot lays them out (Certbot's user guide, "Where are my certificates?"), so that every recipe for nginx or HAProxy holds:
 * `live/NAME/{cert,chain,fullchain,privkey}.pem`. Here `live/NAME` is one link to a folder `archive/NAME/N` that is written whole before the link is switched by
 * one rename: there is no moment at which a reader who looks the folder up once finds a certificate and another one's key.
 */
export interface Lineage {
  readonly name: string
  /** `live/NAME`, the path to name in other programs' settings. */
  readonly folder: string
  readonly files: LocalFiles
  /** `soakp`: switched by soakp; `other`: a folder of its own, as Certbot keeps it, which soakp serves but never writes. */
  readonly keptBy: 'soakp' | 'other'
  /** Which folder of the archive it is at; undefined where it is kept by another. */
  readonly version: number | undefined
}

/** What a CA issued, with its key; all PEM. `chain` is everything above the leaf, and may be empty. */
export interface Bundle {
  readonly cert: Buffer
  readonly chain: Buffer
  readonly key: Buffer
}

/** Versions that are kept beside the one in service. */
const keptVersions = 5

const nameShape = /^(?=.{1,200}$)[a-z0-9_]([a-z0-9._-]*[a-z0-9])?$/i

export function isLineageName(name: string): boolean {
  return nameShape.test(name) && name !== localName
}

/** Throws `usage` for what cannot name a folder of certificates. */
export function checkLineageName(name: string): void {
  if (isLineageName(name)) return
  throw new SoakpError('usage', `${JSON.stringify(name.slice(0, 80))} cannot name a certificate.`, {
    hint: 'letters, digits, dots, dashes and underscores; localhost is the local CA’s',
  })
}

function lineageFiles(folder: string): LocalFiles {
  return {
    cert: join(folder, 'cert.pem'),
    chain: join(folder, 'chain.pem'),
    fullchain: join(folder, 'fullchain.pem'),
    privkey: join(folder, 'privkey.pem'),
  }
}

/** Every certificate below `live/` but the local CA's, by name. */
export function listLineages(certsDir: string): Lineage[] {
  let names: string[]
  try {
    names = readdirSync(join(certsDir, 'live'))
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === 'ENOENT') return []
    throw new SoakpError('file_refused', join(certsDir, 'live'), { cause })
  }
  return names
    .filter(isLineageName)
    .sort()
    .flatMap(name => findLineage(certsDir, name) ?? [])
}

export function findLineage(certsDir: string, name: string): Lineage | undefined {
  const folder = join(certsDir, 'live', name)
  const files = lineageFiles(folder)
  const link = lookAt(folder)
  if (link === undefined || !isThere(files.fullchain) || !isThere(files.privkey)) return undefined
  const version = link.isSymbolicLink() ? Number(basename(readlinkSync(folder))) : Number.NaN
  const isOurs = Number.isSafeInteger(version)
  return { name, folder, files, keptBy: isOurs ? 'soakp' : 'other', version: isOurs ? version : undefined }
}

function lookAt(path: string): Stats | undefined {
  try {
    return lstatSync(path, { throwIfNoEntry: false })
  } catch {
    // below something that is no folder, or one that may not be looked into
    return undefined
  }
}

function isThere(file: string): boolean {
  try {
    return statSync(file, { throwIfNoEntry: false })?.isFile() === true
  } catch {
    return false
  }
}

/**
 * Puts a certificate into service under a name: verified, written whole, flushed, and then switched. Owner, group and mode of the key are those of the version before.
 * Whoever calls holds the lock of the folder. Throws `certificate_invalid` for a pair that cannot be served, `file_exists` where another
 * program keeps a certificate of that name; `file_refused`, and then the version before is still in service.
 */
export function installBundle(certsDir: string, name: string, bundle: Bundle, nowMs: number): ServedPair {
  checkLineageName(name)
  const fullchain = joinPem(bundle.cert, bundle.chain)
  const pair = checkPair({ cert: fullchain, key: bundle.key }, { certFile: 'the certificate', keyFile: 'the private key' }, false, nowMs)
  const before = lookAt(join(certsDir, 'live', name))
  if (before && !before.isSymbolicLink()) {
    throw new SoakpError('file_exists', join(certsDir, 'live', name), { hint: 'another program keeps it; choose another --cert-name' })
  }
  try {
    const folder = newVersion(certsDir, name)
    try {
      fill(
        folder,
        { ...bundle, fullchain },
        before ? statSync(join(certsDir, 'live', name, 'privkey.pem'), { throwIfNoEntry: false }) : undefined,
      )
      switchTo(certsDir, name, basename(folder))
    } catch (error) {
      rmSync(folder, { recursive: true, force: true })
      throw error
    }
  } catch (cause) {
    throw new SoakpError('file_refused', `${join(certsDir, 'archive', name)} (${(cause as NodeJS.ErrnoException).code ?? 'no code'})`, {
      cause,
    })
  }
  prune(certsDir, name)
  return pair
}

function joinPem(...parts: readonly Buffer[]): Buffer {
  return Buffer.concat(parts.map(part => (part.length === 0 || part.at(-1) === 0x0a ? part : Buffer.concat([part, Buffer.from('\n')]))))
}

function versions(certsDir: string, name: string): number[] {
  return readdirSync(join(certsDir, 'archive', name))
    .map(Number)
    .filter(Number.isSafeInteger)
    .sort((a, b) => a - b)
}

function newVersion(certsDir: string, name: string): string {
  for (const folder of ['live', 'archive', join('archive', name)]) mkdirSync(join(certsDir, folder), { recursive: true, mode: 0o700 })
  const folder = join(certsDir, 'archive', name, String((versions(certsDir, name).at(-1) ?? 0) + 1))
  mkdirSync(folder, { mode: 0o700 })
  return folder
}

type KeyOwner = { readonly mode: number; readonly uid: number; readonly gid: number }

function fill(
  folder: string,
  { cert, chain, fullchain, key }: Bundle & { readonly fullchain: Buffer },
  before: KeyOwner | undefined,
): void {
  const files = lineageFiles(folder)
  writeFileAtomic(files.cert, cert, { mode: 0o644 })
  writeFileAtomic(files.chain, chain, { mode: 0o644 })
  writeFileAtomic(files.fullchain, fullchain, { mode: 0o644 })
  writeFileAtomic(files.privkey, key, { mode: before ? before.mode & 0o640 : 0o600 })
  // a key that a group may read stays so, and its folder can be gone through
  if (before && (before.mode & 0o040) !== 0) {
    for (const path of [folder, files.privkey]) chownSync(path, before.uid, before.gid)
    chmodSync(folder, 0o750)
  }
  syncFolder(join(folder, '..'))
}

function switchTo(certsDir: string, name: string, version: string): void {
  const live = join(certsDir, 'live', name)
  // a name that no certificate can have
  const next = join(certsDir, 'live', `.${name}.next`)
  rmSync(next, { force: true })
  symlinkSync(join('..', 'archive', name, version), next)
  renameSync(next, live)
  syncFolder(join(certsDir, 'live'))
}

function prune(certsDir: string, name: string): void {
  const current = findLineage(certsDir, name)?.version
  const old = versions(certsDir, name).filter(version => version !== current)
  for (const version of old.slice(0, -keptVersions))
    rmSync(join(certsDir, 'archive', name, String(version)), { recursive: true, force: true })
}
