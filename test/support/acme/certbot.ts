import { execFile, execFileSync } from 'node:child_process'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Bind } from './bind.js'
import type { Pebble } from './pebble.js'
import { lacking, programPath } from './programs.js'

/** The real Certbot, with an account of its own at a Pebble, that proves names by signed updates at a BIND. */
export interface Certbot {
  /** Resolves with what it said; fails with that when it failed. */
  run(...args: readonly string[]): Promise<string>
  /** `certonly` for these names. */
  certonly(name: string, domains: readonly string[], ...more: readonly string[]): Promise<string>
}

export interface CertbotOptions {
  /** Of its own files, but for the certificates. */
  readonly folder: string
  /** Its `--config-dir`: below it come `live/` and `archive/`. */
  readonly configDir: string
  readonly bed: { readonly bind: Bind; readonly pebble: Pebble }
  readonly env?: Readonly<Record<string, string>>
}

/** For the `skip` option of a test: Certbot, and the plugin that comes in a package of its own. */
export function lackingCertbot(): string | false {
  const missing = lacking('certbot', 'pebble', 'named', 'nsupdate')
  if (missing) return missing
  try {
    // by the Python that Certbot itself runs on: the first line of its program names it
    const python = /^#!\s*(\S+)/.exec(readFileSync(programPath('certbot') ?? '', 'utf8'))?.[1] ?? 'python3'
    execFileSync(python, ['-c', 'import certbot_dns_rfc2136'], { stdio: 'ignore' })
    return false
  } catch {
    return 'the plugin rfc2136 of Certbot is not installed (Debian: apt-get install python3-certbot-dns-rfc2136)'
  }
}

/** What the plugin reads: the server and its key. */
export function rfc2136Ini({ port, tsig }: Pick<Bind, 'port' | 'tsig'>): string {
  return `dns_rfc2136_server = 127.0.0.1
dns_rfc2136_port = ${port}
dns_rfc2136_name = ${tsig.name}
dns_rfc2136_secret = ${tsig.secret}
dns_rfc2136_algorithm = ${tsig.algorithm.toUpperCase()}
`
}

export function makeCertbot({ folder, configDir, bed, env = {} }: CertbotOptions): Certbot {
  mkdirSync(folder, { recursive: true, mode: 0o700 })
  const ini = join(folder, 'rfc2136.ini')
  writeFileSync(ini, rfc2136Ini(bed.bind), { mode: 0o600 })
  const places = ['--config-dir', configDir, '--work-dir', join(folder, 'work'), '--logs-dir', join(folder, 'logs')]
  const environment = { PATH: process.env.PATH, HOME: folder, REQUESTS_CA_BUNDLE: bed.pebble.caFile, NO_PROXY: '*', ...env }
  const run = (...args: readonly string[]): Promise<string> =>
    new Promise((resolve, reject) => {
      execFile(
        programPath('certbot') ?? 'certbot',
        [...places, '--non-interactive', ...args],
        { env: environment, timeout: 120_000 },
        (error, out, said) => (error ? reject(new Error(`certbot ${args[0]}: ${said}${out}`)) : resolve(`${said}${out}`)),
      )
    })
  return {
    run,
    certonly: (name, domains, ...more) =>
      run(
        ...['certonly', '--server', bed.pebble.directoryUrl, '--agree-tos', '--register-unsafely-without-email', '--cert-name', name],
        ...['--dns-rfc2136', '--dns-rfc2136-credentials', ini, '--dns-rfc2136-propagation-seconds', '1'],
        ...domains.flatMap(domain => ['-d', domain]),
        ...more,
      ),
  }
}
