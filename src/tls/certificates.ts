import { createPrivateKey, type KeyObject, X509Certificate } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { isIP } from 'node:net'
import { setTimeout as delay } from 'node:timers/promises'
import { createSecureContext } from 'node:tls'
import type { Logger } from 'pino'
import { SoakpError } from '../errors.js'
import { ensureLocalCertificate, liveFiles } from './local-ca.js'
import { namesOf } from './names.js'
import { watchFiles } from './watch.js'

/** A certificate chain and its key that were checked to belong together and to be valid now. */
export interface ServedPair {
  /** PEM, leaf first. */
  readonly cert: Buffer
  /** PEM. Bytes, so that no string of it stays in the heap. */
  readonly key: Buffer
  /** Names and addresses it is valid for, as they stand in it. */
  readonly names: readonly string[]
  /** Made by soakp's own local CA. */
  readonly isLocal: boolean
  readonly validUntilMs: number
  /** SHA-256 of the leaf, in hex with colons. */
  readonly fingerprint: string
  /** Whether it is valid for this name or address, by the rules that clients apply. */
  covers(name: string): boolean
}

/** The pair that is served at the moment, kept up to date. */
export interface Certificates {
  readonly current: ServedPair
  /** Called with each new pair, already verified. Returns a function that ends it. */
  onChange(listener: (pair: ServedPair) => void): () => void
  /** Looks at the files now. Resolves with whether a new pair was taken; a bad one is logged and leaves the old one. */
  reload(): Promise<boolean>
  close(): void
}

export interface CertificateOptions {
  readonly log: Pick<Logger, 'info' | 'warn' | 'error'>
  readonly now: () => number
  /** `certs/` of the home. */
  readonly certsDir: string
  /** Both, to serve these instead of the local CA's. */
  readonly certFile?: string | undefined
  readonly keyFile?: string | undefined
  /** Names that the local certificate is to have beside those of the machine. */
  readonly names?: readonly string[]
  /** How often the files are read without being told of a change, where the file system tells nothing. */
  readonly pollMs?: number
}

const hourMs = 3_600_000
const retryMs = 300
const warnBeforeMs = 7 * 24 * hourMs

/** Reads and verifies a pair. Throws `certificate_invalid`, saying what is wrong with which file. */
export async function loadPair(certFile: string, keyFile: string, isLocal: boolean, nowMs: number): Promise<ServedPair> {
  const cert = await read(certFile)
  const key = await read(keyFile)
  const leaf = parseLeaf(cert, certFile)
  const privateKey = parseKey(key, keyFile)
  if (!leaf.checkPrivateKey(privateKey)) throw invalid(`${keyFile} is not the key of the first certificate in ${certFile}.`)
  const validFromMs = Date.parse(leaf.validFrom)
  const validUntilMs = Date.parse(leaf.validTo)
  if (validUntilMs <= nowMs) throw invalid(`${certFile} expired on ${leaf.validTo}.`)
  if (validFromMs > nowMs) throw invalid(`${certFile} is valid only from ${leaf.validFrom}. Is the clock right?`)
  try {
    // what OpenSSL itself would object to: a weak key, a broken chain
    createSecureContext({ cert, key, minVersion: 'TLSv1.2' })
  } catch (cause) {
    throw invalid(`${certFile} and ${keyFile} are refused by OpenSSL (${(cause as NodeJS.ErrnoException).code ?? 'no code'}).`, cause)
  }
  return {
    cert,
    key,
    names: namesOf(leaf),
    isLocal,
    validUntilMs,
    fingerprint: leaf.fingerprint256,
    covers: name => (isIP(name) === 0 ? leaf.checkHost(name, { subject: 'never' }) : leaf.checkIP(name)) !== undefined,
  }
}

function invalid(detail: string, cause?: unknown): SoakpError {
  return new SoakpError('certificate_invalid', detail, { ...(cause === undefined ? {} : { cause }), hint: 'soakp doctor says more.' })
}

