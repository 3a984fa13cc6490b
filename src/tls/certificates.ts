import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import type { Logger } from 'pino'
import { SoakpError } from '../errors.js'
import { endsSoon } from './ending.js'
import { listLineages } from './lineage.js'
import { ensureLocalCertificate, liveFiles } from './local-ca.js'
import { loadPair, type ServedPair } from './pair.js'
import { watchFiles } from './watch.js'

export type { ServedPair }

/** The pairs that are served at the moment, kept up to date. */
export interface Certificates {
  /** For clients that name no host, or one that no certificate covers. */
  readonly current: ServedPair
  /** All of them, `current` first. */
  readonly all: readonly ServedPair[]
  /** The one for this host name or address; undefined where none covers it. */
  pairFor(name: string): ServedPair | undefined
  /** Called with every change of what is served, already verified. Returns a function that ends it. */
  onChange(listener: () => void): () => void
  /** Looks at the files now. Resolves with whether anything new was taken; a bad pair is logged and leaves the old one. */
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
  /** The host name clients know; its certificate is the one for clients that name no host. */
  readonly publicName?: string | undefined
  /** How often the files are read without being told of a change, where the file system tells nothing. */
  readonly pollMs?: number
}

const hourMs = 3_600_000
const retryMs = 300

/** Where a pair lies. */
interface Source {
  readonly certFile: string
  readonly keyFile: string
  readonly isLocal: boolean
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

/**
 * Finds, verifies and keeps watching the pairs to serve: the one that was set, or the local CA's; and every certificate below `live/`, also those that come later. Throws
 * `certificate_invalid` when none can be served now, or the one that was set cannot.
 */
export async function openCertificates(options: CertificateOptions): Promise<Certificates> {
  const { log, now, certsDir, names = [], publicName } = options
  const { certFile, keyFile } = options
  const fixed = certFile === undefined || keyFile === undefined ? undefined : { certFile, keyFile, isLocal: false }
  const local = liveFiles(certsDir)
  const first: Source = fixed ?? { certFile: local.fullchain, keyFile: local.privkey, isLocal: true }
  const listeners = new Set<() => void>()
  const served = new Map<string, ServedPair>()
  const complaints = new Map<string, string>()

  function sources(): Source[] {
    const found = listLineages(certsDir).map(({ files }) => ({ certFile: files.fullchain, keyFile: files.privkey, isLocal: false }))
    return [first, ...found]
  }

  /** Also what is not there yet: a certificate that is issued while the daemon runs. */
  const watched = () => [...sources().flatMap(source => [source.certFile, source.keyFile]), join(certsDir, 'live', 'any')]

  const load = (source: Source) => loadPair(source.certFile, source.keyFile, source.isLocal, now())

  /** Takes the pair into service if it is new. A bad one is told of once, not at every poll. */
  async function take(source: Source, read: () => Promise<ServedPair>): Promise<boolean> {
    let pair: ServedPair
    try {
      pair = await read()
    } catch (error) {
      const { message } = error as Error
      const old = served.has(source.certFile)
      if (message !== complaints.get(source.certFile))
        log.error({ err: error }, old ? 'the new certificate is not usable; the old one stays in service' : 'a certificate is not usable')
      complaints.set(source.certFile, message)
      return false
    }
    complaints.delete(source.certFile)
    const before = served.get(source.certFile)
    if (before && pair.cert.equals(before.cert) && pair.key.equals(before.key)) return false
    served.set(source.certFile, pair)
    return true
  }

  if (!fixed) await ensureLocalCertificate(certsDir, names, now())
  let opened: Certificates | undefined
  const watch = await watchFiles(watched, () => void opened?.reload(), options.pollMs)
  try {
    served.set(first.certFile, await loadFirst(() => load(first)))
    for (const source of sources().slice(1)) await take(source, () => loadFirst(() => load(source)))
  } catch (error) {
    watch.close()
    throw error
  }
  let all = inOrder([...served.values()], served.get(first.certFile), fixed !== undefined, publicName)
  let turn: Promise<boolean> = Promise.resolve(false)

  async function look(): Promise<boolean> {
    const found = sources()
    let changed = false
    for (const source of found) {
      if (!(await take(source, () => load(source)))) continue
      changed = true
      const pair = served.get(source.certFile) as ServedPair
      log.info(
        { names: pair.names, validUntil: new Date(pair.validUntilMs).toISOString(), fingerprint: pair.fingerprint },
        'a new certificate is in service',
      )
    }
    for (const file of [...served.keys()]) {
      // files that are gone for a moment are being replaced; a whole folder that is gone was removed
      if (found.some(source => source.certFile === file)) continue
      log.info({ file }, 'a certificate was removed and is no longer in service')
      served.delete(file)
      changed = true
    }
    if (!changed) return false
    all = inOrder([...served.values()], served.get(first.certFile), fixed !== undefined, publicName)
    for (const listener of listeners) listener()
    return true
  }

  // one look at a time, in order
  function reload(): Promise<boolean> {
    turn = turn.then(look)
    return turn
  }

  /** The local CA's own is renewed right here. */
  function warn(): void {
    for (const { isLocal, names, validFromMs, validUntilMs } of all) {
      if (isLocal || !endsSoon({ notBeforeMs: validFromMs, notAfterMs: validUntilMs }, now())) continue
      log.warn(
        { names, validUntil: new Date(validUntilMs).toISOString() },
        validUntilMs > now() ? 'the certificate is about to expire' : 'the certificate has expired',
      )
    }
  }

  async function renew(): Promise<void> {
    warn()
    // decides for itself whether anything is due
    if (!fixed) await ensureLocalCertificate(certsDir, names, now())
    await reload()
  }

  const renewal = setInterval(
    () => renew().catch((error: unknown) => log.error({ err: error }, 'the local certificate was not renewed')),
    6 * hourMs,
  )
  renewal.unref()
  warn()

  opened = {
    get current() {
      return all[0] as ServedPair
    },
    get all() {
      return all
    },
    pairFor: name => findPair(all, name),
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

/** One that states the name comes before one that covers it by a wildcard, and of several the one that lasts longest. */
function findPair(pairs: readonly ServedPair[], name: string): ServedPair | undefined {
  const covering = pairs.filter(pair => pair.covers(name))
  if (covering.length < 2) return covering[0]
  const lower = name.toLowerCase()
  const stated = covering.filter(pair => pair.names.includes(lower))
  return (stated.length > 0 ? stated : covering).reduce((best, pair) => (pair.validUntilMs > best.validUntilMs ? pair : best))
}

/** First the one for clients that name no host: the one that was set, else the one for the public name, else any that the world trusts, else the local one. */
function inOrder(
  pairs: readonly ServedPair[],
  first: ServedPair | undefined,
  isSet: boolean,
  publicName: string | undefined,
): readonly ServedPair[] {
  const fallback = isSet
    ? first
    : ((publicName === undefined
        ? undefined
        : findPair(
            pairs.filter(pair => !pair.isLocal),
            publicName,
          )) ??
      pairs.find(pair => !pair.isLocal) ??
      first)
  if (!fallback) throw new SoakpError('certificate_invalid', 'There is none to serve.')
  return [fallback, ...pairs.filter(pair => pair !== fallback)]
}
