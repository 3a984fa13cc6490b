import { createHash, createPrivateKey, X509Certificate } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { SoakpError } from '../../errors.js'
import type { Lifetime } from '../acme/renewal.js'
import { type Bundle, findLineage, type Lineage } from '../lineage.js'
import { namesOf } from '../names.js'
import { certificatesIn } from '../pem.js'

/** The certificate of a lineage that is in service, as its file says. */
export interface LiveCertificate extends Lifetime {
  readonly lineage: Lineage
  /** PEM, leaf first. */
  readonly fullchain: Buffer
  readonly names: readonly string[]
  /** SHA-256 of the leaf, in hex with colons. */
  readonly fingerprint: string
  /** As in the certificate, in hex. */
  readonly serial: string
  /** Common name of whoever issued it. */
  readonly issuer: string
  /** Whether the key that lies beside it is its own; undefined where this process may not read it. */
  readonly keyFits: boolean | undefined
}

/** Undefined where there is none, or what is there cannot be read as one: then another has to be made. */
export function liveCertificate(certsDir: string, name: string): LiveCertificate | undefined {
  const lineage = findLineage(certsDir, name)
  if (lineage === undefined) return undefined
  try {
    const fullchain = readFileSync(lineage.files.fullchain)
    const leaf = new X509Certificate(fullchain)
    return {
      lineage,
      fullchain,
      names: namesOf(leaf),
      fingerprint: fingerprintOf(leaf),
      serial: leaf.serialNumber,
      keyFits: keyFits(leaf, lineage.files.privkey),
      issuer: /^CN=(.*)$/m.exec(leaf.issuer)?.[1] ?? leaf.issuer.replaceAll('\n', ', '),
      notBeforeMs: Date.parse(leaf.validFrom),
      notAfterMs: Date.parse(leaf.validTo),
    }
  } catch {
    return undefined
  }
}

function keyFits(leaf: X509Certificate, file: string): boolean | undefined {
  let pem: Buffer
  try {
    pem = readFileSync(file)
  } catch {
    return undefined
  }
  try {
    return leaf.checkPrivateKey(createPrivateKey(pem))
  } catch {
    return false
  } finally {
    pem.fill(0)
  }
}

export function fingerprintOf(pem: X509Certificate | string | Buffer): string {
  const leaf = pem instanceof X509Certificate ? pem : new X509Certificate(pem)
  const hex = createHash('sha256').update(leaf.raw).digest('hex').toUpperCase()
  return hex.replace(/..(?!$)/g, '$&:')
}

/** A chain in PEM, taken apart as Certbot's files have it. Throws `certificate_invalid`. */
export function bundleOf(fullchain: string, key: Buffer): Bundle {
  const [leaf, ...above] = certificatesIn(fullchain)
  if (leaf === undefined) throw new SoakpError('certificate_invalid', 'There is no certificate in PEM in it.')
  return { cert: Buffer.from(`${leaf}\n`), chain: Buffer.from(above.map(each => `${each}\n`).join('')), key }
}

/** A version of a lineage that is kept beside the one in service. Throws `certificate_not_found`. */
export function archived(certsDir: string, name: string, version: number): { readonly fullchain: Buffer; readonly key: Buffer } {
  const folder = join(certsDir, 'archive', name, String(version))
  try {
    return { fullchain: readFileSync(join(folder, 'fullchain.pem')), key: readFileSync(join(folder, 'privkey.pem')) }
  } catch (cause) {
    throw new SoakpError('certificate_not_found', `${name} has no version ${version}.`, { cause })
  }
}

export function notFound(name: string): SoakpError {
  return new SoakpError('certificate_not_found', `There is none named ${name}.`, { hint: '`soakp cert list` shows what there is' })
}