async function read(file: string): Promise<Buffer> {
  try {
    return await readFile(file)
  } catch (cause) {
    throw invalid(`${file} cannot be read (${(cause as NodeJS.ErrnoException).code ?? 'no code'}).`, cause)
  }
}

function parseLeaf(cert: Buffer, file: string): X509Certificate {
  try {
    return new X509Certificate(cert)
  } catch (cause) {
    throw invalid(`${file} does not begin with a certificate in PEM.`, cause)
  }
}

function parseKey(key: Buffer, file: string): KeyObject {
  try {
    return createPrivateKey(key)
  } catch (cause) {
    const encrypted = key.includes('ENCRYPTED')
    throw invalid(
      encrypted ? `${file} is protected by a passphrase, which a daemon cannot ask for.` : `${file} is not a private key in PEM.`,
      cause,
    )
  }
}

/** Another process may be in the middle of replacing the pair: a fault counts if it is still there a moment later. */
async function loadFirst(load: () => Promise<ServedPair>): Promise<ServedPair> {
  try {
    return await load()
  } catch {
    await delay(retryMs)
    return load()
  }
}

/** Finds, verifies and keeps watching the pair to serve. Throws `certificate_invalid` when there is none that can be served now. */
export async function openCertificates(options: CertificateOptions): Promise<Certificates> {
  const { log, now, certsDir, names = [] } = options
  const isLocal = options.certFile === undefined || options.keyFile === undefined
  const certFile = isLocal ? liveFiles(certsDir).fullchain : (options.certFile as string)
  const keyFile = isLocal ? liveFiles(certsDir).privkey : (options.keyFile as string)
  const listeners = new Set<(pair: ServedPair) => void>()

  if (isLocal) await ensureLocalCertificate(certsDir, names, now())
  let opened: Certificates | undefined
  const watch = await watchFiles([certFile, keyFile], () => void opened?.reload(), options.pollMs)
  let current = await loadFirst(() => loadPair(certFile, keyFile, isLocal, now())).catch(error => {
    watch.close()
    throw error
  })
  let complaint = ''
  let turn: Promise<boolean> = Promise.resolve(false)

  async function look(): Promise<boolean> {
    let pair: ServedPair
    try {
      pair = await loadPair(certFile, keyFile, isLocal, now())
    } catch (error) {
      const { message } = error as Error
      // once for each fault, not at every poll
      if (message !== complaint) log.error({ err: error }, 'the new certificate is not usable; the old one stays in service')
      complaint = message
      return false
    }
    complaint = ''
    if (pair.cert.equals(current.cert) && pair.key.equals(current.key)) return false
    current = pair
    log.info(
      { names: pair.names, validUntil: new Date(pair.validUntilMs).toISOString(), fingerprint: pair.fingerprint },
      'a new certificate is in service',
    )
    for (const listener of listeners) listener(pair)
    return true
  }

  // one look at a time, in order
  function reload(): Promise<boolean> {
    turn = turn.then(look)
    return turn
  }

  async function renew(): Promise<void> {
    const leftMs = current.validUntilMs - now()
    if (!isLocal) {
      if (leftMs < warnBeforeMs)
        log.warn({ validUntil: new Date(current.validUntilMs).toISOString() }, 'the certificate is about to expire')
      return
    }
    // decides for itself whether anything is due
    await ensureLocalCertificate(certsDir, names, now())
    await reload()
  }

  const renewal = setInterval(
    () => renew().catch((error: unknown) => log.error({ err: error }, 'the local certificate was not renewed')),
    6 * hourMs,
  )
  renewal.unref()

  opened = {
    get current() {
      return current
    },
    onChange(listener) {
      listeners.add(listener)
      return () => listeners.delete(listener)
    },
    reload,
    close() {
      watch.close()
      clearInterval(renewal)
    },
  }
  return opened
}
