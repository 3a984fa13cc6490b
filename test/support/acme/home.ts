import { appendFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Parts } from '../../../src/cli/session.js'
import { type NearHome, nearHome } from '../../cli/run.js'
import { type Home, homeAt } from '../daemon.js'
import { type AcmeBed, temporaryFolder } from './index.js'

/** A home whose CA and DNS are a test bed's: what its `.env` says, its commands and its daemon do. */
export interface CertHome {
  readonly dir: string
  readonly certs: string
  /** Commands in this process. */
  readonly near: NearHome
  /** Commands and the daemon as processes of their own. */
  readonly far: Home
  /** Commands in this process, at another time. */
  at(now: () => number): NearHome
  /** `cert issue` for these names with what has to be said each time. */
  issue(names: readonly string[], more?: readonly string[]): string[]
}

interface Teardown {
  teardown(handler: () => unknown): unknown
}

export async function makeCertHome(t: Teardown, bed: AcmeBed, variables: Readonly<Record<string, string>> = {}): Promise<CertHome> {
  const dir = join(temporaryFolder(t), 'home')
  const parts = (now: () => number): Partial<Parts> => ({ now })
  const near = nearHome(dir)
  await near.json(['init'])
  const { bind } = bed
  const settings = {
    SOAKP_ACME_CA_FILE: bed.caFile,
    SOAKP_DNS_RESOLVERS: bind.server,
    SOAKP_DNS_NAME_SERVER_PORT: String(bind.port),
    SOAKP_DNS_SETTLE: '1s',
    DNSUPDATE_NAMESERVER: bind.server,
    DNSUPDATE_TSIG_FILE: bind.keyFile,
    DNSUPDATE_POLLING_INTERVAL: '0.1',
    DNSUPDATE_TTL: '1',
    ...variables,
  }
  const lines = Object.entries(settings).filter(([, value]) => value !== '')
  appendFileSync(join(dir, '.env'), lines.map(([name, value]) => `${name}='${value}'\n`).join(''))
  return {
    dir,
    certs: join(dir, 'certs'),
    near,
    far: homeAt(dir, {}, t),
    at: now => nearHome(dir, {}, parts(now)),
    issue: (names, more = []) => [
      ...['cert', 'issue', '--server', bed.proxy.directoryUrl, '--agree-tos'],
      ...(more.includes('--http') ? [] : ['--dns', 'rfc2136']),
      ...names.flatMap(name => ['-d', name]),
      ...more,
    ],
  }
}

export const dayMs = 86_400_000
