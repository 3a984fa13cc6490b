import { createHash, createHmac, type Hmac, hkdfSync, type KeyObject, timingSafeEqual } from 'node:crypto'
import { closeSync, fstatSync, fsyncSync, openSync, readSync } from 'node:fs'
import { SoakpError } from '../errors.js'
import { writeAll } from '../lib/atomic-file.js'

/*
 * A backup is one file:
 *
 *   "soakp-backup 1\n"
 *   length of the header in bytes, 4 bytes big-endian
 *   header: JSON, see BackupHeader
 *   the parts' bytes, one after the other in the header's order
 *   HMAC-SHA-256 of everything before, 32 bytes, under a key made from the database key
 *
 * Every secret in it is encrypted before it comes here; the seal is there so that an altered or truncated file is told from a whole one.
 */
const magic = Buffer.from('soakp-backup 1\n')
const macBytes = 32
const maxHeaderBytes = 65_536
const chunkBytes = 1_048_576
const maxTextBytes = 16 * chunkBytes

export interface BackupPart {
  readonly name: 'keys.json' | 'settings' | 'database'
  readonly bytes: number
  readonly sha256: string
}

export interface BackupHeader {
  readonly createdAtMs: number
  readonly instanceId: string
  readonly masterKeyVersion: number
  readonly parts: readonly BackupPart[]
}

export function writeBackup(
  to: number,
  header: Omit<BackupHeader, 'parts'>,
  parts: ReadonlyMap<BackupPart['name'], number>,
  databaseKey: KeyObject,
): void {
  const mac = sealer(databaseKey)
  const put = (bytes: Uint8Array): void => {
    mac.update(bytes)
    writeAll(to, bytes)
  }
  const described = [...parts].map(([name, fd]) => ({ name, bytes: fstatSync(fd).size, sha256: digest(fd) }))
  const text = Buffer.from(JSON.stringify({ ...header, parts: described } satisfies BackupHeader))
  const length = Buffer.alloc(4)
  length.writeUInt32BE(text.length)
  put(magic)
  put(length)
  put(text)
  for (const [index, fd] of [...parts.values()].entries()) {
    for (const chunk of chunks(fd, 0, (described[index] as BackupPart).bytes)) put(chunk)
  }
  writeAll(to, mac.digest())
  fsyncSync(to)
}

/** An open backup whose outside is sound: header, lengths. What the parts hold is trusted only after `checkSeal`. */
export interface OpenBackup {
  readonly header: BackupHeader
  /** A small part as text; empty where there is none of that name. */
  text(name: BackupPart['name']): string
  /** Throws `backup_damaged` unless every byte is as it was written by a holder of this database key. */
  checkSeal(databaseKey: KeyObject): void
  copyTo(name: BackupPart['name'], target: string): void
  close(): void
}

export function openBackup(file: string): OpenBackup {
  const fd = open(file)
  try {
    return parse(fd, file)
  } catch (error) {
    closeSync(fd)
    throw error
  }
}

function parse(fd: number, file: string): OpenBackup {
  const found = fstatSync(fd)
  if (!found.isFile()) throw damaged(file, 'it is not a file')
  const { size } = found
  const start = take(fd, 0, magic.length + 4)
  if (start === undefined || !start.subarray(0, magic.length).equals(magic)) throw damaged(file, 'it is not a backup of soakp')
  const headerBytes = start.readUInt32BE(magic.length)
  const text = headerBytes > maxHeaderBytes ? undefined : take(fd, start.length, headerBytes)
  const header = text && parseHeader(text)
  if (header === undefined) throw damaged(file, 'its beginning is altered or cut off')
  const end = start.length + headerBytes + header.parts.reduce((sum, part) => sum + part.bytes, 0)
  if (size !== end + macBytes) throw damaged(file, size < end + macBytes ? 'its end is missing' : 'something was added to it')

  const place = (name: BackupPart['name']): { at: number; part: BackupPart } | undefined => {
    let at = start.length + headerBytes
    for (const part of header.parts) {
      if (part.name === name) return { at, part }
      at += part.bytes
    }
    return undefined
  }

  return {
    header,
    text: name => {
      const found = place(name)
      if (found !== undefined && found.part.bytes > maxTextBytes) throw damaged(file, `its part ${name} is too large`)
      return found === undefined ? '' : (take(fd, found.at, found.part.bytes) ?? Buffer.alloc(0)).toString('utf8')
    },
    checkSeal: databaseKey => {
      const mac = sealer(databaseKey)
      for (const chunk of chunks(fd, 0, end)) mac.update(chunk)
      const found = take(fd, end, macBytes)
      if (found === undefined || !timingSafeEqual(found, mac.digest())) throw damaged(file, 'it was altered after it was made')
    },
    copyTo: (name, target) => {
      const found = place(name)
      if (found === undefined) throw damaged(file, `it has no part ${name}`)
      const hash = createHash('sha256')
      const to = openSync(target, 'wx', 0o600)
      try {
        for (const chunk of chunks(fd, found.at, found.part.bytes)) {
          hash.update(chunk)
          writeAll(to, chunk)
        }
        fsyncSync(to)
      } finally {
        closeSync(to)
      }
      if (hash.digest('hex') !== found.part.sha256) throw damaged(file, `its part ${name} is altered`)
    },
    close: () => closeSync(fd),
  }
}

function open(file: string): number {
  try {
    return openSync(file, 'r')
  } catch (error) {
    throw new SoakpError('file_refused', file, { cause: error })
  }
}

function parseHeader(text: Buffer): BackupHeader | undefined {
  try {
    const header = JSON.parse(text.toString('utf8')) as BackupHeader
    const sound = header.parts.every(part => typeof part.name === 'string' && Number.isSafeInteger(part.bytes) && part.bytes >= 0)
    return sound ? header : undefined
  } catch {
    return undefined
  }
}

function sealer(databaseKey: KeyObject): Hmac {
  const key = Buffer.from(hkdfSync('sha256', databaseKey, Buffer.alloc(0), 'soakp/v1/backup', 32))
  try {
    return createHmac('sha256', key)
  } finally {
    key.fill(0)
  }
}

function digest(fd: number): string {
  const hash = createHash('sha256')
  for (const chunk of chunks(fd, 0, fstatSync(fd).size)) hash.update(chunk)
  return hash.digest('hex')
}

/** One buffer is used for all: a chunk is to be used up before the next is asked for. */
function* chunks(fd: number, from: number, bytes: number): Generator<Buffer> {
  const buffer = Buffer.alloc(Math.min(chunkBytes, bytes))
  for (let done = 0; done < bytes; ) {
    const read = readSync(fd, buffer, 0, Math.min(buffer.length, bytes - done), from + done)
    if (read === 0) throw new Error('the file became shorter while it was read')
    yield buffer.subarray(0, read)
    done += read
  }
}

function take(fd: number, from: number, bytes: number): Buffer | undefined {
  const buffer = Buffer.alloc(bytes)
  for (let done = 0; done < bytes; ) {
    const read = readSync(fd, buffer, done, bytes - done, from + done)
    if (read === 0) return undefined
    done += read
  }
  return buffer
}

function damaged(file: string, what: string): SoakpError {
  return new SoakpError('backup_damaged', `${file}: ${what}.`)
}
