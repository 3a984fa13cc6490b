import { accessSync, constants } from 'node:fs'
import { delimiter, join } from 'node:path'

/** Which Debian package brings a program that suites of certificates need. `scripts/prepare.mjs` installs them under CI. */
const packages = {
  pebble: 'pebble',
  named: 'bind9',
  nsupdate: 'bind9-dnsutils',
  pdns_server: 'pdns-server pdns-backend-sqlite3',
  openssl: 'openssl',
  certbot: 'certbot python3-certbot-dns-rfc2136',
  lego: 'lego',
} as const

export type Program = keyof typeof packages

/** Daemons lie where a user's own PATH does not lead. */
const folders = [...(process.env.PATH ?? '').split(delimiter), '/usr/local/sbin', '/usr/sbin', '/sbin']

/** Where a program lies; undefined where it is not installed. */
export function programPath(name: Program): string | undefined {
  return folders
    .filter(Boolean)
    .map(folder => join(folder, name))
    .find(isExecutable)
}

/** Why a suite that needs these programs is skipped; `false` where they are all there. For the `skip` option of a test. */
export function lacking(...names: readonly Program[]): string | false {
  const missing = names.filter(name => programPath(name) === undefined)
  if (missing.length === 0) return false
  return `${missing.join(', ')} not installed (Debian: apt-get install ${missing.map(name => packages[name]).join(' ')})`
}

function isExecutable(file: string): boolean {
  try {
    accessSync(file, constants.X_OK)
    return true
  } catch {
    return false
  }
}
