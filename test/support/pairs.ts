import { execFile } from 'node:child_process'
import { mkdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import type { Bundle } from '../../src/tls/lineage.js'

const run = promisify(execFile)
let made = 0

/** A self-signed certificate for these names with its key, made by OpenSSL, good for a month unless said otherwise. */
export async function makeBundle(dir: string, names: readonly string[], days = 30): Promise<Bundle> {
  mkdirSync(dir, { recursive: true })
  const [cert, key] = [join(dir, `made-${++made}.pem`), join(dir, `made-${made}.key`)]
  const curve = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes']
  const about = ['-days', String(days), '-subj', '/CN=test', '-addext', `subjectAltName=${names.map(name => `DNS:${name}`).join()}`]
  await run('openssl', ['req', '-x509', ...curve, '-keyout', key, '-out', cert, ...about])
  return { cert: readFileSync(cert), chain: Buffer.alloc(0), key: readFileSync(key) }
}
