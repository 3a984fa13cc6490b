import { X509Certificate } from 'node:crypto'
import { existsSync, readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { SoakpError } from '../../errors.js'
import { openAccount } from '../acme/account.js'
import { accountFiles } from '../acme/account-files.js'
import { authorityOf } from '../acme/authorities.js'
import { removeOrders } from '../acme/order-files.js'
import { type RevocationReason, revoke, revokeByKey } from '../acme/revoke.js'
import { checkLineageName } from '../lineage.js'
import type { KeeperDeps } from './keeper.js'
import { archived, fingerprintOf, liveCertificate, notFound } from './live.js'
import { withCertificatesLock } from './lock.js'
import { readRecord, removeRecord, writeRecord } from './record.js'

export interface RevokeOptions {
  readonly name: string
  /** One that was in service before; undefined: the one that is. */
  readonly version?: number | undefined
  readonly reason: RevocationReason
  /** Needed where it is not known which CA issued it. */
  readonly directoryUrl?: string | undefined
}

export interface Revoked {
  readonly fingerprint: string
  readonly serial: string
  /** False: it was revoked before. */
  readonly byThisCall: boolean
  /** It is the one that is in service, and the next run replaces it. */
  readonly inService: boolean
}

/** Revokes a certificate: by the account that ordered it, or where that is not here, by the certificate's own key. The one in service is renewed by the next run. */
export function revokeCertificate(deps: KeeperDeps, options: RevokeOptions): Promise<Revoked> {
  return withCertificatesLock(deps.certsDir, () => revokeHeld(deps, options))
}

async function revokeHeld(deps: KeeperDeps, { name, version, reason, directoryUrl }: RevokeOptions): Promise<Revoked> {
  const { certsDir, transport, run } = deps
  checkLineageName(name)
  const record = readRecord(certsDir, name)
  const live = liveCertificate(certsDir, name)
  if (live === undefined) throw notFound(name)
  const pem = version === undefined ? live.fullchain : archived(certsDir, name, version).fullchain
  const key = version === undefined ? readFileSync(live.lineage.files.privkey) : archived(certsDir, name, version).key
  const at = directoryUrl ?? record?.state.issuedBy?.directoryUrl
  if (at === undefined) throw new SoakpError('usage', `It is not known which CA issued ${name}.`, { hint: 'Name it with --server.' })
  const authority = authorityOf(at)
  const hasAccount = accountFiles(certsDir, authority.directoryUrl).account() !== undefined && record !== undefined
  const fullchain = pem.toString()
  const byThisCall = hasAccount
    ? await revoke(await openAccount(deps, authority, { agreesToTerms: false }), fullchain, reason)
    : await revokeByKey({ transport, run }, authority.directoryUrl, fullchain, key, reason)
  const fingerprint = fingerprintOf(pem)
  const inService = fingerprint === live.fingerprint
  if (inService && record !== undefined) {
    await writeRecord(certsDir, { ...record, state: { ...record.state, revoked: { fingerprint, reason } } })
  }
  return { fingerprint, serial: new X509Certificate(pem).serialNumber, byThisCall, inService }
}

/** Folders of a certificate that may be there. */
const foldersOf = (certsDir: string, name: string) => ['live', 'archive', 'orders'].map(kind => join(certsDir, kind, name))

/** What there is of a certificate: its folders, and the file that says how it is renewed. Throws `certificate_not_found` where there is nothing. */
export function partsOf(certsDir: string, name: string): string[] {
  checkLineageName(name)
  const there = [...foldersOf(certsDir, name), join(certsDir, 'renewal', `${name}.json`)].filter(path => existsSync(path))
  if (there.length === 0) throw notFound(name)
  return there
}

/** Takes a certificate out of service and forgets how it was renewed; keys and all earlier versions go too. Answers what was removed. */
export function deleteCertificate(certsDir: string, name: string): Promise<string[]> {
  checkLineageName(name)
  return withCertificatesLock(certsDir, async () => {
    const live = liveCertificate(certsDir, name)
    if (live?.lineage.keptBy === 'other') {
      throw new SoakpError('file_exists', live.lineage.folder, { hint: 'Another program keeps it: remove it with that (certbot delete).' })
    }
    const there = partsOf(certsDir, name)
    // first what would bring it back
    removeRecord(certsDir, name)
    for (const path of foldersOf(certsDir, name)) rmSync(path, { recursive: true, force: true })
    removeOrders(certsDir, name)
    return there
  })
}
