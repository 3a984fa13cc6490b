import { createSecretKey, type KeyObject, randomBytes } from 'node:crypto'
import { closeSync, fstatSync, openSync, readSync } from 'node:fs'
import { join } from 'node:path'
import { SoakpError } from '../errors.js'
import { writeFileAtomic } from '../lib/atomic-file.js'
import type { Secret } from '../lib/secret.js'
import { decodeKeyText, encodeHex } from './key-text.js'

const keyBytes = 32
/** A key file holds 64 characters and a line end; what is much larger is something else. */
const maxFileBytes = 1024

/** Where the master key comes from: the first that is set; else `master.key` in the home. */
export interface MasterKeySource {
  readonly home: string
  /** `SOAKP_MASTER_KEY`: hex or base64url. */
  readonly masterKey?: Secret | undefined
  /** `SOAKP_MASTER_KEY_FILE`. */
  readonly masterKeyFile?: string | undefined
}

/** The file the master key is in, or `undefined` where it comes as text. */
export function masterKeyPath({ home, masterKey, masterKeyFile }: MasterKeySource): string | undefined {
  return masterKey === undefined ? (masterKeyFile ?? join(home, 'master.key')) : undefined
}

/** Throws `master_key_missing`, `master_key_weak`, `file_refused`. */
export function loadMasterKey(source: MasterKeySource): KeyObject {
  const file = masterKeyPath(source)
  return file === undefined ? parseMasterKey((source.masterKey as Secret).bytes(), 'SOAKP_MASTER_KEY') : readMasterKey(file)
}

/** Reads hex, base64url or 32 raw bytes. A file that others may read is refused. */
export function readMasterKey(file: string): KeyObject {
  const bytes = Buffer.alloc(maxFileBytes + 1)
  try {
    return parseMasterKey(bytes.subarray(0, readPrivate(file, bytes)), file)
  } finally {
    bytes.fill(0)
  }
}

/** Makes a key from 32 random bytes, as hex, mode 0400. Throws `file_exists` where there is a file: it is never replaced. */
export function createMasterKey(file: string): KeyObject {
  const bytes = randomBytes(keyBytes)
  const hex = encodeHex(bytes)
  try {
    writeFileAtomic(file, hex, { mode: 0o400, exclusive: true })
    return createSecretKey(bytes)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') throw new SoakpError('file_exists', file, { cause: error })
    throw new SoakpError('file_refused', file, { cause: error })
  } finally {
    bytes.fill(0)
    hex.fill(0)
  }
}

/** `from` names where the text stood. The caller wipes `text`. */
function parseMasterKey(text: Uint8Array, from: string): KeyObject {
  const key = decodeKeyText(text)
  try {
    if (key === undefined) throw weak(from, 'it is neither 64 hex digits, nor 43 base64url characters, nor 32 bytes')
    if (key.every(byte => byte === key[0])) throw weak(from, 'it is one byte repeated')
    if (key.every(byte => byte >= 0x20 && byte < 0x7f)) throw weak(from, 'it is 32 printable characters, as a person would type them')
    return createSecretKey(key)
  } finally {
    key?.fill(0)
  }
}

function readPrivate(file: string, into: Buffer): number {
  let fd: number
  try {
    fd = openSync(file, 'r')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw new SoakpError('file_refused', file, { cause: error })
    throw new SoakpError('master_key_missing', `${file} is not there.`, {
      cause: error,
      hint: 'put it back, or set SOAKP_MASTER_KEY or SOAKP_MASTER_KEY_FILE; without the key this vault was made with, nothing in it can be opened',
    })
  }
  try {
    const { mode } = fstatSync(fd)
    if (process.platform !== 'win32' && (mode & 0o077) !== 0) {
      throw new SoakpError('file_refused', `${file} can be read or changed by others (mode ${(mode & 0o777).toString(8)}).`, {
        hint: `chmod 400 ${file}`,
      })
    }
    return readSync(fd, into)
  } catch (error) {
    throw error instanceof SoakpError ? error : new SoakpError('file_refused', file, { cause: error })
  } finally {
    closeSync(fd)
  }
}

function weak(from: string, why: string): SoakpError {
  return new SoakpError('master_key_weak', `${from}: ${why}.`, { hint: 'make one with: openssl rand -hex 32' })
}
