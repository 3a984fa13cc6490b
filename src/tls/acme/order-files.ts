import { existsSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { SoakpError } from '../../errors.js'
import { makeDirectory, replaceFile } from '../files.js'
import { parse, readIfThere, slugOf } from './account-files.js'
import { isRecord } from './problem.js'
import type { Identifier } from './wire.js'

/** An order as far as it went: enough to go on with it in another process. */
export interface KeptOrder {
  readonly directoryUrl: string
  readonly accountUrl: string
  readonly identifiers: readonly Identifier[]
  readonly profile: string | undefined
  readonly createdAtMs: number
  /** Undefined: it was about to be made, and nobody knows whether it was. */
  readonly url: string | undefined
}

/**
 * `certs/orders/NAME/CA/`, 0700: `order.json` and `privkey.pem`, the key of the certificate to be. Written before the step that they stand for; removed when the
 * certificate is where it belongs.
 */
export interface OrderFiles {
  readonly folder: string
  order(): KeptOrder | undefined
  key(): Buffer | undefined
  writeOrder(order: KeptOrder): Promise<void>
  writeKey(pem: Buffer): Promise<void>
  remove(): void
}

export function orderFiles(certsDir: string, name: string, directoryUrl: string): OrderFiles {
  const folder = join(orderFolder(certsDir, name), slugOf(directoryUrl))
  const [orderFile, keyFile] = [join(folder, 'order.json'), join(folder, 'privkey.pem')]
  const write = async (file: string, bytes: Buffer) => {
    await makeDirectory(folder)
    replaceFile(file, bytes, 0o600)
  }
  return {
    folder,
    order: () => readOrder(orderFile),
    key: () => readIfThere(keyFile),
    writeOrder: order => write(orderFile, Buffer.from(`${JSON.stringify({ version: 1, ...order }, undefined, 2)}\n`)),
    writeKey: pem => write(keyFile, pem),
    remove: () => rmSync(folder, { recursive: true, force: true }),
  }
}

/** Forgets every order for this certificate, at whatever CA. */
export function removeOrders(certsDir: string, name: string): void {
  const folder = orderFolder(certsDir, name)
  if (existsSync(folder)) rmSync(folder, { recursive: true, force: true })
}

function orderFolder(certsDir: string, name: string): string {
  if (!/^(?!\.)[a-zA-Z0-9._-]{1,200}$/.test(name)) throw new SoakpError('usage', `${name} is no name for a certificate.`)
  return join(certsDir, 'orders', name)
}

/** One that cannot be read is as good as none: the next order is made anew. */
function readOrder(file: string): KeptOrder | undefined {
  const text = readIfThere(file)?.toString()
  const data = text === undefined ? undefined : parse(text)
  if (!isRecord(data) || typeof data.directoryUrl !== 'string' || typeof data.accountUrl !== 'string') return undefined
  if (!Array.isArray(data.identifiers) || typeof data.createdAtMs !== 'number') return undefined
  return {
    directoryUrl: data.directoryUrl,
    accountUrl: data.accountUrl,
    identifiers: data.identifiers.filter(isIdentifier),
    profile: typeof data.profile === 'string' ? data.profile : undefined,
    createdAtMs: data.createdAtMs,
    url: typeof data.url === 'string' ? data.url : undefined,
  }
}

function isIdentifier(value: unknown): value is Identifier {
  return isRecord(value) && (value.type === 'dns' || value.type === 'ip') && typeof value.value === 'string'
}
