import { execFile } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'

const run = promisify(execFile)

export interface ServerCertificate {
  /** What clients have to trust. */
  readonly caFile: string
  readonly certFile: string
  readonly keyFile: string
}

/** A CA of its own and a certificate for localhost and 127.0.0.1: what Pebble and the proxy are reached under. Debian ships none. */
export async function makeServerCertificate(folder: string): Promise<ServerCertificate> {
  const file = (name: string) => join(folder, name)
  const openssl = (...args: readonly string[]) => run('openssl', [...args])
  const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-keyout']
  const ca = [
    '-subj',
    '/CN=test bed CA',
    '-addext',
    'basicConstraints=critical,CA:TRUE',
    '-addext',
    'keyUsage=critical,keyCertSign,cRLSign',
  ]
  await openssl('req', '-x509', ...key, file('ca.key'), '-days', '3650', ...ca, '-out', file('ca.pem'))
  await openssl('req', '-new', ...key, file('tls.key'), '-subj', '/CN=localhost', '-out', file('tls.csr'))
  const extensions = ['subjectAltName=DNS:localhost,IP:127.0.0.1', 'extendedKeyUsage=serverAuth', 'basicConstraints=critical,CA:FALSE']
  writeFileSync(file('tls.ext'), `${extensions.join('\n')}\n`)
  const signing = ['-CA', file('ca.pem'), '-CAkey', file('ca.key'), '-CAcreateserial', '-days', '3650', '-extfile', file('tls.ext')]
  await openssl('x509', '-req', '-in', file('tls.csr'), ...signing, '-out', file('tls.pem'))
  return { caFile: file('ca.pem'), certFile: file('tls.pem'), keyFile: file('tls.key') }
}
