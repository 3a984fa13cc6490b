import { createHash } from 'node:crypto'
import { existsSync, readdirSync, readFileSync, renameSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { SoakpError } from '../../errors.js'
import { syncFolder } from '../../lib/atomic-file.js'
import { makeDirectory, replaceFile } from '../files.js'
import { isRecord } from './problem.js'

/** What is kept of an account beside its key. */
export interface KeptAccount {
  readonly directoryUrl: string
  readonly url: string
  /** E-mail addresses, without `mailto:`. */
  readonly contact: readonly string[]
  /** The terms that were agreed to. */
  readonly termsOfService: string | undefined
  /** The key id of the external account that it is bound to. */
  readonly boundTo: string | undefined
  readonly createdAtMs: number
}

/**
 * One folder for each CA below `certs/accounts/`, 0700: `account.json`, `key.pem`, and while the key is being changed `next-key.pem`. Files are 0600 and written whole
 * or not at all. Whoever works on it holds the lock of the certificates.
 */
export interface AccountFiles {
  readonly folder: string
  account(): KeptAccount | undefined
  key(): Buffer | undefined
  nextKey(): Buffer | undefined
  writeAccount(account: KeptAccount): Promise<void>
  writeKey(pem: Buffer): Promise<void>
  writeNextKey(pem: Buffer): Promise<void>
  /** The next key becomes the key, in one step. */
  adoptNextKey(): void
  dropNextKey(): void
  removeAll(): void
}

export function accountFiles(certsDir: string, directoryUrl: string): AccountFiles {
  const folder = join(certsDir, 'accounts', slugOf(directoryUrl))
  const file = { account: join(folder, 'account.json'), key: join(folder, 'key.pem'), next: join(folder, 'next-key.pem') }
  const write = async (path: string, bytes: Buffer) => {
    await makeDirectory(folder)
    replaceFile(path, bytes, 0o600)
  }
  return {
    folder,
    account: () => readAccount(file.account, directoryUrl),
    key: () => readIfThere(file.key),
    nextKey: () => readIfThere(file.next),
    writeAccount: account => write(file.account, Buffer.from(`${JSON.stringify({ version: 1, ...account }, undefined, 2)}\n`)),
    writeKey: pem => write(file.key, pem),
    writeNextKey: pem => write(file.next, pem),
    adoptNextKey() {
      renameSync(file.next, file.key)
      syncFolder(folder)
    },
    dropNextKey: () => rmSync(file.next, { force: true }),
    removeAll: () => rmSync(folder, { recursive: true, force: true }),
  }
}

/** Directory URLs of the CAs that there are accounts at. */
export function accountsIn(certsDir: string): string[] {
  const root = join(certsDir, 'accounts')
  if (!existsSync(root)) return []
  return readdirSync(root).flatMap(name => {
    const account = readAccount(join(root, name, 'account.json'), undefined)
    return account === undefined ? [] : [account.directoryUrl]
  })
}

/** Says which CA it is, and is another for each URL. */
export function slugOf(directoryUrl: string): string {
  const readable = directoryUrl
    .replace(/^https:\/\//, '')
    .replace(/[^a-zA-Z0-9.]+/g, '-')
    .slice(0, 80)
  return `${readable}-${createHash('sha256').update(directoryUrl).digest('hex').slice(0, 8)}`
}

export function readIfThere(file: string): Buffer | undefined {
  try {
    return readFileSync(file)
  } catch (cause) {
    // a file where a folder could be, such as file managers leave, holds nothing either
    if (['ENOENT', 'ENOTDIR'].includes((cause as NodeJS.ErrnoException).code ?? '')) return undefined
    throw new SoakpError('file_refused', file, { cause })
  }
}

function readAccount(file: string, directoryUrl: string | undefined): KeptAccount | undefined {
  const text = readIfThere(file)?.toString()
  if (text === undefined) return undefined
  const data = parse(text)
  if (!isRecord(data) || typeof data.url !== 'string' || typeof data.directoryUrl !== 'string') {
    throw new SoakpError('file_refused', `${file} is not what soakp wrote.`, {
      hint: 'Remove this one file: the account is found again by the key beside it.',
    })
  }
  // of another CA, copied here by hand: the key alone decides
  if (directoryUrl !== undefined && data.directoryUrl !== directoryUrl) return undefined
  return {
    directoryUrl: data.directoryUrl,
    url: data.url,
    contact: Array.isArray(data.contact) ? data.contact.filter(each => typeof each === 'string') : [],
    termsOfService: typeof data.termsOfService === 'string' ? data.termsOfService : undefined,
    boundTo: typeof data.boundTo === 'string' ? data.boundTo : undefined,
    createdAtMs: typeof data.createdAtMs === 'number' ? data.createdAtMs : 0,
  }
}

export function parse(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
