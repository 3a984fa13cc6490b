import { webcrypto } from 'node:crypto'
import 'reflect-metadata'
import { mkdirSync, mkdtempSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { join, resolve } from 'node:path'
import { SubjectAlternativeNameExtension, X509CertificateGenerator } from '@peculiar/x509'
import { adoptFolder } from './processes.js'

/** What every contender is given: a folder that goes at the end, and one certificate. */
export interface Place {
  readonly folder: string
  readonly certFile: string
  readonly keyFile: string
  /** PEM; clients trust exactly this. */
  readonly cert: string
  /** Origin of the one upstream, `http://127.0.0.1:PORT`. */
  readonly upstream: string
}

export async function makePlace(upstream: string): Promise<Place> {
  const parent = resolve('bench/tmp')
  mkdirSync(parent, { recursive: true })
  const folder = mkdtempSync(join(parent, 'run-'))
  adoptFolder(folder)
  const certFile = join(folder, 'cert.pem')
  const keyFile = join(folder, 'key.pem')
  const { cert, key } = await selfSigned()
  writeFileSync(certFile, cert)
  writeFileSync(keyFile, key, { mode: 0o600 })
  return { folder, certFile, keyFile, cert, upstream }
}

/** ECDSA P-256, as public authorities sign today, for 127.0.0.1 and localhost. */
async function selfSigned(): Promise<{ cert: string; key: string }> {
  const keys = await webcrypto.subtle.generateKey({ name: 'ECDSA', namedCurve: 'P-256' }, true, ['sign', 'verify'])
  const certificate = await X509CertificateGenerator.createSelfSigned({
    name: 'CN=soakp bench',
    notBefore: new Date(Date.now() - 3_600_000),
    notAfter: new Date(Date.now() + 86_400_000),
    signingAlgorithm: { name: 'ECDSA', hash: 'SHA-256' },
    keys,
    extensions: [
      new SubjectAlternativeNameExtension([
        { type: 'dns', value: 'localhost' },
        { type: 'ip', value: '127.0.0.1' },
      ]),
    ],
  })
  const pkcs8 = Buffer.from(await webcrypto.subtle.exportKey('pkcs8', keys.privateKey)).toString('base64')
  const key = `-----BEGIN PRIVATE KEY-----\n${pkcs8.replace(/.{64}/g, '$&\n').trimEnd()}\n-----END PRIVATE KEY-----\n`
  return { cert: `${certificate.toString('pem')}\n`, key }
}

/** A port that nothing held a moment ago. */
export function freePort(): Promise<number> {
  return new Promise((done, failed) => {
    const server = createServer()
    server.once('error', failed)
    server.listen(0, '127.0.0.1', () => {
      const address = server.address()
      const port = typeof address === 'object' && address !== null ? address.port : 0
      server.close(() => done(port))
    })
  })
}
