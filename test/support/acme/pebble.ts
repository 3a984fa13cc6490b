import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { request } from 'node:https'
import { join } from 'node:path'
import { freePort } from '../free-port.js'
import { type Server, startServer, untilUp } from './process.js'
import { makeServerCertificate, type ServerCertificate } from './tls.js'

export interface PebbleOptions {
  /** Percentage of requests refused with badNonce; 5 unless told. */
  readonly nonceRejects?: number
  /** Percentage of authorizations that are valid already in a later order of the same account; 0 unless told. */
  readonly reusedAuthorizations?: number
  /** Whether accounts need an external account binding; `eab` has credentials that are good. */
  readonly eabRequired?: boolean
  readonly alternateRoots?: number
  readonly chainLength?: number
  readonly validitySeconds?: number
  readonly blocked?: readonly string[]
  /** Port at which it looks for HTTP-01 answers; a free one unless told. */
  readonly httpPort?: number
  /** Port it listens on; a free one unless told. To start it again at the same place, with nothing remembered. */
  readonly port?: number
  /** Milliseconds it waits, at most, before it validates; 0 unless told. */
  readonly validationDelaySeconds?: number
}

export const eab = { kid: 'kid-1', hmacKey: 'zWNDZM6eQGHWpSRTPal5eIUYFTu7EajVIoguysqZ9wG44nMEtx3MUAsUDkMTQ12W' } as const

/** A real Pebble, Let's Encrypt's small CA for tests, strict. It keeps all in memory. */
export interface Pebble extends Server, ServerCertificate {
  readonly port: number
  readonly directoryUrl: string
  /** Where HTTP-01 answers are looked for. */
  readonly httpPort: number
  /** The root that `n`th chains end in, as PEM. */
  root(n?: number): Promise<string>
  /** `Valid` or `Revoked`. */
  statusOf(serialHex: string): Promise<string>
}

export async function startPebble(folder: string, dnsServer: string, options: PebbleOptions = {}): Promise<Pebble> {
  const port = options.port ?? (await freePort())
  const [managementPort, httpPort, tlsPort] = [await freePort(), options.httpPort ?? (await freePort('127.0.0.1', '::1')), await freePort()]
  const dir = join(folder, `pebble-${port}-${managementPort}`)
  mkdirSync(dir, { recursive: true, mode: 0o700 })
  const certificate = await makeServerCertificate(dir)
  const configuration = {
    pebble: {
      listenAddress: `127.0.0.1:${port}`,
      managementListenAddress: `127.0.0.1:${managementPort}`,
      certificate: certificate.certFile,
      privateKey: certificate.keyFile,
      httpPort,
      tlsPort,
      ocspResponderURL: '',
      externalAccountBindingRequired: options.eabRequired ?? false,
      externalAccountMACKeys: { [eab.kid]: eab.hmacKey },
      // an entry longer than a name that is asked for makes Pebble 2.4.0 panic
      domainBlocklist: options.blocked ?? ['blocked.test'],
      certificateValidityPeriod: options.validitySeconds ?? 7_776_000,
    },
  }
  writeFileSync(join(dir, 'pebble.json'), JSON.stringify(configuration))
  const sleep = options.validationDelaySeconds
  const server = await startServer('pebble', ['-config', join(dir, 'pebble.json'), '-strict', '-dnsserver', dnsServer], join(dir, 'log'), {
    ...(sleep === undefined ? { PEBBLE_VA_NOSLEEP: '1' } : { PEBBLE_VA_SLEEPTIME: String(sleep) }),
    PEBBLE_WFE_NONCEREJECT: String(options.nonceRejects ?? 5),
    PEBBLE_AUTHZREUSE: String(options.reusedAuthorizations ?? 0),
    PEBBLE_ALTERNATE_ROOTS: String(options.alternateRoots ?? 0),
    ...(options.chainLength === undefined ? {} : { PEBBLE_CHAIN_LENGTH: String(options.chainLength) }),
  })
  const ca = readFileSync(certificate.caFile)
  const directoryUrl = `https://127.0.0.1:${port}/dir`
  await untilUp(server, 'pebble', async () => (await get(directoryUrl, ca)).includes('newOrder'))
  const management = (path: string) => get(`https://127.0.0.1:${managementPort}${path}`, ca)
  return Object.assign(server, {
    ...certificate,
    port,
    directoryUrl,
    httpPort,
    root: (n = 0) => management(`/roots/${n}`),
    async statusOf(serialHex: string) {
      const { Status } = JSON.parse(await management(`/cert-status-by-serial/${serialHex.toLowerCase()}`)) as { Status: string }
      return Status
    },
  })
}

/** The body of what lies at `url`. */
export function get(url: string, ca: Buffer): Promise<string> {
  return new Promise((resolve, reject) => {
    const asked = request(url, { ca, agent: false }, reply => {
      const parts: Buffer[] = []
      reply.on('data', (part: Buffer) => parts.push(part))
      reply.on('end', () => resolve(Buffer.concat(parts).toString()))
      reply.on('error', reject)
    })
    asked.on('error', reject)
    asked.end()
  })
}
